//! Whether a journal is what was written: nothing about it is believed but what its hashes prove.

mod replay;
#[cfg(test)]
mod tests;

use super::fold::Misfit;
use super::link::Link;
use super::{Entry, NotEntry, Revision};
use crate::token::id::{Slug, TokenId};
use crate::token::text::Subject;
pub use replay::{StandingReplay, TokenReplay, Whole, WholeReplay};

/// An entry as a store keeps it: the body and its link, and the columns it is found by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub revision: Revision,
    pub time: i64,
    pub actor: String,
    pub request_id: Vec<u8>,
    pub kind: String,
    pub namespace: String,
    pub token_id: Option<Vec<u8>>,
    pub subject: Option<String>,
    pub endpoint_id: Option<Vec<u8>>,
    pub body: Vec<u8>,
    pub link: Vec<u8>,
}

/// What is wrong, and where. The first one found counts: all after it rests on it.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    #[error("revision {missing}: it is missing, the next one kept is revision {found}")]
    Gap { missing: Revision, found: Revision },
    #[error("revision {revision}: its link does not follow from revision {} and its body", .revision.get() - 1)]
    Link { revision: Revision },
    #[error("revision {revision}: its link is {found}, not {expected} as noted")]
    Anchor {
        revision: Revision,
        expected: Link,
        found: Link,
    },
    #[error(
        "revision {revision}: its link could not be compared: the journal holds {oldest} to {newest} only"
    )]
    AnchorAway {
        revision: Revision,
        oldest: Revision,
        newest: Revision,
    },
    #[error("revision {revision}: the journal up to it is not what the checkpoint was signed for")]
    Checkpoint { revision: Revision },
    #[error("revision {revision}: a checkpoint was signed for it, but the journal ends at revision {newest}")]
    CheckpointAway { revision: Revision, newest: Revision },
    #[error(
        "revision {revision}: a checkpoint was signed for all up to it, but entries before revision {oldest} are not here"
    )]
    CheckpointTrimmed { revision: Revision, oldest: Revision },
    #[error("line {line} of the export: {what}")]
    ExportLine { line: u64, what: &'static str },
    #[error("the export is cut short after revision {last}")]
    ExportCut { last: Revision },
    #[error("revision {revision}: {source}")]
    Body { revision: Revision, source: NotEntry },
    #[error("revision {revision}: its column {column} does not agree with its body")]
    Column {
        revision: Revision,
        column: &'static str,
    },
    #[error("head: it is at revision {head}, but the last entry is revision {last}")]
    Head { head: Revision, last: Revision },
    #[error("head: its link is not that of revision {last}")]
    HeadLink { last: Revision },
    #[error("revision {revision}: it cannot concern {record}: {source}")]
    Misfit {
        revision: Revision,
        record: String,
        source: Misfit,
    },
    #[error("{record}: its row is missing, revision {revision} was the last to concern it")]
    RowMissing { record: String, revision: Revision },
    #[error("{record}: its row cannot be read: {why}")]
    RowUnreadable { record: String, why: String },
    #[error("{record}: it has a row, but no entry made it")]
    RowUnheardOf { record: String },
    #[error("{record}: it has a row, but revision {revision} deleted it")]
    RowDeleted { record: String, revision: Revision },
    #[error("{record}: its row does not agree with its entries in {}", .fields.join(", "))]
    RowDiffers { record: String, fields: Vec<String> },
}

/// A walk along the links, from the oldest entry on.
#[derive(Debug)]
pub struct Chain {
    last: Revision,
    /// `None`: the entry it belongs to is not kept, so the next link cannot be checked.
    link: Option<Link>,
}

impl Chain {
    /// A walk that begins with `oldest`; what came before it, if anything did, was trimmed.
    pub fn from(oldest: Revision) -> Chain {
        let last = Revision::new(oldest.get().saturating_sub(1));
        Chain {
            last,
            link: (last == Revision::ZERO).then_some(Link::START),
        }
    }

    /// A walk that begins after an entry with this link.
    pub fn after(last: Revision, link: Link) -> Chain {
        Chain {
            last,
            link: Some(link),
        }
    }

    /// The entry in `row`, if it is the next one and is what was written.
    pub fn follow(&mut self, row: &Row) -> Result<Entry, Finding> {
        let entry = self.follow_body(row.revision, row.body.clone(), &row.link)?;
        agree(row, &entry)?;
        Ok(entry)
    }

    /// The same of an entry that somebody else has read, of which only the body and the link can be checked.
    pub fn follow_body(&mut self, revision: Revision, body: Vec<u8>, link: &[u8]) -> Result<Entry, Finding> {
        if revision != self.last.next() {
            return Err(Finding::Gap {
                missing: self.last.next(),
                found: revision,
            });
        }
        let link = Link::from_bytes(link).map_err(|_| Finding::Link { revision })?;
        if self.link.is_some_and(|before| before.then(&body) != link) {
            return Err(Finding::Link { revision });
        }
        let entry = Entry::open(body, link).map_err(|source| Finding::Body { revision, source })?;
        if entry.revision != revision {
            let column = "revision";
            return Err(Finding::Column { revision, column });
        }
        self.last = revision;
        self.link = Some(link);
        Ok(entry)
    }

    /// Whether the journal ends where its head says.
    pub fn ends_at(&self, head: Revision, link: Link) -> Result<(), Finding> {
        match self.link {
            _ if head != self.last => Err(Finding::Head {
                head,
                last: self.last,
            }),
            // Trimming spares the last entry: without it somebody else has been here.
            None => Err(Finding::Gap {
                missing: head,
                found: head.next(),
            }),
            Some(last) if last != link => Err(Finding::HeadLink { last: self.last }),
            Some(_) => Ok(()),
        }
    }
}

/// The columns are there to search by: one that lies hides an entry from whoever searches.
fn agree(row: &Row, entry: &Entry) -> Result<(), Finding> {
    let token_id = entry.change.token_id();
    let columns = [
        ("revision", row.revision == entry.revision),
        ("time", row.time == entry.time.micros()),
        ("actor", row.actor == entry.actor.as_str()),
        ("request_id", row.request_id == entry.request_id.as_bytes()),
        ("kind", row.kind == entry.change.kind().as_str()),
        ("namespace", row.namespace == entry.change.namespace().as_str()),
        (
            "token_id",
            row.token_id.as_deref() == token_id.as_ref().map(|id| &id.as_bytes()[..]),
        ),
        (
            "subject",
            row.subject.as_deref() == entry.change.subject().map(Subject::as_str),
        ),
        (
            "endpoint_id",
            row.endpoint_id.as_deref() == entry.change.endpoint_id().as_ref().map(|id| &id.as_bytes()[..]),
        ),
    ];
    match columns.into_iter().find(|(_, agrees)| !agrees) {
        Some((column, _)) => Err(Finding::Column {
            revision: row.revision,
            column,
        }),
        None => Ok(()),
    }
}

/// How a finding names a subject.
pub fn subject(namespace: &Slug, subject: &Subject) -> String {
    format!("subject {} of {namespace}", subject.as_str())
}

/// How a finding names a token.
pub fn token(id: TokenId) -> String {
    format!("token {id}")
}
