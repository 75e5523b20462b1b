//! Rate limits: what is left of each budget, here. No verdict waits for it: what other servers took is heard of in the
//! background.

mod account;
mod sharing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::facts::{Facts, SubjectKey};
use super::tail::Tail;
use crate::limit::Allowance;
use crate::token::id::TokenId;
use crate::token::namespace::Namespace;
use crate::token::policy::RateLimit;
use crate::token::verdict::{Refusal, Verdict};
use account::Account;
pub(super) use sharing::Sharing;

/// Budgets that are kept at once. Beyond that those are forgotten first that are whole, and then those that will be
/// soonest: what was taken from them can be taken again.
pub const BUDGETS_MAX: usize = SHARDS * SHARD_MAX;
/// Budgets are kept in so many parts, each with a lock of its own.
const SHARDS: usize = 256;
const SHARD_MAX: usize = 1024;
/// So many are left when room is made in a part: to look through it is worth it.
const SHARD_AFTER: usize = SHARD_MAX / 8 * 7;

/// Whose budget it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    Token,
    /// All tokens of the subject together.
    Subject,
}

/// How a call stands with a rate limit: of two that apply, the one that leaves less.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rate {
    pub holder: Holder,
    pub limit: RateLimit,
    /// What is left of it, after this call.
    pub remaining: u32,
    /// How long it takes until all of it is there again, if nobody takes.
    pub reset: Duration,
    /// Where there was too little: how long it takes until there is enough; `None`: there never is that much.
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Key {
    Token(TokenId),
    Subject(SubjectKey),
}

/// A budget by name, and the limit it is under.
type Named = (Key, RateLimit);

/// What is left of all budgets.
#[derive(Debug)]
pub(super) struct Limits {
    shards: Box<[Mutex<Shard>]>,
    /// Whether anybody else takes from the same budgets.
    is_shared: bool,
    /// A budget nears its end, and others have not heard what was taken from it here.
    hurry: Notify,
    refused: [AtomicU64; 2],
    shared: AtomicU64,
    /// When all that was taken up to then had been shared, in microseconds of uptime.
    shared_at: AtomicU64,
}

#[derive(Default, Debug)]
struct Shard {
    accounts: HashMap<Key, Account, Tail>,
    /// Those that were used since they were last shared.
    used: Vec<Key>,
    /// Of those, the ones that others should hear of soon.
    urgent: Vec<Key>,
}

impl Limits {
    pub(super) fn new(is_shared: bool) -> Limits {
        Limits {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            is_shared,
            hurry: Notify::new(),
            refused: Default::default(),
            shared: AtomicU64::new(0),
            shared_at: AtomicU64::new(0),
        }
    }

    /// The verdict, with the limits of the token in mind: `cost` is taken only from a token that is good for all else,
    /// and from both budgets or from neither.
    pub(super) fn apply(
        &self,
        verdict: Verdict,
        facts: &Facts,
        namespace: &Namespace,
        cost: u32,
        now: Duration,
    ) -> (Verdict, Option<Rate>) {
        let Verdict::Accepted { secret_version, .. } = verdict else {
            return (verdict, None);
        };
        let policy = &namespace.policy;
        let of_token = facts.token.rate_limit.or(policy.rate_limit_default);
        let of_subject = facts.subject_limit.or(policy.rate_limit_subject_default);
        let of_token = of_token.map(|limit| (Key::Token(facts.token.id), limit));
        let of_subject = of_subject.map(|limit| (Key::Subject(facts.subject_key), limit));
        let taken = match (of_token, of_subject) {
            (None, None) => return (verdict, None),
            (Some(one), None) | (None, Some(one)) => self.take(one, cost, now),
            (Some(one), Some(other)) => self.take_from_both(one, other, cost, now),
        };
        match taken {
            // Whoever answered from a cache would not be counted.
            Ok(rate) => {
                let verdict = Verdict::Accepted {
                    secret_version,
                    cache_ttl: Duration::ZERO,
                };
                (verdict, Some(rate))
            }
            Err(rate) => {
                self.refused[rate.holder as usize].fetch_add(1, Ordering::Relaxed);
                let refusal = Refusal::RateLimited { secret_version };
                (Verdict::Refused(refusal), Some(rate))
            }
        }
    }

    fn take(&self, (key, limit): Named, cost: u32, now: Duration) -> Result<Rate, Rate> {
        let mut shard = self.shard(index(&key));
        let account = shard.account(key, limit, now);
        let rate = account.judge(holder(&key), cost, now)?;
        self.spend(&mut shard, (key, account), cost, now);
        Ok(rate)
    }

