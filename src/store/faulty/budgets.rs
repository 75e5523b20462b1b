//! Budgets that fail as told.

use std::time::Duration;

use async_trait::async_trait;

use super::super::StoreError;
use super::super::budgets::{Budgets, Report};
use super::{Call, Faulty, roll};

#[async_trait]
impl Budgets for Faulty {
    async fn share(&self, report: &Report) -> Result<Vec<Duration>, StoreError> {
        let store = self.store();
        self.meet(Call::Share, roll(&store)?.share(report)).await
    }

    async fn sweep_budgets(&self, whole_for: Duration, silent_for: Duration) -> Result<u64, StoreError> {
        let store = self.store();
        let swept = roll(&store)?.sweep_budgets(whole_for, silent_for);
        self.meet(Call::SweepBudgets, swept).await
    }
}
