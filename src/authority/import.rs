//! Import: tokens that were issued elsewhere, with digests of their secrets.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::yield_now;

use super::writer::AllSent;
use super::{Authority, AuthorityError};
use crate::journal::{Change, Draft, Entry, Origin};
use crate::store::{Outcome, StoreError, TO_TRY_MAX};
use crate::token::Token;
use crate::token::caller::Caller;
use crate::token::change::TokenChange;
use crate::token::format::Hint;
use crate::token::id::{ImportId, RequestDigest, Slug, TokenId};
use crate::token::import::{ImportedDigest, Row, RowRefused, import};
use crate::token::namespace::Namespace;
use crate::token::secret::Digest;
use crate::token::time::Timestamp;

/// The most rows that are imported at once: they fit into one transaction.
pub const ROWS_MAX: usize = 256;
/// Messages of an import that were sent to be written, and of which nothing was told yet. While one is written the next
/// waits at hand, and one more is decided on.
const AHEAD_MAX: usize = 4;
/// Imports under way at once. With [`AHEAD_MAX`] messages of [`ROWS_MAX`] rows they fill the queue of the writer that is
/// theirs, and no other.
pub(super) const IMPORTS_MAX: usize = 4;
/// So many rows are decided on before others have their turn on the thread.
const TURN_ROWS: usize = 32;

/// An import under way. It has its place among them until it is dropped.
#[derive(Debug)]
pub struct Import {
    id: ImportId,
    namespace: Arc<Namespace>,
    dry_run: bool,
    /// Oldest first.
    ahead: VecDeque<Message>,
    _place: OwnedSemaphorePermit,
}

/// The rows of a message that were sent to be written.
#[derive(Debug)]
struct Message {
    /// What became of each row, those aside that were sent.
    imported: Vec<Imported>,
    rows: Vec<Decided>,
    sent: AllSent,
}

/// What became of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Imported {
    /// In a dry run: it would be.
    Now,
    /// By the same import, before.
    Before,
    Refused(RowRefused),
}

/// What rows are compared with: the tokens there are.
struct There {
    by_digest: HashMap<Digest, TokenId>,
    /// Secrets that have yet to be tried, by how they begin.
    alike: HashMap<Hint, usize>,
}

/// A row on its way to be written, and what it is recognised by.
#[derive(Debug)]
struct Decided {
    position: usize,
    chance: [u8; 10],
    request_id: RequestDigest,
    /// Under the current pepper, and under the other one.
    digests: Vec<Digest>,
    /// How it begins, if it has to be tried.
    hint: Option<Hint>,
}

impl Import {
    pub fn namespace(&self) -> &Slug {
        &self.namespace.slug
    }

    /// Whether there is anything that [`Authority::imported`] has yet to tell.
    pub fn is_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Whether [`Authority::import`] may be asked for more.
    pub fn has_room(&self) -> bool {
        self.ahead.len() < AHEAD_MAX
    }

    /// Waits until all rows of the oldest message that was sent have their outcome. May be cut short.
    pub async fn oldest_written(&mut self) {
        if let Some(oldest) = self.ahead.front_mut() {
            oldest.sent.written().await;
        }
    }

    /// Whether what became of a message ahead may have a say in what becomes of these rows.
    fn is_touched_by(&self, rows: &[Decided]) -> bool {
        let ahead = || self.ahead.iter().flat_map(|message| &message.rows);
        let requests: HashSet<_> = ahead().map(|row| row.request_id).collect();
        let digests: HashSet<_> = ahead().flat_map(|row| &row.digests).collect();
        let hints: HashSet<_> = ahead().filter_map(|row| row.hint.as_ref()).collect();
        rows.iter().any(|row| {
            requests.contains(&row.request_id)
                || row.digests.iter().any(|digest| digests.contains(digest))
                || row.hint.as_ref().is_some_and(|hint| hints.contains(hint))
        })
    }
}

