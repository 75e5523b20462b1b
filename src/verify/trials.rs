//! Secrets that were imported with a digest which cannot be looked up: they are tried, away from all other calls.
//!
//! Each succeeds once: from then on it is known here what it is kept as, and soon it is kept as all others are.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use quick_cache::sync::Cache;
use tokio::sync::oneshot;

use super::budget::Charge;
use super::facts::Facts;
use super::misses::{Digests, Found};
use super::{Verifier, VerifyError};
use crate::store::StoreError;
use crate::token::namespace::Namespace;
use crate::token::phc::Phc;
use crate::token::secret::{Digest, Secret};

/// Threads that try. Each may need [`Phc::MEMORY_MAX`].
const THREADS: usize = 2;
/// How much sooner than they all other threads get a processor: about ten times.
const NICE: i32 = 10;
/// Texts that wait to be tried; a further one is refused, not queued.
const WAITING_MAX: usize = 64;
/// Of these one caller's: who guesses leaves room for others.
const OF_CALLER_MAX: usize = WAITING_MAX / 4;
/// Texts of which it is remembered what they are kept as, until all are kept as others are.
const KNOWN_MAX: usize = 10_000;

/// The way to the threads.
pub(super) struct Trials {
    queue: SyncSender<Trial>,
    waiting: Arc<Waiting>,
    /// What a text, by its own digest, is kept as. That it matches is a fact which no change to the token changes; what
    /// the token may do is not remembered here.
    known: Cache<Digest, Digest>,
}

/// One text, and the digests it may match.
struct Trial {
    secret: Secret,
    candidates: Vec<(Digest, Phc)>,
    asked: Asked,
}

/// The same text with the same candidates is the same question, whoever asks.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Asked {
    text: Digest,
    candidates: Vec<Digest>,
}

/// What a text was found to be kept as.
type Answer = oneshot::Sender<Option<Digest>>;

#[derive(Default)]
struct Waiting(Mutex<State>);

#[derive(Default)]
struct State {
    answers: HashMap<Asked, Vec<Answer>>,
    of_caller: HashMap<Arc<str>, usize>,
}

/// A caller's place in the queue.
struct Place {
    waiting: Arc<Waiting>,
    caller: Arc<str>,
}

impl Trials {
    pub(super) fn start() -> Trials {
        let (trials, queued) = Trials::new();
        let queued = Arc::new(Mutex::new(queued));
        for number in 0..THREADS {
            let (queued, waiting) = (Arc::clone(&queued), Arc::clone(&trials.waiting));
            let name = format!("tokenward-try-{number}");
            let started = thread::Builder::new()
                .name(name)
                .spawn(move || run(&queued, &waiting));
            if let Err(error) = started {
                tracing::error!(%error, "a thread that tries imported digests could not be started");
            }
        }
        trials
    }

    /// As yet without threads.
    fn new() -> (Trials, Receiver<Trial>) {
        let (queue, queued) = sync_channel(WAITING_MAX);
        let trials = Trials {
            queue,
            waiting: Arc::default(),
            known: Cache::new(KNOWN_MAX),
        };
        (trials, queued)
    }

    /// What the text with this digest is kept as, if it was tried here.
    pub(super) fn known(&self, text: &Digest) -> Option<Digest> {
        self.known.get(text)
    }

    /// Which of the candidates `secret`, whose digest is `text`, matches.
    async fn find(
        &self,
        secret: Secret,
        text: Digest,
        candidates: Vec<(Digest, Phc)>,
        caller: &str,
    ) -> Result<Option<Digest>, VerifyError> {
        let asked = Asked {
            text,
            candidates: candidates.iter().map(|(digest, _)| *digest).collect(),
        };
        let (answer, found) = oneshot::channel();
        // Held until there is an answer, or nobody waits for one any more.
        let _place = self.waiting.join(&asked, answer, caller, || {
            let trial = Trial {
                secret,
                candidates,
                asked: asked.clone(),
            };
            self.queue.try_send(trial).map_err(|refused| match refused {
                TrySendError::Full(_) => VerifyError::Overloaded,
                TrySendError::Disconnected(_) => gone(),
            })
        })?;
        let found = found.await.map_err(|_| gone())?;
        if let Some(kept) = found {
            self.known.insert(text, kept);
        }
        Ok(found)
    }
}

