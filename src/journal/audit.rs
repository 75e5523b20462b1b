//! Whether a journal is what was written: nothing about it is believed but what its hashes prove.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::fold::{self, Misfit};
use super::link::Link;
use super::{Change, Entry, NotEntry, Revision, Stored};
use crate::token::Token;
use crate::token::id::{Slug, TokenId};
use crate::token::namespace::Namespace;
use crate::token::standing::Standing;
use crate::token::text::Subject;

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

/// What the entries of one token make of it, to be compared with its row.
#[derive(Debug)]
pub struct TokenReplay {
    id: TokenId,
    after: Option<Stored<Token>>,
    /// Its first entries are not kept, so it cannot be rebuilt.
    trimmed: bool,
}

impl TokenReplay {
    pub fn of(id: TokenId) -> TokenReplay {
        TokenReplay {
            id,
            after: None,
            trimmed: false,
        }
    }

    /// Applies the token's next entry; `oldest` is where the journal begins.
    pub fn apply(&mut self, entry: &Entry, oldest: Revision) -> Result<(), Finding> {
        let Change::Token { change, .. } = &entry.change else {
            return Ok(());
        };
        if self.trimmed {
            return Ok(());
        }
        match fold::token(self.after.as_ref().map(|after| &after.record), change) {
            Ok(record) => {
                self.after = Some(Stored {
                    record,
                    version: entry.revision,
                });
                Ok(())
            }
            Err(Misfit::NeverIssued) if oldest > Revision::new(1) => {
                self.trimmed = true;
                Ok(())
            }
            Err(source) => Err(Finding::Misfit {
                revision: entry.revision,
                record: token(self.id),
                source,
            }),
        }
    }

    /// Whether `row` is what the entries made; `false`: too few of them are kept to tell.
    pub fn agrees(&self, row: &Stored<Token>, oldest: Revision) -> Result<bool, Finding> {
        match &self.after {
            _ if self.trimmed => Ok(false),
            Some(after) => same(token(self.id), after, row).map(|()| true),
            None if oldest > Revision::new(1) => Ok(false),
            None => Err(Finding::RowUnheardOf {
                record: token(self.id),
            }),
        }
    }
}

/// What the entries make of the namespaces: few enough to be kept at once.
#[derive(Default, Debug)]
pub struct NamespaceReplay(BTreeMap<Slug, Stored<Namespace>>);

impl NamespaceReplay {
    pub fn apply(&mut self, entry: &Entry) {
        if let Change::NamespaceCreated(namespace)
        | Change::NamespaceUpdated(namespace)
        | Change::NamespaceIssuedRevoked(namespace) = &entry.change
        {
            let stored = Stored {
                record: namespace.clone(),
                version: entry.revision,
            };
            self.0.insert(namespace.slug.clone(), stored);
        }
    }

    /// Whether `rows` are what the entries made. One whose entries were trimmed is believed.
    pub fn agrees(&self, rows: &[Stored<Namespace>], oldest: Revision) -> Result<(), Finding> {
        for row in rows {
            let record = || format!("namespace {}", row.record.slug);
            match self.0.get(&row.record.slug) {
                Some(after) => same(record(), after, row)?,
                None if oldest > Revision::new(1) => {}
                None => return Err(Finding::RowUnheardOf { record: record() }),
            }
        }
        let kept = |slug: &Slug| rows.iter().any(|row| row.record.slug == *slug);
        match self.0.iter().find(|(slug, _)| !kept(slug)) {
            Some((slug, after)) => Err(Finding::RowMissing {
                record: format!("namespace {slug}"),
                revision: after.version,
            }),
            None => Ok(()),
        }
    }
}

/// What the entries of one subject say of it, to be compared with its row.
#[derive(Debug)]
pub struct StandingReplay {
    namespace: Slug,
    subject: Subject,
    after: Option<Stored<Standing>>,
    /// Its first entries are not kept, so it cannot be rebuilt.
    trimmed: bool,
}

impl StandingReplay {
    pub fn of(namespace: Slug, subject: Subject) -> StandingReplay {
        StandingReplay {
            namespace,
            subject,
            after: None,
            trimmed: false,
        }
    }

    /// How a finding names it.
    pub fn name(&self) -> String {
        subject(&self.namespace, &self.subject)
    }

    /// Applies the subject's next entry; `oldest` is where the journal begins.
    pub fn apply(&mut self, entry: &Entry, oldest: Revision) -> Result<(), Finding> {
        let Change::Subject { change, .. } = &entry.change else {
            return Ok(());
        };
        let before = self.after.as_ref().map(|after| &after.record);
        match fold::standing(before, (&self.namespace, &self.subject), change, entry.time) {
            Ok(record) => {
                let version = entry.revision;
                self.after = Some(Stored { record, version });
                Ok(())
            }
            Err(_) if oldest > Revision::new(1) => {
                self.trimmed = true;
                Ok(())
            }
            Err(source) => Err(Finding::Misfit {
                revision: entry.revision,
                record: self.name(),
                source,
            }),
        }
    }

    /// Whether `row` is what the entries made; `false`: too few of them are kept to tell.
    pub fn agrees(&self, row: &Stored<Standing>, oldest: Revision) -> Result<bool, Finding> {
        match &self.after {
            _ if self.trimmed => Ok(false),
            // Any change makes a record where there is none: this one was there before what is kept.
            Some(after)
                if oldest > Revision::new(1) && after.record.create_time != row.record.create_time =>
            {
                Ok(false)
            }
            Some(after) => same(self.name(), after, row).map(|()| true),
            None if oldest > Revision::new(1) => Ok(false),
            None => Err(Finding::RowUnheardOf { record: self.name() }),
        }
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

fn same<T: Serialize + PartialEq>(record: String, after: &Stored<T>, row: &Stored<T>) -> Result<(), Finding> {
    if after == row {
        return Ok(());
    }
    let mut fields = differing(&after.record, &row.record);
    if after.version != row.version {
        fields.push("version".to_owned());
    }
    Err(Finding::RowDiffers { record, fields })
}

/// The names of the fields whose values differ.
fn differing<T: Serialize>(one: &T, other: &T) -> Vec<String> {
    let fields = |record: &T| match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let other = fields(other);
    fields(one)
        .into_iter()
        .filter(|(name, value)| other.get(name) != Some(value))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests;
