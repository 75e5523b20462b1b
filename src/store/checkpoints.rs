//! Checkpoints of the journal, kept to be listed and to go on from. They prove nothing here: whoever can rewrite the
//! journal can rewrite them, and what counts is the copies that others keep.

use async_trait::async_trait;

use super::StoreError;
use crate::journal::Revision;
use crate::token::time::Timestamp;

/// So many are kept; the oldest go first.
pub const CHECKPOINTS_KEPT_MAX: u32 = 10_000;

/// A checkpoint as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptCheckpoint {
    pub revision: Revision,
    pub time: Timestamp,
    /// The signed note.
    pub note: String,
    /// What the tree goes on from: worth as much as its root agrees with the note.
    pub subtrees: Vec<u8>,
}

/// The keeper of checkpoints.
#[async_trait]
pub trait Checkpoints {
    /// Keeps it, unless there is one of this revision: that one stands. Of more than `kept_max` the oldest go.
    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint, kept_max: u32) -> Result<(), StoreError>;

    /// Those of before this revision, newest first; `None`: from the newest on.
    async fn checkpoints(
        &self,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeptCheckpoint>, StoreError>;
}
