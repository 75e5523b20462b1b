//! Verify: a secret in, a verdict out.

mod again;
mod budget;
mod cache;
mod error;
mod facts;
mod follower;
mod judged;
mod limits;
mod misses;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
mod tail;
mod told;
mod trials;
mod under;
mod uses;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::journal::Revision;
use crate::journal::cursor::{Cursor, Epoch};
use crate::limit::Allowance;
use crate::membership::{Lease, Seat};
use crate::store::{Store, StoreError};
use crate::token::change::{Redigest, Used};
use crate::token::format::SECRET_BYTES_MAX;
use crate::token::namespace::{Directory, Namespace};
use crate::token::secret::{Digest, Peppers, Secret};
use crate::token::usage::Outcome;
use crate::token::verdict::{Need, Refusal, Verdict, judge};
pub use budget::MISSES;
pub use cache::Cache;
pub use error::{NotJudging, NotYetApplied, VerifyError};
use facts::Facts;
use follower::Follower;
pub use follower::{Following, Stop};
pub use judged::Judged;
pub use limits::{BUDGETS_MAX, Holder, Rate};
use limits::{Limits, Sharing};
use misses::{Digests, Found, Misses, older};
use trials::Trials;
use uses::Uses;

/// Judges secrets, from a cache of facts that the journal keeps true.
#[derive(Debug)]
pub struct Verifier {
    store: Arc<dyn Store>,
    known: Arc<Known>,
    misses: Misses,
    trials: Trials,
    limits: Arc<Limits>,
    following: watch::Receiver<Following>,
    lease: Arc<Lease>,
    epoch: Epoch,
    peppers: Arc<Peppers>,
    /// Where secrets go that were used and are kept under an earlier pepper.
    redigests: mpsc::Sender<Redigest>,
    uses: Uses,
    /// Secrets that were found in the cache, ever.
    hits: AtomicU64,
    /// What verdicts came to, ever.
    verdicts: [AtomicU64; Outcome::ALL.len()],
    clock: Arc<dyn Clock>,
}

/// What a verifier may hold, and may be asked for in vain.
#[derive(Debug)]
pub struct Bounds {
    pub cache: Cache,
    /// Look-ups that find nothing, for each caller.
    pub misses: Allowance,
}

/// What is known without asking the store; the follower keeps it true.
#[derive(Debug)]
struct Known {
    cache: Cache,
    directory: RwLock<Arc<Directory>>,
}

/// How fresh the facts must be that a verdict rests on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Consistency {
    /// As fresh as the lease allows: what is in force everywhere is known here.
    #[default]
    Leased,
    /// Every change up to the cursor is taken into account.
    AtLeast(Cursor),
    /// Every change that was committed before the call is taken into account: the store is asked.
    Strong,
}

/// The tasks behind a verifier, and what it leaves to others.
#[derive(Debug)]
pub struct VerifierTasks {
    /// It runs until it is told to end.
    pub follower: JoinHandle<()>,
    /// It runs until the verifier is dropped.
    pub misses: JoinHandle<()>,
    /// It runs until it is told to end, and shares what is left to share.
    pub sharing: JoinHandle<()>,
    /// Uses of secrets that are to be written, by whoever can.
    pub uses: mpsc::Receiver<Used>,
}

/// How long a call waits for the change it asks to be taken into account.
const BEHIND_MAX: Duration = Duration::from_secs(1);

impl Verifier {
    /// Starts a verifier over `store`, under the lease of `seat`; its tasks run on the current runtime.
    pub async fn start(
        store: Arc<dyn Store>,
        mut seat: Seat,
        peppers: Arc<Peppers>,
        redigests: mpsc::Sender<Redigest>,
        clock: Arc<dyn Clock>,
        bounds: Bounds,
        end: CancellationToken,
    ) -> Result<(Verifier, VerifierTasks), StoreError> {
        let Bounds { cache, misses } = bounds;
        // The head first: the directory may be newer than it, never older. Without a place on the roll a
        // change could be in force everywhere else and unknown here.
        let head = loop {
            if let Some(head) = seat.ask(Revision::ZERO).await? {
                break head;
            }
        };
        let directory = store.directory().await?.record;
        seat.applied(head.revision);
        let lease = seat.lease();
        cache.follow_from(head.revision);
        let known = Arc::new(Known {
            cache,
            directory: RwLock::new(Arc::new(directory)),
        });
        let (follower, following) = Follower::new(Arc::clone(&store), Arc::clone(&known), head);
        let (misses, look_up) =
            Misses::new(Arc::clone(&store), Arc::clone(&known), misses, Arc::clone(&clock));
        let (uses, handed) = Uses::new();
        let limits = Arc::new(Limits::new(store.roll().is_some()));
        let sharing = (Arc::clone(&limits), Arc::clone(&store), Arc::clone(&clock));
        let sharing = Sharing::new(sharing, seat.reporter());
        let tasks = VerifierTasks {
            follower: tokio::spawn(follower.run(seat, end.clone())),
            sharing: tokio::spawn(sharing.run(end)),
            misses: tokio::spawn(look_up),
            uses: handed,
        };
        Ok((
            Verifier {
                store,
                known,
                misses,
                trials: Trials::start(),
                limits,
                following,
                lease,
                epoch: head.epoch,
                peppers,
                redigests,
                uses,
                hits: AtomicU64::new(0),
                verdicts: Default::default(),
                clock,
            },
            tasks,
        ))
    }

