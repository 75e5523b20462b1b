//! What a change is guarded by where it rests on no one record.

use crate::token::id::Slug;
use crate::token::text::Subject;
use crate::token::time::Timestamp;

/// That a subject has fewer tokens than it may have: a decision that rests on no one record, and so is guarded by
/// counting again where it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Room {
    pub namespace: Slug,
    pub subject: Subject,
    /// So many tokens it may have, with the one that is to be written.
    pub max: u32,
    /// Those count that are not revoked, not expired at this instant...
    pub now: Timestamp,
    /// ...and were issued after this one.
    pub since: Option<Timestamp>,
}
