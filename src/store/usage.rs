//! What tokens were used for. It is evidence beside the journal, not in it: nothing that is judged rests on it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;
use crate::token::id::TokenId;
use crate::token::time::{Span, Timestamp};
use crate::token::usage::Usage;

/// The most tokens of one flush: what a writer of the journal waits for is short.
pub const FLUSH_MAX: usize = 500;

/// So long it is remembered which flush of a recorder was the last. Nobody tries one for longer.
pub(super) const FLUSHES_KEPT: Span = Span::days(30);

/// The usage of tokens. Every sentence here is a law in `store/laws`.
#[async_trait]
pub trait UsageStore: fmt::Debug + Send + Sync {
    /// Adds what a recorder has seen to what is known, in one transaction, however many recorders do so at once. One
    /// that was added before changes nothing, so that an error, which says nothing about it, can be followed by another
    /// try of the same flush.
    async fn add_usage(&self, flush: Arc<Flush>) -> Result<(), StoreError>;

    /// What is known of these tokens, in the order asked; `None`: nothing is.
    async fn usages(&self, ids: Vec<TokenId>) -> Result<Vec<Option<Usage>>, StoreError>;

    /// Forgets personal data of these tokens, at most [`FLUSH_MAX`]; of how many there was any.
    async fn erase_usage(&self, ids: Vec<TokenId>) -> Result<u64, StoreError>;

    /// Since when uses are recorded without a break; `None`: they are not.
    async fn usage_since(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Uses are recorded from `now` on, if they were not before.
    async fn begin_usage(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Uses are not recorded any more: what is known stays, but from when on it is whole is to be said anew.
    async fn end_usage(&self) -> Result<(), StoreError>;
}

/// What a recorder has seen, up to a while ago.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flush {
    pub recorder: RecorderId,
    /// Counts the flushes of this recorder, from 1 on: none is tried before the one before it was added.
    pub sequence: u64,
    pub time: Timestamp,
    /// In the order of their ids, each once; at most [`FLUSH_MAX`].
    pub usages: Vec<(TokenId, Usage)>,
}

/// A recorder: random, so that a process that starts again is another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecorderId([u8; 16]);

impl RecorderId {
    pub const fn new(random: [u8; 16]) -> RecorderId {
        RecorderId(random)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Flush {
    /// The sequence as SQL has it.
    pub(super) fn sql_sequence(&self) -> i64 {
        i64::try_from(self.sequence).unwrap_or(i64::MAX)
    }

    /// What was the last word of its recorder before this instant is not needed any more.
    pub(super) fn forgettable(&self) -> i64 {
        self.time.micros().saturating_sub(FLUSHES_KEPT.micros())
    }

    pub(super) fn ids(&self) -> Vec<TokenId> {
        self.usages.iter().map(|(id, _)| *id).collect()
    }

    /// What is to be kept, given what is known.
    pub(super) fn added_to(&self, mut known: HashMap<TokenId, Usage>) -> Vec<(TokenId, Usage)> {
        let add = |(id, usage): &(TokenId, Usage)| {
            let mut sum = known.remove(id).unwrap_or_default();
            sum.add(usage.clone());
            (*id, sum)
        };
        self.usages.iter().map(add).collect()
    }
}

/// Usage as a store has it. What cannot be read is not worth a flush that never goes through, or a list that fails.
pub(super) fn usage(id: TokenId, record: &str) -> Usage {
    serde_json::from_str(record).unwrap_or_else(|error| {
        tracing::warn!(token = %id, %error, "the usage of a token cannot be read, and begins anew");
        Usage::default()
    })
}