impl Verifier {
    /// What was looked up, once all was tried that has to be. Who asked in vain pays for it as for any look-up.
    pub(super) async fn tried(
        &self,
        secret: Secret,
        namespace: &Namespace,
        digests: Digests,
        (found, charge): (Found, Option<Charge>),
        caller: &str,
    ) -> Result<Found, VerifyError> {
        let (Some(charge), Some(hint)) = (charge, &digests.hint) else {
            return Ok(found);
        };
        let of_namespace = |token: &&Facts| token.namespace == namespace.slug;
        let candidates = found.to_try.iter().filter(of_namespace);
        let candidates: Vec<_> = candidates
            .flat_map(|token| token.secrets_to_try(hint))
            .map(|(kept, phc)| (kept.digest, phc.clone()))
            .collect();
        let tried = self
            .trials
            .find(secret, digests.current, candidates, caller)
            .await;
        let kept = match tried {
            Ok(Some(kept)) => kept,
            Ok(None) => return Ok(found),
            Err(error) => {
                charge.waive();
                return Err(error);
            }
        };
        charge.waive();
        let token = found
            .to_try
            .iter()
            .find(|token| token.secret_with(&kept).is_some());
        // It took its time, and meanwhile the token may have changed: then the cache does not take it.
        if let Some(token) = token
            && self.known.cache.fill(kept, token, found.fence)
        {
            return Ok(Found {
                token: Some(token.clone()),
                digest: kept,
                ..found
            });
        }
        let now = Digests {
            tried: Some(kept),
            hint: None,
            ..digests
        };
        Ok(self.misses.look_up(now, caller).await?.0)
    }
}

impl Waiting {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits with whoever waits for the same; `None`. If nobody does, queues it in a place of the caller's own.
    fn join(
        self: &Arc<Waiting>,
        asked: &Asked,
        answer: Answer,
        caller: &str,
        queue: impl FnOnce() -> Result<(), VerifyError>,
    ) -> Result<Option<Place>, VerifyError> {
        let mut state = self.state();
        if let Some(answers) = state.answers.get_mut(asked) {
            answers.push(answer);
            return Ok(None);
        }
        if state
            .of_caller
            .get(caller)
            .is_some_and(|places| *places >= OF_CALLER_MAX)
        {
            return Err(VerifyError::CallerBusy);
        }
        queue()?;
        state.answers.insert(asked.clone(), vec![answer]);
        let caller: Arc<str> = Arc::from(caller);
        *state.of_caller.entry(Arc::clone(&caller)).or_default() += 1;
        Ok(Some(Place {
            waiting: Arc::clone(self),
            caller,
        }))
    }

    /// Whether anybody still waits; if nobody does, it is forgotten.
    fn is_awaited(&self, asked: &Asked) -> bool {
        let mut state = self.state();
        let awaited = state
            .answers
            .get(asked)
            .is_some_and(|answers| answers.iter().any(|answer| !answer.is_closed()));
        if !awaited {
            state.answers.remove(asked);
        }
        awaited
    }

    fn answer(&self, asked: &Asked, found: Option<Digest>) {
        let answers = self.state().answers.remove(asked);
        for answer in answers.into_iter().flatten() {
            // Whoever asked may have left.
            let _ = answer.send(found);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.waiting.state();
        if let Some(places) = state.of_caller.get_mut(&self.caller) {
            *places -= 1;
            if *places == 0 {
                state.of_caller.remove(&self.caller);
            }
        }
    }
}

/// Tries one text after the other, until nobody can ask any more.
fn run(queued: &Mutex<Receiver<Trial>>, waiting: &Waiting) {
    // The others have calls to answer. Where it is not to be had, it is done all the same.
    let _ = rustix::process::nice(NICE);
    loop {
        // One thread waits for the next text, the others for it.
        let next = queued.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(trial) = next else {
            return;
        };
        let found = catch_unwind(AssertUnwindSafe(|| {
            let matches =
                |(_, phc): &&(Digest, Phc)| waiting.is_awaited(&trial.asked) && phc.matches(&trial.secret);
            trial.candidates.iter().find(matches).map(|(kept, _)| *kept)
        }));
        match found {
            Ok(found) => waiting.answer(&trial.asked, found),
            // Nobody is told that there is no token: whoever waits learns that it is not known.
            Err(_) => drop(waiting.state().answers.remove(&trial.asked)),
        }
    }
}

fn gone() -> VerifyError {
    StoreError::Unavailable("what was imported could not be tried".into()).into()
}

impl fmt::Debug for Trials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trials").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
