//! What a transaction is to write, decided from what it read: the same for every store.

use std::collections::{HashMap, HashSet};

use super::mac::{self, RowMac};
use super::{Head, Outcome, StoreError};
use crate::journal::{Change, Draft, Entry, Record, Revision};
use crate::token::Token;
use crate::token::answer::SealedAnswer;
use crate::token::change::TokenChange;
use crate::token::id::{RequestDigest, TokenId};
use crate::token::namespace::Namespace;
use crate::token::secret::RowKey;

/// What a transaction has read, under its write lock, of the records its drafts concern.
#[derive(Default, Debug)]
pub(super) struct Seen {
    /// Entries written earlier for a request of the batch.
    pub repeated: HashMap<RequestDigest, Entry>,
    /// The versions of the batch's tokens, those that exist.
    pub versions: HashMap<TokenId, Revision>,
    /// The newest change to any namespace.
    pub newest_namespace: Revision,
}

/// What a transaction is to write.
#[derive(Debug)]
pub(super) struct Plan {
    /// One for each draft, in order.
    pub outcomes: Vec<Outcome>,
    /// The drafts that go through, each with its entry, in revision order.
    pub writes: Vec<(Draft, Entry)>,
    /// Where the journal will end.
    pub head: Head,
}

/// Gives every draft its outcome, and those that go through their entries after `head`.
pub(super) fn plan(drafts: Vec<Draft>, mut seen: Seen, mut head: Head) -> Result<Plan, StoreError> {
    let mut outcomes = Vec::with_capacity(drafts.len());
    let mut writes = Vec::with_capacity(drafts.len());
    let mut claimed = HashSet::with_capacity(drafts.len());
    for draft in drafts {
        if let Some(first) = seen.repeated.get(&draft.request_id) {
            outcomes.push(Outcome::Repeated(first.clone()));
            continue;
        }
        // All namespaces share one guard, so a batch changes at most one of them.
        let record = draft.change().token_id();
        let version = match draft.change() {
            Change::Token { token_id, .. } => seen.versions.get(token_id).copied().unwrap_or_default(),
            Change::NamespaceCreated(_) | Change::NamespaceUpdated(_) => seen.newest_namespace,
        };
        if version != draft.guard() || !claimed.insert(record) {
            outcomes.push(Outcome::Conflict);
            continue;
        }
        let entry = Entry::seal(&draft, head.revision.next(), &head.link).map_err(StoreError::corrupt)?;
        head.revision = entry.revision;
        head.link = entry.link;
        seen.repeated.insert(draft.request_id, entry.clone());
        outcomes.push(Outcome::Written(entry.clone()));
        writes.push((draft, entry));
    }
    Ok(Plan {
        outcomes,
        writes,
        head,
    })
}

/// Insists on how many rows a statement of a plan wrote.
pub(super) fn all_written(written: u64, planned: usize) -> Result<(), StoreError> {
    if written == planned as u64 {
        return Ok(());
    }
    Err(StoreError::corrupt(format_args!(
        "{written} rows were written where {planned} were planned"
    )))
}

/// The records of a plan by what is done with their rows, in revision order.
#[derive(Default, Debug)]
pub(super) struct Rows<'a> {
    pub namespaces: Vec<NamespaceRow<'a>>,
    pub issued: Vec<TokenRow<'a>>,
    pub changed: Vec<TokenRow<'a>>,
    /// Those of the changed whose secrets are not what they were.
    pub rotated: Vec<TokenRow<'a>>,
    /// What their retries are answered with.
    pub answers: Vec<(Revision, &'a SealedAnswer)>,
}

/// A namespace as it is to lie in its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamespaceRow<'a> {
    pub namespace: &'a Namespace,
    pub version: Revision,
    pub mac: RowMac,
}

/// A token as it is to lie in its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenRow<'a> {
    pub token: &'a Token,
    pub version: Revision,
    /// The version that its row must still have.
    pub guard: Revision,
    pub mac: RowMac,
}

impl<'a> Rows<'a> {
    pub(super) fn of(writes: &'a [(Draft, Entry)], key: &RowKey) -> Result<Rows<'a>, StoreError> {
        let mut rows = Rows::default();
        for (draft, entry) in writes {
            rows.answers
                .extend(draft.answer().map(|answer| (entry.revision, answer)));
            let token = match draft.after() {
                Record::Token(token) => token,
                Record::Namespace(namespace) => {
                    let version = entry.revision;
                    rows.namespaces.push(NamespaceRow {
                        namespace,
                        version,
                        mac: mac::of_namespace(key, namespace, version)?,
                    });
                    continue;
                }
            };
            let row = TokenRow {
                token,
                version: entry.revision,
                guard: draft.guard(),
                mac: mac::of_token(key, token, entry.revision)?,
            };
            match draft.change() {
                Change::Token {
                    change: TokenChange::Issued(_) | TokenChange::Imported(_),
                    ..
                } => rows.issued.push(row),
                Change::Token {
                    change:
                        TokenChange::Rotated { .. }
                        | TokenChange::Redigested { .. }
                        | TokenChange::FirstUsed { .. }
                        | TokenChange::RetiredSecretUsed { .. },
                    ..
                } => {
                    rows.rotated.push(row);
                    rows.changed.push(row);
                }
                _ => rows.changed.push(row),
            }
        }
        Ok(rows)
    }
}
