//! What the servers that share a store have taken from the budgets of rate limits, together.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use super::member::MemberId;
use crate::token::policy::RateLimit;

/// What is reported was taken no longer ago: so much is left between a taking and its report. A budget that was whole
/// until then is taken from since then, and never since later: who keeps to a limit must not be refused.
pub const LATE_MAX: Duration = Duration::from_secs(2);

/// The budgets that were taken from lately, a row each. They are in no journal, and no verdict waits for them.
///
/// All of it goes by the store's own clock, so that it does not matter what the clocks of servers say.
///
/// Every sentence here is a law in `store/laws`.
#[async_trait]
pub trait Budgets: fmt::Debug + Send + Sync {
    /// Adds what a server took, in one transaction, and answers with how long it is until nothing is missing from these
    /// budgets, all that was taken by anybody counted, in the order asked. A report that was added before adds nothing,
    /// so one whose answer was lost is sent again. At most [`super::READ_MAX`] takings, no two of one budget.
    async fn share(&self, report: &Report) -> Result<Vec<Duration>, StoreError>;

    /// Forgets budgets that have been whole for so long, at most [`super::SWEEP_MAX`] of them, and servers that have
    /// reported nothing for so long; how many budgets.
    async fn sweep_budgets(&self, whole_for: Duration, silent_for: Duration) -> Result<u64, StoreError>;
}

/// What one server took since its last report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    pub reporter: MemberId,
    /// More than that of any report it sent before.
    pub sequence: u64,
    pub takings: Vec<Taking>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taking {
    pub key: BudgetKey,
    /// How long what was taken takes to come back. None of it: it is only asked what others took.
    pub owed: Duration,
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
