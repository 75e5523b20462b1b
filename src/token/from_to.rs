//! A change to one field: of a token, or of what is said of a subject.

use serde::{Deserialize, Serialize};

/// What became of one field.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FromTo<T> {
    pub from: T,
    pub to: T,
}
