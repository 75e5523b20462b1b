//! The oracle: what a store must do, without a database. Nothing survives the process.

mod access;
mod budgets;
mod evidence;
mod members;
mod select;
mod usage;
mod webhooks;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use super::batch::{Plan, Seen, SubjectKey, endpoints, plan, rooms, subjects};
use super::member::MemberId;
use super::roll::{Member, Roll};
use super::select::{Count, Selection, Slice};
use super::{EntryFilter, Head, Look, Outcome, SWEEP_MAX, Store, StoreError, TO_TRY_MAX};
use crate::clock::{Clock, SystemClock};
use crate::journal::cursor::Epoch;
use crate::journal::link::Link;
use crate::journal::{Draft, Entry, Record, Revision, Room, Stored};
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

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
    committed: watch::Sender<Revision>,
    shared: bool,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Kept {
    head: Head,
    entries: BTreeMap<Revision, Entry>,
    requests: HashMap<RequestDigest, Revision>,
    tokens: BTreeMap<TokenId, Stored<Token>>,
    digests: HashMap<Digest, TokenId>,
    directory: Stored<Directory>,
    standings: BTreeMap<SubjectKey, Stored<Standing>>,
    answers: BTreeMap<Revision, SealedAnswer>,
    members: BTreeMap<MemberId, Member>,
    usage: usage::KeptUsage,
    budgets: budgets::Kept,
    webhooks: webhooks::Kept,
    evidence: evidence::Evidence,
    access: access::Kept,
}

impl MemoryStore {
    pub fn new(epoch: Epoch) -> MemoryStore {
        let head = Head {
            epoch,
            revision: Revision::ZERO,
            link: Link::START,
            oldest: Revision::ZERO.next(),
        };
        let kept = Kept {
            head,
            entries: BTreeMap::new(),
            requests: HashMap::new(),
            tokens: BTreeMap::new(),
            digests: HashMap::new(),
            directory: Stored {
                record: Directory::default(),
                version: Revision::ZERO,
            },
            standings: BTreeMap::new(),
            answers: BTreeMap::new(),
            members: BTreeMap::new(),
            usage: usage::KeptUsage::default(),
            budgets: budgets::Kept::default(),
            webhooks: webhooks::Kept::default(),
            evidence: evidence::Evidence::default(),
            access: access::Kept::default(),
        };
        MemoryStore {
            kept: Mutex::new(kept),
            committed: watch::Sender::new(Revision::ZERO),
            shared: false,
            clock: Arc::new(SystemClock),
        }
    }

