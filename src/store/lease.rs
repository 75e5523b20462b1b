//! What one server at a time does for all: a lease on it, in the store.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use super::roll::MemberId;
use crate::token::time::Timestamp;

/// Who does what for all servers of a store. Every sentence here is a law in `store/laws`.
///
/// Instants are those of the servers' own clocks: one whose clock is ahead takes a duty over too early, by as much as it
/// is ahead. So whatever is done under a duty must bear that two do it for a while.
#[async_trait]
pub trait Duties: fmt::Debug + Send + Sync {
    /// Takes a duty up to `until`, or keeps it until then; `false`: another one has it still at `now`.
    async fn take_duty(&self, duty: Duty, until: Timestamp, now: Timestamp) -> Result<bool, StoreError>;

    /// Gives a duty back, so that another need not wait. Nothing, if another one has it.
    async fn leave_duty(&self, duty: Duty) -> Result<(), StoreError>;
}

/// A duty, and who wants or has it: random, so that a server that starts again is another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Duty {
    pub name: &'static str,
    pub holder: MemberId,
}
