//! Budgets that several servers take from: each says what it took, and hears what the others did.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{Key, Limits, Named};
use crate::clock::Clock;
use crate::store::budgets::{BudgetKey, Report, Taking};
use crate::store::member::MemberId;
use crate::store::{READ_MAX, Store, StoreError};

/// How often a budget that is used is shared.
pub(super) const SHARE_INTERVAL: Duration = Duration::from_secs(1);
/// One that runs low is shared after this, once each time.
const HURRY: Duration = Duration::from_millis(50);
/// How often budgets are forgotten in the store that have long been whole.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
/// How long one must have been whole: reports come late.
const WHOLE_FOR: Duration = Duration::from_mins(1);
/// A server that has reported nothing for so long will not send a report again.
const SILENT_FOR: Duration = Duration::from_hours(24);

/// The task that shares, and what it has begun.
#[derive(Debug)]
pub(in crate::verify) struct Sharing {
    limits: Arc<Limits>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    reporter: MemberId,
    sequence: u64,
    /// Sent, and perhaps added: it is sent again under its number until there is an answer.
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    report: Report,
    named: Vec<Named>,
    /// When it was last sent.
    sent_at: Duration,
}

/// Which budgets a round is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Round {
    /// All that were used.
    Used,
    /// Those that run low.
    Urgent,
}

impl Sharing {
    pub(in crate::verify) fn new(
        (limits, store, clock): (Arc<Limits>, Arc<dyn Store>, Arc<dyn Clock>),
        reporter: MemberId,
    ) -> Sharing {
        limits.all_shared(clock.uptime());
        Sharing {
            limits,
            store,
            clock,
            reporter,
            sequence: 0,
            pending: None,
        }
    }

    /// Shares until `end`, and then what is left.
    pub(in crate::verify) async fn run(mut self, end: CancellationToken) {
        if self.store.roll().is_none() {
            return;
        }
        let limits = Arc::clone(&self.limits);
        let [mut rounds, mut sweeps] = [SHARE_INTERVAL, SWEEP_INTERVAL].map(|every| {
            let mut pace = interval(every);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        let mut failing = false;
        while !end.is_cancelled() {
            let round = tokio::select! {
                () = end.cancelled() => Round::Used,
                _ = rounds.tick() => Round::Used,
                () = limits.hurry.notified() => {
                    // Others run low at the same time.
                    sleep(HURRY).await;
                    Round::Urgent
                }
                _ = sweeps.tick() => {
                    self.sweep().await;
                    continue;
                }
            };
            match self.round(round).await {
                Ok(()) if std::mem::take(&mut failing) => tracing::info!("rate limits are shared again"),
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!(%error, cause = error.cause(), "rate limits are not shared; trying again");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Says what was taken here, and hears what was taken elsewhere. What fails is sent again in the next round.
    pub(super) async fn round(&mut self, round: Round) -> Result<(), StoreError> {
        let store = Arc::clone(&self.store);
        let Some(budgets) = store.roll() else {
            return Ok(());
        };
        let begun = self.clock.uptime();
        loop {
            let pending = match self.pending.take() {
                Some(pending) => pending.again(self.clock.uptime()),
                None => match self.collect(round) {
                    Some(pending) => pending,
                    None => break,
                },
            };
            match budgets.share(&pending.report).await {
                Ok(answered) => self.heard(&pending, &answered),
                Err(error) => {
                    self.pending = Some(pending);
                    return Err(error);
                }
            }
        }
        if round == Round::Used {
            self.limits.all_shared(begun);
        }
        Ok(())
    }

    /// The next report; `None`: there is nothing to say or to ask.
    fn collect(&mut self, round: Round) -> Option<Pending> {
        let now = self.clock.uptime();
        let taken = self.limits.collect(round, now);
        if taken.is_empty() {
            return None;
        }
        self.sequence += 1;
        let (named, takings) = taken.into_iter().unzip();
        Some(Pending {
            report: Report {
                reporter: self.reporter,
                sequence: self.sequence,
                takings,
            },
            named,
            sent_at: now,
        })
    }

    fn heard(&self, pending: &Pending, answered: &[Duration]) {
        let now = self.clock.uptime();
        for ((key, limit), missing) in pending.named.iter().zip(answered) {
            let mut shard = self.limits.shard(super::index(key));
            // Under another limit it counts from what it was when that changed.
            if let Some(account) = shard.accounts.get_mut(key)
                && account.limit == *limit
            {
                account.heard(*missing, now);
            }
        }
        let count = pending.named.len() as u64;
        self.limits.shared.fetch_add(count, Ordering::Relaxed);
    }

    async fn sweep(&self) {
        if let Some(budgets) = self.store.roll()
            && let Err(error) = budgets.sweep_budgets(WHOLE_FOR, SILENT_FOR).await
        {
            tracing::warn!(%error, "budgets that are whole could not be forgotten; trying again later");
        }
    }
}

impl Pending {
    /// The same once more, without what has come back since it was sent.
    fn again(mut self, now: Duration) -> Pending {
        let age = now.saturating_sub(self.sent_at);
        for taking in &mut self.report.takings {
            taking.owed = taking.owed.saturating_sub(age);
        }
        self.sent_at = now;
        self
    }
}

impl Limits {
    /// What is to be shared next, at most one report of it.
    fn collect(&self, round: Round, now: Duration) -> Vec<(Named, Taking)> {
        let mut taken = Vec::new();
        for index in 0..self.shards.len() {
            let mut shard = self.shard(index);
            let shard = &mut *shard;
            let keys = match round {
                Round::Used => &mut shard.used,
                Round::Urgent => &mut shard.urgent,
            };
            let room = READ_MAX as usize - taken.len();
            let rest = keys.len().saturating_sub(room);
            for key in keys.drain(rest..) {
                // Forgotten since, or shared since because it ran low.
                if let Some(account) = shard.accounts.get_mut(&key).filter(|account| account.is_used) {
                    taken.push(((key, account.limit), taking(&key, account, now)));
                }
            }
            if taken.len() >= READ_MAX as usize {
                break;
            }
        }
        taken
    }

    fn all_shared(&self, at: Duration) {
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        self.shared_at.store(micros, Ordering::Relaxed);
    }
}

fn taking(key: &Key, account: &mut super::Account, now: Duration) -> Taking {
    let (kind, holder) = match key {
        Key::Token(id) => (b't', id.as_bytes()),
        Key::Subject(subject) => (b's', subject.as_bytes()),
    };
    Taking {
        key: BudgetKey::new(kind, holder, account.limit),
        owed: account.report(now),
    }
}
