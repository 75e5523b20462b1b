//! Budgets that fail as told.

use async_trait::async_trait;

use super::super::StoreError;
use super::super::budgets::{Budgets, Report, Shared};
use super::{Call, Faulty, roll};
use crate::token::time::Timestamp;

#[async_trait]
impl Budgets for Faulty {
    async fn share(&self, report: &Report) -> Result<Vec<Option<Shared>>, StoreError> {
        let store = self.store();
        self.meet(Call::Share, roll(&store)?.share(report)).await
    }

    async fn sweep_budgets(&self, until: Timestamp, silent: Timestamp) -> Result<u64, StoreError> {
        let store = self.store();
        let swept = roll(&store)?.sweep_budgets(until, silent);
        self.meet(Call::SweepBudgets, swept).await
    }
}