    /// Judges `secret` for what `caller`, told by name, needs it for; what has to be looked up in vain is charged to
    /// them.
    pub async fn verify(
        &self,
        secret: Secret,
        need: &Need,
        consistency: Consistency,
        caller: &(dyn fmt::Display + Sync),
    ) -> Result<Judged, VerifyError> {
        if let Consistency::AtLeast(cursor) = consistency {
            self.caught_up(cursor).await?;
        }
        // Before the facts are read: they are as fresh as the lease and this revision.
        let applied = self.standing()?;
        let judged = self.judge(secret, need, consistency, caller, applied).await?;
        // A process that was stopped meanwhile has nothing to say.
        self.standing()?;
        self.verdicts[Outcome::of(&judged.verdict) as usize].fetch_add(1, Ordering::Relaxed);
        Ok(judged)
    }

    /// Whether this verifier may judge; if so, how far it has come.
    pub fn standing(&self) -> Result<Revision, NotJudging> {
        let applied = match &*self.following.borrow() {
            Following::Applied(revision) => *revision,
            Following::Stopped(why) => return Err(why.clone().into()),
        };
        self.lease.held()?;
        Ok(applied)
    }

    async fn caught_up(&self, cursor: Cursor) -> Result<(), VerifyError> {
        if cursor.epoch != self.epoch {
            return Err(VerifyError::OtherEpoch);
        }
        match self.applied(cursor.revision, BEHIND_MAX).await {
            Ok(()) => Ok(()),
            Err(NotYetApplied { waited }) => {
                self.standing()?;
                Err(VerifyError::Behind { waited })
            }
        }
    }

    async fn judge(
        &self,
        secret: Secret,
        need: &Need,
        consistency: Consistency,
        caller: &(dyn fmt::Display + Sync),
        applied: Revision,
    ) -> Result<Judged, VerifyError> {
        let refused = |refusal| Judged::refused(refusal, applied, self.clock.now());
        let namespace = match self.parse(&secret, need) {
            Ok(namespace) => namespace,
            Err(refusal) => return Ok(refused(refusal)),
        };
        let may_cache = consistency != Consistency::Strong;
        let current = self.peppers.digest(&secret);
        let from_memory = |token: &Facts, digest: &Digest| {
            self.hits.fetch_add(1, Ordering::Relaxed);
            Ok(self.judged(token, (&namespace, digest), current, need, applied))
        };
        if may_cache && let Some(token) = self.cached(&current) {
            return from_memory(&token, &current);
        }
        let other = self.peppers.other().map(|pepper| pepper.digest(&secret));
        if may_cache
            && let Some(other) = other
            && let Some(token) = self.cached(&other)
        {
            return from_memory(&token, &other);
        }
        if !namespace.format.tag_holds(&secret, &self.peppers) {
            return Ok(refused(Refusal::Unknown));
        }
        let tried = self.trials.known(&current);
        if may_cache
            && let Some(tried) = tried
            && let Some(token) = self.known.cache.get(&tried)
            && token.secret_with(&tried).is_some()
        {
            return from_memory(&token, &tried);
        }
        let may_be_imported = tried.is_none() && !namespace.format.is_tagged();
        let digests = Digests {
            current,
            other,
            tried,
            hint: may_be_imported.then(|| namespace.format.hint(&secret)),
        };
        let caller = caller.to_string();
        let looked = self.misses.look_up(digests.clone(), &caller).await?;
        let Found {
            token, digest, fence, ..
        } = self.tried(secret, &namespace, digests, looked, &caller).await?;
        if fence < applied {
            return Err(older());
        }
        // What is said of the namespace is as fresh as what is said of the token.
        let directory = if may_cache {
            self.known.directory()
        } else {
            Arc::new(self.store.directory().await?.record)
        };
        let namespace = directory.get(&namespace.slug).cloned().unwrap_or(namespace);
        Ok(match token {
            Some(token) => self.judged(&token, (&namespace, &digest), current, need, fence),
            None => Judged::refused(Refusal::Unknown, fence, self.clock.now()),
        })
    }

