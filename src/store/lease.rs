//! What one server at a time does for all: a lease on it, in the store.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::StoreError;
use super::member::MemberId;
use crate::clock::{Entropy, random};
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

/// Why what is done under a duty ends before its end.
#[derive(Debug)]
pub enum Stop {
    /// Another one has the duty, or may have.
    Lost,
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Store(error)
    }
}

impl Duty {
    /// One that this server wants.
    pub fn new(name: &'static str, entropy: &dyn Entropy) -> Duty {
        let holder = MemberId::new(random(entropy));
        Duty { name, holder }
    }

    /// Takes it for `lease` from `now` on, or keeps it for so long; whether it is this server's. A store that has not
    /// answered after `answer_max` is taken for unreachable.
    pub async fn take(
        self,
        duties: &(impl Duties + ?Sized),
        now: Timestamp,
        lease: Duration,
        answer_max: Duration,
    ) -> Result<bool, StoreError> {
        let until = now.after(lease).unwrap_or(now);
        timeout(answer_max, duties.take_duty(self, until, now))
            .await
            .unwrap_or_else(|late| Err(StoreError::Unavailable(late.into())))
    }
}
