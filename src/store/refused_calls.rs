//! Calls that were refused to somebody who is known: kept beside the journal, for a while.

use async_trait::async_trait;

use super::StoreError;
use crate::token::id::{Slug, TokenId};
use crate::token::text::Actor;
use crate::token::time::Timestamp;

/// So many are kept, of all callers together; the oldest go first.
pub const REFUSED_CALLS_KEPT_MAX: u32 = 100_000;

/// A call that was refused: who tried what, and nothing of what they sent but what it names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedCall {
    pub time: Timestamp,
    pub actor: Actor,
    /// The RPC, as `TokenService/Revoke`.
    pub method: String,
    /// Why, as the caller was told.
    pub reason: String,
    /// The namespace that the call named, or that of the token it named.
    pub namespace: Option<Slug>,
    pub token_id: Option<TokenId>,
    /// So many calls refused to this caller were not recorded before this one.
    pub unrecorded: u64,
}

/// The keeper of refused calls.
#[async_trait]
pub trait RefusedCalls {
    /// Keeps them, in this order, after all that were kept before.
    async fn keep_refused_calls(&self, calls: Vec<RefusedCall>) -> Result<(), StoreError>;

    /// Those kept after this number, oldest first, each with its own number.
    async fn refused_calls(&self, after: u64, limit: u32) -> Result<Vec<(u64, RefusedCall)>, StoreError>;

    /// Forgets those of before `until`, and the oldest of more than `kept_max`, [`super::SWEEP_MAX`] at once; how many.
    async fn sweep_refused_calls(&self, until: Timestamp, kept_max: u32) -> Result<u64, StoreError>;
}
