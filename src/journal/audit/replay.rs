//! What the entries of a record make of it, to be compared with its row.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{Finding, subject, token};
use crate::journal::fold::{self, Misfit};
use crate::journal::{Change, Entry, Revision, Stored};
use crate::token::Token;
use crate::token::id::{Slug, TokenId};
use crate::token::namespace::Namespace;
use crate::token::standing::Standing;
use crate::token::text::Subject;
use crate::token::webhook::{Endpoint, EndpointId, WebhookChange};

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

/// A kind of record of which every entry holds all that it is after it. There are few: all are kept at once.
pub trait Whole: Clone + PartialEq + Serialize {
    type Key: Clone + Ord;

    fn key(&self) -> Self::Key;

    /// How a finding names it.
    fn name(key: &Self::Key) -> String;

    /// The record that a change concerns, and whether it is still there afterwards.
    fn in_change(change: &Change) -> Option<(&Self, bool)>;
}

impl Whole for Namespace {
    type Key = Slug;

    fn key(&self) -> Slug {
        self.slug.clone()
    }

    fn name(slug: &Slug) -> String {
        format!("namespace {slug}")
    }

    fn in_change(change: &Change) -> Option<(&Namespace, bool)> {
        match change {
            Change::NamespaceCreated(namespace)
            | Change::NamespaceUpdated(namespace)
            | Change::NamespaceIssuedRevoked(namespace) => Some((namespace, true)),
            Change::Token { .. } | Change::Subject { .. } | Change::Webhook(_) => None,
        }
    }
}

impl Whole for Endpoint {
    type Key = EndpointId;

    fn key(&self) -> EndpointId {
        self.id
    }

    fn name(id: &EndpointId) -> String {
        format!("endpoint {id}")
    }

    fn in_change(change: &Change) -> Option<(&Endpoint, bool)> {
        match change {
            Change::Webhook(change) => {
                let is_there = !matches!(change, WebhookChange::Deleted(_));
                Some((change.endpoint(), is_there))
            }
            Change::NamespaceCreated(_)
            | Change::NamespaceUpdated(_)
            | Change::NamespaceIssuedRevoked(_)
            | Change::Token { .. }
            | Change::Subject { .. } => None,
        }
    }
}

/// What the last entry of each record says of it.
#[derive(Debug)]
pub struct WholeReplay<T: Whole>(BTreeMap<T::Key, Last<T>>);

#[derive(Debug)]
enum Last<T> {
    Is(Stored<T>),
    DeletedAt(Revision),
}

impl<T: Whole> Default for WholeReplay<T> {
    fn default() -> WholeReplay<T> {
        WholeReplay(BTreeMap::new())
    }
}

impl<T: Whole> WholeReplay<T> {
    pub fn apply(&mut self, entry: &Entry) {
        let Some((record, is_there)) = T::in_change(&entry.change) else {
            return;
        };
        let last = if is_there {
            Last::Is(Stored {
                record: record.clone(),
                version: entry.revision,
            })
        } else {
            Last::DeletedAt(entry.revision)
        };
        self.0.insert(record.key(), last);
    }

    /// Whether `rows` are what the entries made. One whose entries were trimmed is believed.
    pub fn agrees(&self, rows: &[Stored<T>], oldest: Revision) -> Result<(), Finding> {
        for row in rows {
            let key = row.record.key();
            let record = T::name(&key);
            match self.0.get(&key) {
                Some(Last::Is(after)) => same(record, after, row)?,
                Some(&Last::DeletedAt(revision)) => return Err(Finding::RowDeleted { record, revision }),
                None if oldest > Revision::new(1) => {}
                None => return Err(Finding::RowUnheardOf { record }),
            }
        }
        let kept: BTreeSet<T::Key> = rows.iter().map(|row| row.record.key()).collect();
        for (key, last) in &self.0 {
            if let Last::Is(after) = last
                && !kept.contains(key)
            {
                let (record, revision) = (T::name(key), after.version);
                return Err(Finding::RowMissing { record, revision });
            }
        }
        Ok(())
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
