//! What an entry changed, as people and programs are shown it.

use serde::Serialize;

use crate::proto::v1;

/// What became of one field, each side as JSON; empty: there was none, or the entry does not say.
#[derive(Serialize, Debug)]
pub(in crate::cli) struct FieldChange {
    pub path: String,
    pub before: String,
    pub after: String,
}

impl FieldChange {
    /// As `name: "a" → "b"`.
    pub(in crate::cli) fn told(&self) -> String {
        let FieldChange { path, before, after } = self;
        match (before.as_str(), after.as_str()) {
            ("", after) => format!("{path}: {after}"),
            (before, "") => format!("{path}: {before} \u{2192} none"),
            (before, after) => format!("{path}: {before} \u{2192} {after}"),
        }
    }
}

impl From<v1::FieldChange> for FieldChange {
    fn from(change: v1::FieldChange) -> FieldChange {
        FieldChange {
            path: change.path,
            before: change.before,
            after: change.after,
        }
    }
}

pub(in crate::cli) fn all(changes: Vec<v1::FieldChange>) -> Vec<FieldChange> {
    changes.into_iter().map(FieldChange::from).collect()
}
