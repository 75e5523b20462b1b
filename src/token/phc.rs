//! Digests that were made elsewhere, and cannot be looked up: they have to be tried.

use serde::{Deserialize, Serialize};

/// A digest in the PHC string format, with its salt and parameters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phc(String);

impl Phc {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
