//! What the entries of a record make of it, to be compared with its row.

use std::collections::BTreeMap;

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
