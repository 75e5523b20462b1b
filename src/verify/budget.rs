//! What one caller may have looked up: only what belongs to no token is charged for, so that whoever guesses
//! runs out, and whoever comes with a cold cache does not.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::VerifyError;
use crate::clock::Clock;
use crate::limit::{Allowance, Bucket};

/// Callers that are remembered. Those beyond share one account; with nothing owed, one is forgotten.
const CALLERS_MAX: usize = 10_000;
/// How often it is looked for callers to forget, when there are as many.
const FORGET_INTERVAL: Duration = Duration::from_secs(1);

/// A caller with nothing owed may ask for so many secrets in vain, and then for so many a second.
pub const MISSES: Allowance = Allowance::a_second(
    NonZeroU32::MIN.saturating_add(1999),
    NonZeroU32::MIN.saturating_add(199),
);

/// The accounts of all callers.
#[derive(Debug)]
pub(super) struct Budget {
    allowance: Allowance,
    /// Look-ups of one caller that wait at once, at most.
    waiting_max: usize,
    clock: Arc<dyn Clock>,
    accounts: Mutex<Accounts>,
}

#[derive(Default, Debug)]
struct Accounts {
    by_caller: HashMap<Arc<str>, Account>,
    forgotten_at: Duration,
}

#[derive(Default, Debug)]
struct Account {
    bucket: Bucket,
    waiting: usize,
}

/// One look-up, charged to its caller until it finds something.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    caller: Arc<str>,
}

impl Budget {
    pub(super) fn new(allowance: Allowance, waiting_max: usize, clock: Arc<dyn Clock>) -> Budget {
        Budget {
            allowance,
            waiting_max,
            clock,
            accounts: Mutex::default(),
        }
    }

    pub(super) fn charge(self: &Arc<Budget>, caller: &str) -> Result<Charge, VerifyError> {
        let now = self.clock.uptime();
        let mut accounts = self.accounts();
        let caller = accounts.remembered(caller, now);
        let account = accounts.by_caller.entry(Arc::clone(&caller)).or_default();
        if account.waiting >= self.waiting_max {
            return Err(VerifyError::CallerBusy);
        }
        let taken = account.bucket.take(self.allowance, now);
        taken.map_err(|wait| VerifyError::MissesExhausted { wait })?;
        account.waiting += 1;
        drop(accounts);
        Ok(Charge {
            budget: Arc::clone(self),
            caller,
        })
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
    /// The caller, or the one that stands for all there is no place for.
    fn remembered(&mut self, caller: &str, now: Duration) -> Arc<str> {
        if let Some((known, _)) = self.by_caller.get_key_value(caller) {
            return Arc::clone(known);
        }
        if self.by_caller.len() >= CALLERS_MAX && now >= self.forgotten_at + FORGET_INTERVAL {
            self.forgotten_at = now;
            self.by_caller
                .retain(|_, account| account.waiting > 0 || !account.bucket.is_whole(now));
        }
        let full = self.by_caller.len() >= CALLERS_MAX;
        Arc::from(if full { "" } else { caller })
    }
}

impl Charge {
    /// It found something, or it failed: the caller is not charged.
    pub(super) fn waive(&self) {
        let mut accounts = self.budget.accounts();
        if let Some(account) = accounts.by_caller.get_mut(&self.caller) {
            account.bucket.give_back(self.budget.allowance);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut accounts = self.budget.accounts();
        if let Some(account) = accounts.by_caller.get_mut(&self.caller) {
            account.waiting -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