impl Authority {
    /// Begins an import into a namespace that the caller may import into.
    pub async fn begin_import(
        &self,
        namespace: &Slug,
        id: ImportId,
        dry_run: bool,
    ) -> Result<Import, AuthorityError> {
        let max = IMPORTS_MAX;
        let place = Arc::clone(&self.imports).try_acquire_owned();
        let place = place.map_err(|_| AuthorityError::TooManyImports { max })?;
        let directory = self.store.directory().await?.record;
        let found = directory.get(namespace);
        let namespace = found.ok_or_else(|| AuthorityError::NamespaceNotFound(namespace.clone()))?;
        if namespace.format.is_tagged() {
            return Err(AuthorityError::FormatTagged(namespace.slug.clone()));
        }
        Ok(Import {
            id,
            namespace: Arc::clone(namespace),
            dry_run,
            ahead: VecDeque::new(),
            _place: place,
        })
    }

    /// Sends up to [`ROWS_MAX`] rows to be written, those that could be read; [`Authority::imported`] says what became
    /// of them. They are judged as if all that was sent before them were written.
    ///
    /// An error says nothing about any of them: sent again, each is imported once. What a namespace demands of what is
    /// issued in it (names, lifetimes, tokens of a subject) is not demanded here: these tokens are out already.
    pub async fn import(
        &self,
        caller: &Caller,
        under_way: &mut Import,
        rows: Vec<Result<Row, RowRefused>>,
    ) -> Result<(), AuthorityError> {
        let now = self.clock.now();
        let mut imported = Vec::with_capacity(rows.len());
        let mut decided = Vec::with_capacity(rows.len());
        let mut drafts = Vec::with_capacity(rows.len());
        for (position, row) in rows.into_iter().enumerate() {
            if position % TURN_ROWS == TURN_ROWS - 1 {
                yield_now().await;
            }
            let row = row.and_then(|row| self.decide(caller, under_way, row, now));
            imported.push(match row {
                Ok((row, draft)) => {
                    decided.push(Decided { position, ..row });
                    drafts.push(draft);
                    Imported::Now
                }
                Err(refused) => Imported::Refused(refused),
            });
        }
        if under_way.is_touched_by(&decided) {
            for message in &mut under_way.ahead {
                message.sent.written().await;
            }
        }
        let there = self.there(&decided).await?;
        let mut seen = Seen::default();
        let (mut to_send, mut sent) = (Vec::with_capacity(drafts.len()), Vec::with_capacity(drafts.len()));
        for (row, draft) in decided.into_iter().zip(drafts) {
            match there.and_seen(&mut seen, &row) {
                Imported::Now if !under_way.dry_run => {
                    to_send.push(draft);
                    sent.push(row);
                }
                known => imported[row.position] = known,
            }
        }
        under_way.ahead.push_back(Message {
            imported,
            rows: sent,
            sent: self.writer.send_all(to_send).await?,
        });
        Ok(())
    }

    /// What became of the rows of the oldest message of which it was not told yet, in order; `None`: there is none.
    pub async fn imported(&self, under_way: &mut Import) -> Result<Option<Vec<Imported>>, AuthorityError> {
        under_way.oldest_written().await;
        let Some(message) = under_way.ahead.pop_front() else {
            return Ok(None);
        };
        let mut imported = message.imported;
        for (row, outcome) in message.rows.into_iter().zip(message.sent.outcomes()) {
            imported[row.position] = self.written(&row, outcome).await?;
        }
        Ok(Some(imported))
    }

    fn decide(
        &self,
        caller: &Caller,
        under_way: &Import,
        row: Row,
        now: Timestamp,
    ) -> Result<(Decided, Draft), RowRefused> {
        let Import { id, namespace, .. } = under_way;
        let slug = &namespace.slug;
        caller.check_passing_on(slug, &row.scopes, row.expire_time)?;
        let chance = id.chance(slug, &row.key);
        let request_id = RequestDigest::of_imported(id, slug, &row.key);
        let other = match (&row.digest, self.peppers.other()) {
            (ImportedDigest::Sha256(fast), Some(other)) => Some(other.wrap(fast)),
            _ => None,
        };
        let token = import(row, namespace, TokenId::new(now, chance), &self.peppers, now)?;
        let kept = token.current_secret().filter(|kept| kept.phc.is_some());
        let hint = kept.map(|kept| kept.hint.clone());
        let digests = token
            .secrets
            .iter()
            .map(|kept| kept.digest)
            .chain(other)
            .collect();
        let origin = Origin {
            request_id,
            time: now,
            actor: caller.actor(),
        };
        let draft = Draft::of_token(origin, None, TokenChange::Imported(Box::new(token)));
        let row = Decided {
            position: 0,
            chance,
            request_id,
            digests,
            hint,
        };
        Ok((row, draft.map_err(|_| RowRefused::KeyTaken)?))
    }

