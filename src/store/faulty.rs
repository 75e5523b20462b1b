//! A store that fails, stalls or misreads as told: faults are values, given before the calls they meet.

mod access;
mod budgets;
mod gate;
mod usage;
mod webhooks;
mod evidence;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use super::member::MemberId;
use super::roll::{Member, Roll};
use super::select::{Count, Selection, Slice};
use super::{EntryFilter, Head, Look, Outcome, READ_MAX, Store, StoreError};
use crate::journal::{Draft, Entry, Revision, Room, Stored};
use crate::token::Token;
use crate::token::answer::SealedAnswer;
use crate::token::format::Hint;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::namespace::Directory;
use crate::token::order::{OrderBy, Place};
use crate::token::secret::Digest;
use crate::token::selector::Filter;
use crate::token::standing::Standing;
use crate::token::text::Subject;
use crate::token::time::Timestamp;
pub(crate) use gate::Gate;

/// A store between its callers and the one that does the work.
#[derive(Debug)]
pub(crate) struct Faulty {
    store: Mutex<Arc<dyn Store>>,
    script: Mutex<Script>,
    /// Where hints come from that never come; `None`: they come from the store.
    silence: Option<watch::Sender<Revision>>,
}

#[derive(Default, Debug)]
struct Script {
    calls: HashMap<Call, usize>,
    faults: HashMap<(Call, usize), Fault>,
    refused: HashSet<RequestDigest>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Call {
    Commit,
    Token,
    TokensByDigest,
    Tokens,
    Count,
    Standings,
    Subjects,
    NewestToken,
    CountTokens,
    Directory,
    Entries,
    EntryOfRequest,
    Answer,
    SweepAnswers,
    Head,
    Trim,
    Search,
    RefusedCalls,
    Checkpoints,
    Join,
    Renew,
    Members,
    Remove,
    AddUsage,
    Usages,
    EraseUsage,
    UsageSince,
    BeginUsage,
    EndUsage,
    Share,
    SweepBudgets,
    Advance,
    KeepAccess,
    Access,
    EraseAccess,
    TendAccess,
}

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Unavailable, and nothing was done.
    Before,
    /// Unavailable, and yet it was done: an error at COMMIT may have committed.
    After,
    /// It is done, but the answer waits until the gate is opened.
    Held(Gate),
    /// What was read is not what this program writes.
    Corrupt,
    /// Entries are read from one later than asked.
    Skips,
    /// Entries are read from one earlier than asked, look-ups where the journal is one shorter.
    Rewinds,
}

impl Faulty {
    pub(crate) fn over(store: Arc<dyn Store>) -> Faulty {
        Faulty {
            store: Mutex::new(store),
            script: Mutex::default(),
            silence: None,
        }
    }

    /// Every hint of a commit is missed.
    pub(crate) fn without_hints(self) -> Faulty {
        Faulty {
            silence: Some(watch::Sender::new(Revision::ZERO)),
            ..self
        }
    }

    /// Gives the `n`-th call of this kind from now its fault; the next one is the first.
    pub(crate) fn nth(&self, n: usize, call: Call, fault: Fault) {
        let mut script = self.script();
        let before = script.calls.get(&call).copied().unwrap_or_default();
        script.faults.insert((call, before + n), fault);
    }

    /// Takes back the faults of the calls of this kind that are to come.
    pub(crate) fn heal(&self, call: Call) {
        self.script().faults.retain(|(kind, _), _| *kind != call);
    }

    /// Gives the next call of this kind a gate to wait at.
    pub(crate) fn hold(&self, call: Call) -> Gate {
        let gate = Gate::default();
        self.nth(1, call, Fault::Held(gate.clone()));
        gate
    }

    /// Every commit with a draft of this request fails, and writes nothing.
    pub(crate) fn refuse(&self, request_id: RequestDigest) {
        self.script().refused.insert(request_id);
    }

    /// So many calls of this kind were made.
    pub(crate) fn calls(&self, call: Call) -> usize {
        self.script().calls.get(&call).copied().unwrap_or_default()
    }

    pub(crate) fn all_calls(&self) -> usize {
        self.script().calls.values().sum()
    }

    /// From now on it is another store that does the work, as when a backup was restored.
    pub(crate) fn replace(&self, store: Arc<dyn Store>) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = store;
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call; the fault it meets.
    fn fault(&self, call: Call) -> Option<Fault> {
        let mut script = self.script();
        let count = script.calls.entry(call).or_default();
        *count += 1;
        let key = (call, *count);
        script.faults.remove(&key)
    }

    async fn meet<T>(
        &self,
        call: Call,
        answer: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        suffer(self.fault(call), answer).await
    }
}

