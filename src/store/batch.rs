//! What a transaction is to write, decided from what it read: the same for every store.

use std::collections::{HashMap, HashSet};

use super::{Head, Outcome, StoreError};
use crate::journal::{Change, Draft, Entry, Revision};
use crate::token::id::{RequestId, TokenId};

/// What a transaction has read, under its write lock, of the records its drafts concern.
#[derive(Default, Debug)]
pub(super) struct Seen {
    /// Entries written earlier for a request of the batch.
    pub repeated: HashMap<RequestId, Entry>,
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