    /// What is there already of what these rows would make.
    async fn there(&self, rows: &[Decided]) -> Result<There, AuthorityError> {
        let mut there = There {
            by_digest: HashMap::new(),
            alike: HashMap::new(),
        };
        let digests: Vec<_> = rows.iter().flat_map(|row| row.digests.iter().copied()).collect();
        let hints: HashSet<_> = rows.iter().filter_map(|row| row.hint.clone()).collect();
        if digests.is_empty() {
            return Ok(there);
        }
        let look = self
            .store
            .look_up(digests.clone(), hints.into_iter().collect())
            .await?;
        for (digest, token) in digests.into_iter().zip(look.tokens) {
            if let Some(token) = token.map_err(StoreError::from)? {
                there.by_digest.insert(digest, token.id);
            }
        }
        for (token, _) in &look.to_try {
            for kept in token.secrets.iter().filter(|kept| kept.phc.is_some()) {
                *there.alike.entry(kept.hint.clone()).or_default() += 1;
            }
        }
        Ok(there)
    }

    /// What became of a row that went to be written.
    async fn written(
        &self,
        row: &Decided,
        outcome: Result<Outcome, StoreError>,
    ) -> Result<Imported, AuthorityError> {
        match outcome {
            Ok(Outcome::Written(_)) => Ok(Imported::Now),
            Ok(Outcome::Repeated(entry)) if row.was_imported_as(&entry) => Ok(Imported::Before),
            Ok(Outcome::Repeated(_) | Outcome::Conflict) => Ok(Imported::Refused(RowRefused::KeyTaken)),
            // Another import may have been faster with the same digest.
            Err(StoreError::Corrupt { what }) => {
                let look = self.store.tokens_by_digest(row.digests.clone()).await?;
                let mut found = look.tokens.into_iter().filter_map(|token| token.ok().flatten());
                match found.next() {
                    Some(token) => Ok(row.against(token.id)),
                    None => Err(StoreError::Corrupt { what }.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The token that a change imports.
fn token_of(change: &Change) -> Option<&Token> {
    match change {
        Change::Token {
            change: TokenChange::Imported(token),
            ..
        } => Some(token),
        _ => None,
    }
}

/// The rows of a message so far.
#[derive(Default)]
struct Seen {
    digests: HashSet<Digest>,
    requests: HashSet<RequestDigest>,
    alike: HashMap<Hint, usize>,
}

impl There {
    fn and_seen(&self, seen: &mut Seen, row: &Decided) -> Imported {
        let taken = row.digests.iter().find_map(|digest| self.by_digest.get(digest));
        if let Some(id) = taken {
            return row.against(*id);
        }
        if !row.digests.iter().all(|digest| seen.digests.insert(*digest)) {
            return Imported::Refused(RowRefused::DigestTwice);
        }
        if !seen.requests.insert(row.request_id) {
            return Imported::Refused(RowRefused::KeyTaken);
        }
        if let Some(hint) = &row.hint {
            let max = TO_TRY_MAX as usize;
            let more = seen.alike.entry(hint.clone()).or_default();
            if self.alike.get(hint).copied().unwrap_or_default() + *more >= max {
                return Imported::Refused(RowRefused::TooManyAlike { max });
            }
            *more += 1;
        }
        Imported::Now
    }
}

impl Decided {
    /// Whether `entry`, of the same key, imported the same secret.
    fn was_imported_as(&self, entry: &Entry) -> bool {
        let secrets = token_of(&entry.change).map(|token| &token.secrets);
        secrets.is_some_and(|secrets| secrets.iter().any(|kept| self.digests.contains(&kept.digest)))
    }

    /// Its digest is that of a token there is: one that it made itself, or another.
    fn against(&self, id: TokenId) -> Imported {
        if id.has_chance(self.chance) {
            Imported::Before
        } else {
            Imported::Refused(RowRefused::DigestTaken(id))
        }
    }
}

#[cfg(test)]
mod tests;