async fn suffer<T>(
    fault: Option<Fault>,
    answer: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    match fault {
        None | Some(Fault::Skips | Fault::Rewinds) => answer.await,
        Some(Fault::Before) => Err(unavailable()),
        Some(Fault::After) => answer.await.and(Err(unavailable())),
        Some(Fault::Held(gate)) => {
            let answer = answer.await;
            gate.pass().await;
            answer
        }
        Some(Fault::Corrupt) => Err(StoreError::corrupt("as scripted")),
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("as scripted".into())
}

#[async_trait]
impl Store for Faulty {
    async fn commit(&self, drafts: Vec<Draft>) -> Result<Vec<Outcome>, StoreError> {
        let refused = {
            let script = self.script();
            drafts
                .iter()
                .any(|draft| script.refused.contains(&draft.request_id))
        };
        match self.fault(Call::Commit) {
            _ if refused => Err(StoreError::corrupt("as scripted")),
            fault => suffer(fault, self.store().commit(drafts)).await,
        }
    }

    async fn token(&self, id: TokenId) -> Result<Option<Stored<Token>>, StoreError> {
        self.meet(Call::Token, self.store().token(id)).await
    }

    async fn look_up(&self, digests: Vec<Digest>, hints: Vec<Hint>) -> Result<Look, StoreError> {
        let asked = digests.len().max(hints.len());
        assert!(asked <= READ_MAX as usize, "{asked} asked for");
        let fault = self.fault(Call::TokensByDigest);
        let rewinds = matches!(fault, Some(Fault::Rewinds));
        let mut look = suffer(fault, self.store().look_up(digests, hints)).await?;
        if rewinds {
            look.fence = Revision::new(look.fence.get() - 1);
        }
        Ok(look)
    }

    async fn tokens(&self, selection: Selection) -> Result<Slice, StoreError> {
        assert!(selection.limit <= READ_MAX, "{} tokens", selection.limit);
        self.meet(Call::Tokens, self.store().tokens(selection)).await
    }

    async fn count(&self, filter: Filter, by: OrderBy, after: Option<Place>) -> Result<Count, StoreError> {
        self.meet(Call::Count, self.store().count(filter, by, after))
            .await
    }

    async fn standings(
        &self,
        namespace: Slug,
        subjects: Vec<Subject>,
    ) -> Result<Vec<Option<Stored<Standing>>>, StoreError> {
        assert!(subjects.len() <= READ_MAX as usize, "{} subjects", subjects.len());
        self.meet(Call::Standings, self.store().standings(namespace, subjects))
            .await
    }

    async fn subjects(
        &self,
        namespace: Slug,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<Standing>, StoreError> {
        assert!(limit <= READ_MAX, "{limit} subjects");
        self.meet(Call::Subjects, self.store().subjects(namespace, after, limit))
            .await
    }

    async fn newest_token(
        &self,
        namespace: Slug,
        subject: Option<Subject>,
    ) -> Result<Option<TokenId>, StoreError> {
        self.meet(Call::NewestToken, self.store().newest_token(namespace, subject))
            .await
    }

    async fn count_tokens(&self, room: Room) -> Result<u32, StoreError> {
        self.meet(Call::CountTokens, self.store().count_tokens(room))
            .await
    }

    async fn directory(&self) -> Result<Stored<Directory>, StoreError> {
        self.meet(Call::Directory, self.store().directory()).await
    }

    async fn entries(
        &self,
        after: Revision,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        assert!(limit <= READ_MAX, "{limit} entries");
        let fault = self.fault(Call::Entries);
        let after = match fault {
            Some(Fault::Skips) => after.next(),
            Some(Fault::Rewinds) => Revision::new(after.get() - 1),
            _ => after,
        };
        suffer(fault, self.store().entries(after, filter, limit)).await
    }

    async fn entry_of_request(&self, request_id: RequestDigest) -> Result<Option<Entry>, StoreError> {
        self.meet(Call::EntryOfRequest, self.store().entry_of_request(request_id))
            .await
    }

    async fn answer(&self, revision: Revision) -> Result<Option<SealedAnswer>, StoreError> {
        self.meet(Call::Answer, self.store().answer(revision)).await
    }

    async fn sweep_answers(&self, until: Timestamp) -> Result<u64, StoreError> {
        self.meet(Call::SweepAnswers, self.store().sweep_answers(until))
            .await
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.meet(Call::Head, self.store().head()).await
    }

    async fn trim(&self, through: Revision) -> Result<(), StoreError> {
        self.meet(Call::Trim, self.store().trim(through)).await
    }

    fn committed(&self) -> watch::Receiver<Revision> {
        match &self.silence {
            Some(silence) => silence.subscribe(),
            None => self.store().committed(),
        }
    }

    fn roll(&self) -> Option<&dyn Roll> {
        self.store().roll().map(|_| self as &dyn Roll)
    }

    async fn close(&self) {
        self.store().close().await;
    }
}

#[async_trait]
impl Roll for Faulty {
    async fn join(&self, id: MemberId, name: &str) -> Result<(), StoreError> {
        let store = self.store();
        self.meet(Call::Join, roll(&store)?.join(id, name)).await
    }

    async fn renew(&self, id: MemberId, acked: Revision) -> Result<Option<Head>, StoreError> {
        let store = self.store();
        self.meet(Call::Renew, roll(&store)?.renew(id, acked)).await
    }

    async fn news(&self, after: Revision, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.entries(after, EntryFilter::ALL, limit).await
    }

    async fn members(&self) -> Result<Vec<Member>, StoreError> {
        let store = self.store();
        self.meet(Call::Members, roll(&store)?.members()).await
    }

    async fn remove(&self, seen: &Member) -> Result<bool, StoreError> {
        let store = self.store();
        self.meet(Call::Remove, roll(&store)?.remove(seen)).await
    }
}

fn roll(store: &Arc<dyn Store>) -> Result<&dyn Roll, StoreError> {
    store.roll().ok_or_else(unavailable)
}
