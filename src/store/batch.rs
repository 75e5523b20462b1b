//! What a transaction is to write, decided from what it read: the same for every store.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::mac::{self, RowMac};
use super::{Head, Outcome, StoreError};
use crate::journal::{Change, Draft, Entry, Record, Revision, Room};
use crate::token::Token;
use crate::token::answer::SealedAnswer;
use crate::token::change::TokenChange;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::namespace::Namespace;
use crate::token::secret::RowKey;
use crate::token::standing::Standing;
use crate::token::text::Subject;
use crate::token::webhook::signing::SealedSigning;
use crate::token::webhook::{Endpoint, EndpointId, WebhookChange};

/// What a transaction has read, under its write lock, of the records its drafts concern.
#[derive(Default, Debug)]
pub(super) struct Seen {
    /// Entries written earlier for a request of the batch.
    pub repeated: HashMap<RequestDigest, Entry>,
    /// The versions of the batch's tokens, those that exist.
    pub versions: HashMap<TokenId, Revision>,
    /// The newest change to any namespace.
    pub newest_namespace: Revision,
    /// The versions of the batch's subjects, those of which something is said.
    pub standings: HashMap<SubjectKey, Revision>,
    /// For each draft in order that needs room: how many tokens its subject has.
    pub counts: VecDeque<u32>,
    /// The versions of the batch's endpoints, those that exist.
    pub endpoints: HashMap<EndpointId, Revision>,
    /// How many endpoints the namespaces have that are to get one.
    pub endpoint_counts: HashMap<Slug, u32>,
}

/// A subject is known by its name, in its namespace.
pub(super) type SubjectKey = (Slug, Subject);

/// What a draft changes: a batch changes it once.
#[derive(PartialEq, Eq, Hash, Debug)]
enum Claim {
    Token(TokenId),
    /// All namespaces share one guard.
    Namespaces,
    Subject(SubjectKey),
    /// A new one, among those of its namespace.
    NewEndpoint(Slug),
    Endpoint(EndpointId),
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
    let mut issued: HashMap<SubjectKey, u32> = HashMap::new();
    for draft in drafts {
        let count = draft.room().and_then(|_| seen.counts.pop_front());
        if let Some(first) = seen.repeated.get(&draft.request_id) {
            outcomes.push(Outcome::Repeated(first.clone()));
            continue;
        }
        let (claim, version) = match draft.change() {
            Change::Token { token_id, .. } => (
                Claim::Token(*token_id),
                seen.versions.get(token_id).copied().unwrap_or_default(),
            ),
            Change::Subject {
                namespace, subject, ..
            } => {
                let key = (namespace.clone(), subject.clone());
                let version = seen.standings.get(&key).copied().unwrap_or_default();
                (Claim::Subject(key), version)
            }
            Change::Webhook(WebhookChange::Created(endpoint)) => {
                let namespace = endpoint.namespace.clone();
                if seen.endpoint_counts.get(&namespace).copied().unwrap_or_default() >= Endpoint::COUNT_MAX {
                    outcomes.push(Outcome::Conflict);
                    continue;
                }
                let version = seen.endpoints.get(&endpoint.id).copied().unwrap_or_default();
                (Claim::NewEndpoint(namespace), version)
            }
            Change::Webhook(change) => {
                let id = change.endpoint().id;
                let version = seen.endpoints.get(&id).copied().unwrap_or_default();
                (Claim::Endpoint(id), version)
            }
            Change::NamespaceCreated(_) | Change::NamespaceUpdated(_) | Change::NamespaceIssuedRevoked(_) => {
                (Claim::Namespaces, seen.newest_namespace)
            }
        };
        if version != draft.guard() || claimed.contains(&claim) {
            outcomes.push(Outcome::Conflict);
            continue;
        }
        if let Some(room) = draft.room() {
            let before = issued
                .entry((room.namespace.clone(), room.subject.clone()))
                .or_default();
            if count.unwrap_or_default() + *before >= room.max {
                outcomes.push(Outcome::Conflict);
                continue;
            }
            *before += 1;
        }
        claimed.insert(claim);
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

/// What the drafts that need room ask to be counted, in order.
pub(super) fn rooms(drafts: &[Draft]) -> Vec<&Room> {
    drafts.iter().filter_map(Draft::room).collect()
}

/// The subjects that drafts change, each once, in one order everywhere.
pub(super) fn subjects(drafts: &[Draft]) -> BTreeSet<(&Slug, &Subject)> {
    let changes = drafts.iter().map(Draft::change);
    changes
        .filter_map(|change| Some((change.namespace(), change.subject()?)))
        .collect()
}

/// Whether any draft changes a namespace: only such a one is guarded by all of them.
pub(super) fn changes_namespaces(drafts: &[Draft]) -> bool {
    let mut changes = drafts.iter().map(Draft::change);
    changes.any(|change| {
        change.token_id().is_none() && change.subject().is_none() && change.endpoint_id().is_none()
    })
}

/// The endpoints that drafts change, and the namespaces that are to get one, each once.
pub(super) fn endpoints(drafts: &[Draft]) -> (BTreeSet<EndpointId>, BTreeSet<&Slug>) {
    let changes = drafts.iter().map(Draft::change);
    let endpoints = changes.clone().filter_map(Change::endpoint_id).collect();
    let created = changes.filter_map(|change| match change {
        Change::Webhook(WebhookChange::Created(endpoint)) => Some(&endpoint.namespace),
        _ => None,
    });
    (endpoints, created.collect())
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
    pub standings: Vec<StandingRow<'a>>,
    pub endpoints: Vec<EndpointRow<'a>>,
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

/// What is said of a subject as it is to lie in its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct StandingRow<'a> {
    pub standing: &'a Standing,
    pub version: Revision,
    /// The version that its row must still have, if there is one.
    pub guard: Revision,
    pub mac: RowMac,
}

/// An endpoint as it is to lie in its row, or to be taken from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndpointRow<'a> {
    pub endpoint: &'a Endpoint,
    pub fate: Fate,
    pub version: Revision,
    /// The version that its row must still have, if there is one.
    pub guard: Revision,
    pub mac: RowMac,
    pub signing: Option<&'a SealedSigning>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Created,
    Changed,
    Deleted,
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
                Record::Standing(standing) => {
                    let version = entry.revision;
                    rows.standings.push(StandingRow {
                        standing,
                        version,
                        guard: draft.guard(),
                        mac: mac::of_standing(key, standing, version)?,
                    });
                    continue;
                }
                Record::Endpoint(endpoint) => {
                    let version = entry.revision;
                    rows.endpoints.push(EndpointRow {
                        endpoint,
                        fate: match draft.change() {
                            Change::Webhook(WebhookChange::Created(_)) => Fate::Created,
                            Change::Webhook(WebhookChange::Deleted(_)) => Fate::Deleted,
                            _ => Fate::Changed,
                        },
                        version,
                        guard: draft.guard(),
                        mac: mac::of_endpoint(key, endpoint, version)?,
                        signing: draft.signing(),
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
