//! What was taken from the budgets of rate limits, as far as a store in memory has it.

use std::collections::HashMap;

use async_trait::async_trait;

use super::super::budgets::{BudgetKey, Budgets, Report, Shared};
use super::super::roll::MemberId;
use super::super::{SWEEP_MAX, StoreError};
use super::MemoryStore;
use crate::token::time::Timestamp;

#[derive(Default, Debug)]
pub(super) struct Kept {
    budgets: HashMap<BudgetKey, Shared>,
    /// The number and the time of the last report of each server.
    reports: HashMap<MemberId, (u64, Timestamp)>,
}

#[async_trait]
impl Budgets for MemoryStore {
    async fn share(&self, report: &Report) -> Result<Vec<Option<Shared>>, StoreError> {
        let kept = &mut self.kept().budgets;
        let is_taken = report.takings.iter().any(|taking| taking.count > 0);
        let last = kept.reports.get(&report.reporter);
        if is_taken && last.is_none_or(|(sequence, _)| *sequence < report.sequence) {
            kept.reports
                .insert(report.reporter, (report.sequence, report.time));
            for taking in report.takings.iter().filter(|taking| taking.count > 0) {
                let shared = kept.budgets.entry(taking.key).or_insert(Shared {
                    since: report.time,
                    spent: 0,
                    whole_at: report.since,
                });
                let whole_at = shared.whole_at.max(report.since).micros() + taking.owed_micros;
                shared.spent += taking.count;
                shared.whole_at = Timestamp::from_micros(whole_at).map_err(StoreError::corrupt)?;
            }
        }
        let found = report
            .takings
            .iter()
            .map(|taking| kept.budgets.get(&taking.key).copied());
        Ok(found.collect())
    }

    async fn sweep_budgets(&self, until: Timestamp, silent: Timestamp) -> Result<u64, StoreError> {
        let kept = &mut self.kept().budgets;
        kept.reports.retain(|_, (_, time)| *time > silent);
        let mut whole: Vec<_> = kept
            .budgets
            .iter()
            .filter(|(_, shared)| shared.whole_at <= until)
            .map(|(key, shared)| (shared.whole_at, *key))
            .collect();
        whole.sort_unstable();
        whole.truncate(SWEEP_MAX as usize);
        for (_, key) in &whole {
            kept.budgets.remove(key);
        }
        Ok(whole.len() as u64)
    }
}
