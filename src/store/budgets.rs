//! What the servers that share a store have taken from the budgets of rate limits, together.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use super::roll::MemberId;
use crate::token::policy::RateLimit;
use crate::token::time::Timestamp;

/// The budgets that were taken from lately, a row each. They are in no journal, and no verdict waits for them.
///
/// Every sentence here is a law in `store/laws`.
#[async_trait]
pub trait Budgets: fmt::Debug + Send + Sync {
    /// Adds what a server took, in one transaction, and answers with what all have taken from these budgets, in the
    /// order asked; `None`: nobody has, lately. A report that was added before adds nothing, so one whose answer was
    /// lost is sent again. At most [`super::READ_MAX`] takings, no two of one budget.
    async fn share(&self, report: &Report) -> Result<Vec<Option<Shared>>, StoreError>;

    /// Forgets budgets that were whole at `until`, at most [`super::SWEEP_MAX`] of them, and servers that have reported
    /// nothing since `silent`; how many budgets.
    async fn sweep_budgets(&self, until: Timestamp, silent: Timestamp) -> Result<u64, StoreError>;
}

/// What one server took since its last report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    pub reporter: MemberId,
    /// More than that of any report it sent before.
    pub sequence: u64,
    /// By the clock of the reporter.
    pub time: Timestamp,
    /// No taking was before this, as far as it matters.
    pub since: Timestamp,
    pub takings: Vec<Taking>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taking {
    pub key: BudgetKey,
    /// Nothing was taken: it is only asked what others took.
    pub count: u64,
    /// How long that takes to come back, in microseconds.
    pub owed_micros: i64,
}

/// What all have taken from a budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shared {
    /// When its row was made. One that was forgotten and made anew counts from nothing again.
    pub since: Timestamp,
    pub spent: u64,
    /// When nothing will be missing, by the clocks of those who reported.
    pub whole_at: Timestamp,
}

/// Whose budget it is, and under which limit: what was taken under another does not count here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BudgetKey([u8; 29]);

impl BudgetKey {
    /// `kind` tells holders apart whose ids are of different kinds.
    pub fn new(kind: u8, holder: &[u8; 16], limit: RateLimit) -> BudgetKey {
        let mut key = [kind; 29];
        key[1..17].copy_from_slice(holder);
        key[17..21].copy_from_slice(&limit.requests.get().to_be_bytes());
        key[21..].copy_from_slice(&limit.period.micros().to_be_bytes());
        BudgetKey(key)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