    /// The token that is known to have this digest. While there are two peppers, one that only had it before may have
    /// been redigested, here or by a server that is ahead: it is found by the other digest.
    fn cached(&self, digest: &Digest) -> Option<Facts> {
        let token = self.known.cache.get(digest)?;
        let may_judge = self.peppers.other().is_none() || token.secret_with(digest).is_some();
        may_judge.then_some(token)
    }

    /// The verdict on a secret that is kept as `digest`, and would be as `current` if it were issued now.
    fn judged(
        &self,
        facts: &Facts,
        (namespace, digest): (&Namespace, &Digest),
        current: Digest,
        need: &Need,
        revision: Revision,
    ) -> Judged {
        let now = self.clock.now();
        // What a text may do depends on the namespace that its prefix names.
        if facts.namespace != namespace.slug {
            return Judged::refused(Refusal::Unknown, revision, now);
        }
        let token = under::namespace(namespace, Arc::clone(&facts.token));
        let verdict = judge(&token, digest, need, now);
        let (verdict, rate) = match need.cost {
            Some(cost) => self
                .limits
                .apply(verdict, facts, namespace, cost, self.clock.uptime()),
            None => (verdict, None),
        };
        self.uses.note((&token, namespace), digest, &verdict, now);
        let presented = token.secret_with(digest);
        if matches!(verdict, Verdict::Accepted { .. })
            && let Some(kept) = presented
            && kept.pepper < self.peppers.current().id()
        {
            // No verdict waits for it, or fails with it: where there is no room, the next use asks again.
            let _ = self.redigests.try_send(Redigest {
                token_id: token.id,
                version: kept.version,
                digest: current,
                pepper: self.peppers.current().id(),
            });
        }
        Judged {
            verdict,
            secret_version: presented.map(|kept| kept.version),
            token: Some(token),
            time: now,
            rate,
            revision,
        }
    }

    /// What can be told of a secret from its text alone; garbage ends here.
    fn parse(&self, secret: &Secret, need: &Need) -> Result<Arc<Namespace>, Refusal> {
        let text = secret.expose();
        if text.len() > SECRET_BYTES_MAX {
            return Err(Refusal::Malformed);
        }
        let directory = self.known.directory();
        let namespace = directory.detect(text).ok_or(Refusal::Malformed)?;
        namespace.format.parse(secret).map_err(|_| Refusal::Malformed)?;
        match &need.namespace {
            Some(wanted) if *wanted != namespace.slug => Err(Refusal::WrongNamespace),
            _ => Ok(Arc::clone(namespace)),
        }
    }

    /// Returns once every change up to `revision` is in force here: what it narrowed, no later Verify accepts.
    pub async fn applied(&self, revision: Revision, at_most: Duration) -> Result<(), NotYetApplied> {
        let mut following = self.following.clone();
        let stopped = |following: &Following| matches!(following, Following::Stopped(_));
        let settled = following.wait_for(|following| following.has_applied(revision) || stopped(following));
        match tokio::time::timeout(at_most, settled).await {
            Ok(Ok(following)) if following.has_applied(revision) => Ok(()),
            Ok(_) | Err(_) => Err(NotYetApplied { waited: at_most }),
        }
    }

    /// The namespace whose tokens begin as `secret` does, as far as is known here.
    pub fn namespace_of(&self, secret: &Secret) -> Option<Arc<Namespace>> {
        self.known.directory().detect(secret.expose()).cloned()
    }

    /// The namespaces as far as they have been applied here.
    pub fn directory(&self) -> Arc<Directory> {
        self.known.directory()
    }

    /// How far this verifier has come; it says so when it stops.
    pub fn following(&self) -> watch::Receiver<Following> {
        self.following.clone()
    }
}

impl Known {
    fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, directory: Directory) {
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }
}