    /// The same store, by another clock.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> MemoryStore {
        MemoryStore { clock, ..self }
    }

    /// The same store, as one that several verifiers answer for.
    pub fn shared(self) -> MemoryStore {
        MemoryStore { shared: true, ..self }
    }

    /// Every change is made whole while the lock is held, so a panic elsewhere leaves nothing half done.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn seen(&self, drafts: &[Draft]) -> Seen {
        let repeated = drafts.iter().filter_map(|draft| {
            let entry = self.entries.get(self.requests.get(&draft.request_id)?)?;
            Some((draft.request_id, entry.clone()))
        });
        let versions = drafts.iter().filter_map(|draft| {
            let id = draft.change().token_id()?;
            Some((id, self.tokens.get(&id)?.version))
        });
        let standings = subjects(drafts).into_iter().filter_map(|(namespace, subject)| {
            let key = (namespace.clone(), subject.clone());
            let version = self.standings.get(&key)?.version;
            Some((key, version))
        });
        Seen {
            repeated: repeated.collect(),
            versions: versions.collect(),
            newest_namespace: self.directory.version,
            standings: standings.collect(),
            counts: rooms(drafts)
                .into_iter()
                .map(|room| self.count_room(room))
                .collect(),
            endpoints: self.webhooks.versions(endpoints(drafts).0),
            endpoint_counts: self.webhooks.counts(endpoints(drafts).1),
        }
    }

    fn count_room(&self, room: &Room) -> u32 {
        let tokens = self.tokens.values().map(|stored| &stored.record);
        let counted = tokens.filter(|token| {
            token.namespace == room.namespace
                && token.subject == room.subject
                && token.revocation.is_none()
                && token.expire_time.is_none_or(|end| end > room.now)
                && room.since.is_none_or(|since| token.create_time > since)
        });
        u32::try_from(counted.count()).unwrap_or(u32::MAX)
    }

    fn write(&mut self, draft: &Draft, entry: Entry) {
        let version = entry.revision;
        match draft.after() {
            Record::Token(token) => {
                self.digests.retain(|_, id| *id != token.id);
                self.digests
                    .extend(token.secrets.iter().map(|kept| (kept.digest, token.id)));
                self.tokens.insert(
                    token.id,
                    Stored {
                        record: token.clone(),
                        version,
                    },
                );
            }
            Record::Namespace(namespace) => {
                self.directory.record.put(namespace.clone());
                self.directory.version = version;
            }
            Record::Standing(standing) => {
                let record = standing.clone();
                let key = (record.namespace.clone(), record.subject.clone());
                self.standings.insert(key, Stored { record, version });
            }
            Record::Endpoint(_) => self.webhooks.write(draft, version),
        }
        self.answers
            .extend(draft.answer().map(|answer| (version, answer.clone())));
        self.requests.insert(entry.request_id, version);
        self.entries.insert(version, entry);
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, drafts: Vec<Draft>) -> Result<Vec<Outcome>, StoreError> {
        let mut kept = self.kept();
        let Plan {
            outcomes,
            writes,
            head,
        } = plan(drafts.clone(), kept.seen(&drafts), kept.head)?;
        for (draft, entry) in writes {
            kept.write(&draft, entry);
        }
        kept.head = head;
        // Under the lock, so that the hint never goes back.
        self.committed.send_replace(head.revision);
        Ok(outcomes)
    }

    async fn token(&self, id: TokenId) -> Result<Option<Stored<Token>>, StoreError> {
        Ok(self.kept().tokens.get(&id).cloned())
    }

    async fn look_up(&self, digests: Vec<Digest>, hints: Vec<Hint>) -> Result<Look, StoreError> {
        let kept = self.kept();
        let tokens = || kept.tokens.values().map(|stored| &stored.record);
        let mut to_try = BTreeMap::new();
        for hint in &hints {
            let begins = tokens().filter(|token| token.secrets_to_try(hint).next().is_some());
            to_try.extend(
                begins
                    .take(TO_TRY_MAX as usize)
                    .map(|token| (token.id, token.clone())),
            );
        }
        let token = |digest| Some(kept.tokens.get(kept.digests.get(digest)?)?.record.clone());
        let tokens: Vec<_> = digests.iter().map(token).collect();
        let standing = |token: &Token| kept.standing_of(token).cloned();
        let with_standing = |token: Token| {
            let standing = standing(&token);
            (token, standing)
        };
        Ok(Look {
            standings: tokens.iter().map(|token| standing(token.as_ref()?)).collect(),
            tokens: tokens.into_iter().map(Ok).collect(),
            to_try: to_try.into_values().map(with_standing).collect(),
            fence: kept.head.revision,
        })
    }

    async fn tokens(&self, selection: Selection) -> Result<Slice, StoreError> {
        let kept = self.kept();
        if !selection.filter.selector.ids.is_empty() {
            return Ok(selection.slice_of(kept.named(), kept.last_use()));
        }
        let (mut rows, end) = kept.next_rows(&selection);
        rows.retain(kept.is_meant(&selection.filter));
        rows.truncate(selection.limit as usize);
        Ok(selection.slice(rows, end))
    }

    async fn count(&self, filter: Filter, by: OrderBy, after: Option<Place>) -> Result<Count, StoreError> {
        let selection = Selection::to_count(filter, by, after);
        let kept = self.kept();
        if !selection.filter.selector.ids.is_empty() {
            return Ok(selection.count_of_ids(&kept.named(), kept.last_use()));
        }
        let (rows, next) = kept.next_rows(&selection);
        let is_meant = kept.is_meant(&selection.filter);
        let wanted = rows.iter().filter(|stored| is_meant(stored));
        Ok(Count {
            tokens: wanted.count() as u64,
            next,
        })
    }

    async fn standings(
        &self,
        namespace: Slug,
        subjects: Vec<Subject>,
    ) -> Result<Vec<Option<Stored<Standing>>>, StoreError> {
        let kept = self.kept();
        let standing = |subject| kept.standings.get(&(namespace.clone(), subject)).cloned();
        Ok(subjects.into_iter().map(standing).collect())
    }

    async fn subjects(
        &self,
        namespace: Slug,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<Standing>, StoreError> {
        let kept = self.kept();
        let standings = kept.standings.values().map(|stored| &stored.record);
        let wanted = standings.filter(|standing| {
            standing.namespace == namespace && after.as_ref().is_none_or(|after| standing.subject > *after)
        });
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn newest_token(
        &self,
        namespace: Slug,
        subject: Option<Subject>,
    ) -> Result<Option<TokenId>, StoreError> {
        let kept = self.kept();
        let mut newest_first = kept.tokens.values().rev().map(|stored| &stored.record);
        let newest = newest_first.find(|token| {
            token.namespace == namespace && subject.as_ref().is_none_or(|subject| token.subject == *subject)
        });
        Ok(newest.map(|token| token.id))
    }

    async fn count_tokens(&self, room: Room) -> Result<u32, StoreError> {
        Ok(self.kept().count_room(&room))
    }

    async fn directory(&self) -> Result<Stored<Directory>, StoreError> {
        Ok(self.kept().directory.clone())
    }

    async fn entries(
        &self,
        after: Revision,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let kept = self.kept();
        let wanted = kept
            .entries
            .range((Bound::Excluded(after), Bound::Unbounded))
            .map(|(_, entry)| entry)
            .filter(|entry| {
                filter
                    .namespace
                    .as_ref()
                    .is_none_or(|slug| slug == entry.change.namespace())
                    && filter
                        .token_id
                        .is_none_or(|id| entry.change.token_id() == Some(id))
            });
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn entry_of_request(&self, request_id: RequestDigest) -> Result<Option<Entry>, StoreError> {
        let kept = self.kept();
        Ok(kept
            .requests
            .get(&request_id)
            .and_then(|revision| kept.entries.get(revision))
            .cloned())
    }

    async fn answer(&self, revision: Revision) -> Result<Option<SealedAnswer>, StoreError> {
        Ok(self.kept().answers.get(&revision).cloned())
    }

    async fn sweep_answers(&self, until: Timestamp) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        let mut over: Vec<_> = kept
            .answers
            .iter()
            .map(|(revision, answer)| (answer.expire_time, *revision))
            .filter(|(expire_time, _)| *expire_time <= until)
            .collect();
        over.sort_unstable();
        over.truncate(SWEEP_MAX as usize);
        for (_, revision) in &over {
            kept.answers.remove(revision);
        }
        Ok(over.len() as u64)
    }

    async fn head(&self) -> Result<Head, StoreError> {
        Ok(self.kept().head)
    }

    async fn trim(&self, through: Revision) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let Kept {
            entries,
            requests,
            head,
            ..
        } = &mut *kept;
        // The head itself is kept, whatever is asked for.
        entries.retain(|revision, _| *revision > through || *revision == head.revision);
        requests.retain(|_, revision| entries.contains_key(revision));
        head.oldest = entries.keys().next().copied().unwrap_or(head.revision.next());
        Ok(())
    }

    fn committed(&self) -> watch::Receiver<Revision> {
        self.committed.subscribe()
    }

    fn roll(&self) -> Option<&dyn Roll> {
        self.shared.then_some(self)
    }

    async fn close(&self) {}
}