    /// Both are held meanwhile: nobody finds less in one of them because of what the other refuses.
    fn take_from_both(&self, one: Named, other: Named, cost: u32, now: Duration) -> Result<Rate, Rate> {
        let [low, high] = {
            let (one, other) = (index(&one.0), index(&other.0));
            [one.min(other), one.max(other)]
        };
        let mut low_shard = self.shard(low);
        let mut high_shard = (low < high).then(|| self.shard(high));
        let mut shard_of = |key: &Key, then: &mut dyn FnMut(&mut Shard)| match &mut high_shard {
            Some(shard) if index(key) == high => then(shard),
            _ => then(&mut low_shard),
        };
        let mut account = |(key, limit): Named| {
            let mut account = Account::new(limit);
            shard_of(&key, &mut |shard| account = shard.account(key, limit, now));
            account
        };
        let accounts = [(one.0, account(one)), (other.0, account(other))];
        let [first, second] = accounts.map(|(key, account)| account.judge(holder(&key), cost, now));
        let rate = match (first, second) {
            (Ok(first), Ok(second)) if second.remaining < first.remaining => second,
            (Ok(first), Ok(_)) => first,
            (Err(refused), Ok(_)) | (Ok(_), Err(refused)) => return Err(refused),
            (Err(first), Err(second)) => return Err(first.or_later(second)),
        };
        for (key, account) in accounts {
            shard_of(&key, &mut |shard| self.spend(shard, (key, account), cost, now));
        }
        Ok(rate)
    }

    fn spend(&self, shard: &mut Shard, (key, mut account): (Key, Account), cost: u32, now: Duration) {
        let before = account;
        account.spend(cost, now);
        if self.is_shared {
            account.is_used = before.is_used || noted(&mut shard.used, key);
            account.is_low = account.runs_low(now);
            let was_low = before.is_low && before.runs_low(now);
            if account.is_low && !was_low && noted(&mut shard.urgent, key) {
                self.hurry.notify_one();
            }
        } else if cost == 0 {
            return;
        }
        shard.put(key, account, now);
    }

    fn shard(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verdicts that a limit of these was the reason of, ever.
    pub(super) fn refused(&self, holder: Holder) -> u64 {
        self.refused[holder as usize].load(Ordering::Relaxed)
    }

    /// Budgets that were shared, each as often as it was, ever.
    pub(super) fn shared(&self) -> u64 {
        self.shared.load(Ordering::Relaxed)
    }

    /// How long ago all had been shared that was taken up to then; `None`: nobody else takes from these budgets.
    pub(super) fn share_lag(&self, now: Duration) -> Option<Duration> {
        let shared_at = Duration::from_micros(self.shared_at.load(Ordering::Relaxed));
        self.is_shared.then(|| now.saturating_sub(shared_at))
    }

    /// Budgets that are kept.
    pub(super) fn kept(&self) -> usize {
        (0..SHARDS).map(|index| self.shard(index).accounts.len()).sum()
    }
}

impl Rate {
    /// The one that makes its caller wait longer.
    fn or_later(self, other: Rate) -> Rate {
        match (self.retry_after, other.retry_after) {
            (Some(_), None) => other,
            (Some(one), Some(two)) if two > one => other,
            _ => self,
        }
    }
}

impl Shard {
    /// The account as it is under this limit, be it kept or not.
    fn account(&self, key: Key, limit: RateLimit, now: Duration) -> Account {
        let kept = self.accounts.get(&key);
        kept.map_or(Account::new(limit), |account| account.under(limit, now))
    }

    fn put(&mut self, key: Key, account: Account, now: Duration) {
        if self.accounts.len() >= SHARD_MAX && !self.accounts.contains_key(&key) {
            self.make_room(now);
        }
        self.accounts.insert(key, account);
    }

    fn make_room(&mut self, now: Duration) {
        self.accounts.retain(|_, account| !account.may_be_forgotten(now));
        let beyond = self.accounts.len().saturating_sub(SHARD_AFTER);
        if beyond > 0 {
            let mut accounts: Vec<_> = self.accounts.iter().collect();
            accounts.select_nth_unstable_by_key(beyond - 1, |(_, account)| account.missing(now));
            let soonest: Vec<_> = accounts[..beyond].iter().map(|(key, _)| **key).collect();
            for key in soonest {
                self.accounts.remove(&key);
            }
        }
    }
}

/// Whether there was room for it: while the store does not answer, nobody takes any away.
fn noted(keys: &mut Vec<Key>, key: Key) -> bool {
    let has_room = keys.len() < 2 * SHARD_MAX;
    if has_room {
        keys.push(key);
    }
    has_room
}

fn holder(key: &Key) -> Holder {
    match key {
        Key::Token(_) => Holder::Token,
        Key::Subject(_) => Holder::Subject,
    }
}

fn index(key: &Key) -> usize {
    // Not by the bits that the map of a shard goes by.
    (Tail::default().hash_one(key) >> 32) as usize % SHARDS
}

fn allowance(limit: RateLimit) -> Allowance {
    Allowance {
        burst: limit.requests,
        rate: limit.requests,
        period: limit.period.duration(),
    }
}
