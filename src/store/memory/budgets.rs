//! What was taken from the budgets of rate limits, as far as a store in memory has it.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;

use super::super::budgets::{BudgetKey, Budgets, LATE_MAX, Report};
use super::super::member::MemberId;
use super::super::{SWEEP_MAX, StoreError};
use super::MemoryStore;

/// All instants are by the uptime of the store's clock.
#[derive(Default, Debug)]
pub(super) struct Kept {
    /// When nothing is missing.
    budgets: HashMap<BudgetKey, Duration>,
    /// The number and the time of the last report of each server.
    reports: HashMap<MemberId, (u64, Duration)>,
}

#[async_trait]
impl Budgets for MemoryStore {
    async fn share(&self, report: &Report) -> Result<Vec<Duration>, StoreError> {
        let now = self.clock.uptime();
        let kept = &mut self.kept().budgets;
        let is_taken = report.takings.iter().any(|taking| !taking.owed.is_zero());
        let last = kept.reports.get(&report.reporter);
        if is_taken && last.is_none_or(|(sequence, _)| *sequence < report.sequence) {
            kept.reports.insert(report.reporter, (report.sequence, now));
            let since = now.saturating_sub(LATE_MAX);
            for taking in report.takings.iter().filter(|taking| !taking.owed.is_zero()) {
                let whole_at = kept.budgets.entry(taking.key).or_default();
                *whole_at = since.max(*whole_at) + taking.owed;
            }
        }
        let missing = report.takings.iter().map(|taking| {
            let whole_at = kept.budgets.get(&taking.key);
            whole_at.map_or(Duration::ZERO, |whole_at| whole_at.saturating_sub(now))
        });
        Ok(missing.collect())
    }

    async fn sweep_budgets(&self, whole_for: Duration, silent_for: Duration) -> Result<u64, StoreError> {
        let now = self.clock.uptime();
        let kept = &mut self.kept().budgets;
        kept.reports.retain(|_, (_, time)| *time + silent_for > now);
        let whole = kept
            .budgets
            .iter()
            .filter(|(_, whole_at)| **whole_at + whole_for <= now);
        let keys: Vec<_> = whole.map(|(key, _)| *key).take(SWEEP_MAX as usize).collect();
        for key in &keys {
            kept.budgets.remove(key);
        }
        Ok(keys.len() as u64)
    }
}
