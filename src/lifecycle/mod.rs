//! Looking for tokens that time alone has brought to something, and having that told: by one server at a time, page by
//! page, each token once.

mod tally;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::authority::{Authority, AuthorityError, Told};
use crate::clock::Clock;
use crate::journal::Stored;
use crate::store::lease::{Duty, Stop};
use crate::store::select::Selection;
use crate::store::{Store, StoreError};
use crate::token::Token;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::lifecycle::{self, Matter, Notice, Uses};
use crate::token::namespace::Namespace;
use crate::token::order::Order;
use crate::token::policy::{Policy, UnusedAction};
use crate::token::time::{Span, Timestamp};
pub use tally::Tally;

/// What the duty is called.
pub const DUTY: &str = "lifecycle";
/// A namespace is walked so often, or more often where it asks for what is told sooner.
pub const WALK_INTERVAL_MAX: Duration = Duration::from_hours(1);
/// What is told is late by no more than this part of the shortest span that a namespace names.
const WALKS_A_SPAN: u32 = 20;
/// Tokens of one page.
const PAGE: u32 = 500;
/// How long nothing is read between pages: whoever calls is not to wait for this.
const PAGE_PAUSE: Duration = Duration::from_millis(20);
/// Tokens told of at once: few enough that callers do not wait, and enough for one transaction to take several.
const TELLING_MAX: usize = 16;
/// For so many of its intervals a server has the duty without having been heard of.
const LEASE_INTERVALS: u32 = 3;
/// How long the store may take to say whose the duty is.
const DUTY_MAX: Duration = Duration::from_secs(5);

/// When it looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// How often it is looked whether a namespace is to be walked.
    pub interval: Duration,
    /// So late a use may be known: no server waits for longer than a minute to write it, and another one may pass before
    /// a store that did not answer has it. Another one is for tests, which cannot wait.
    pub use_late_max: Span,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            interval: Duration::from_mins(1),
            use_late_max: Span::seconds(120),
        }
    }
}

/// Walks the namespaces while it has the duty, and waits for it otherwise.
#[derive(Debug)]
pub struct Timekeeper {
    store: Arc<dyn Store>,
    authority: Arc<Authority>,
    clock: Arc<dyn Clock>,
    duty: Duty,
    pace: Pace,
    tally: Arc<Tally>,
    /// The rules by which each namespace was walked last, and when. It is not kept: who begins anew walks all of them
    /// once, and finds in the journal what was told before.
    walked: HashMap<Slug, (Policy, Duration)>,
}

impl Timekeeper {
    pub fn new(
        store: Arc<dyn Store>,
        authority: Arc<Authority>,
        clock: Arc<dyn Clock>,
        duty: Duty,
        pace: Pace,
        tally: Arc<Tally>,
    ) -> Timekeeper {
        Timekeeper {
            store,
            authority,
            clock,
            duty,
            pace,
            tally,
            walked: HashMap::new(),
        }
    }

    /// Never returns. Cut off, it leaves nothing half done: what was not told is told by whoever looks next.
    pub async fn run(mut self) {
        let mut pace = interval(self.pace.interval);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            self.round().await;
        }
    }

    /// Walks what is to be walked by now, if it has the duty.
    async fn round(&mut self) {
        match self.walk_all().await {
            Ok(true) => self.tally.completed(self.clock.uptime()),
            // In the log; what it did not come to is walked in the next round.
            Ok(false) => {}
            Err(Stop::Lost) => {
                if self.tally.set_on_duty(false) {
                    tracing::info!("watches over the lives of tokens no more: another server may");
                }
                // Nobody knows what it does meanwhile.
                self.walked.clear();
            }
            Err(Stop::Store(error)) => {
                self.tally.failed();
                tracing::warn!(%error, "what time brings to tokens is told later: trying again");
            }
        }
    }

    /// Whether all that was to be walked is.
    async fn walk_all(&mut self) -> Result<bool, Stop> {
        self.keep_duty().await?;
        if !self.tally.set_on_duty(true) {
            tracing::info!("watches over the lives of tokens");
        }
        let directory = self.store.directory().await?.record;
        self.walked.retain(|slug, _| directory.get(slug).is_some());
        let mut all = true;
        for namespace in directory.iter() {
            let now = self.clock.uptime();
            let Some(every) = walk_interval(&namespace.policy) else {
                self.walked.remove(&namespace.slug);
                continue;
            };
            let before = self.walked.get(&namespace.slug);
            if before.is_some_and(|(rules, at)| *rules == namespace.policy && now.saturating_sub(*at) < every)
            {
                continue;
            }
            match self.walk(namespace).await {
                Ok(()) => {
                    let walked = (namespace.policy.clone(), now);
                    self.walked.insert(namespace.slug.clone(), walked);
                }
                Err(Stop::Store(error)) if !is_unavailable(&error) => {
                    all = false;
                    self.tally.failed();
                    tracing::warn!(%error, namespace = %namespace.slug, "tokens of a namespace are not looked at");
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(all)
    }

    /// Takes the duty, or keeps it.
    async fn keep_duty(&self) -> Result<(), Stop> {
        let now = self.clock.now();
        let lease = self.pace.interval * LEASE_INTERVALS;
        let is_ours = self.duty.take(&*self.store, now, lease, DUTY_MAX).await?;
        is_ours.then_some(()).ok_or(Stop::Lost)
    }

    async fn walk(&self, namespace: &Namespace) -> Result<(), Stop> {
        let now = self.clock.now();
        let known_until = now.earlier(self.pace.use_late_max.duration());
        for matter in Matter::ALL {
            let Some(selector) = matter.candidates(&namespace.policy, now, known_until) else {
                continue;
            };
            // Who tells it looks for what else is known: it takes a search.
            let uses = match matter {
                Matter::Unused => match self.store.usage_since().await? {
                    None => continue,
                    Some(known_since) => Some(Uses {
                        known_since,
                        known_until,
                        last_use: None,
                        resume_time: None,
                        subject_time: None,
                    }),
                },
                Matter::Expiring | Matter::RotationDue => None,
            };
            let mut selection = Selection {
                order: Order::ascending(selector.order_of_search()),
                filter: selector.within(namespace, now),
                after: None,
                limit: PAGE,
            };
            loop {
                let slice = self.store.tokens(selection.clone()).await?;
                let due = self
                    .due((matter, uses), &namespace.policy, slice.tokens, now)
                    .await?;
                self.tell(matter, due).await?;
                selection.after = slice.next;
                if selection.after.is_none() {
                    break;
                }
                sleep(PAGE_PAUSE).await;
                self.keep_duty().await?;
            }
        }
        Ok(())
    }

    /// Those of the tokens of a page that have come to something that was not told before, as far as can be seen here.
    async fn due(
        &self,
        (matter, uses): (Matter, Option<Uses>),
        policy: &Policy,
        page: Vec<Stored<Token>>,
        now: Timestamp,
    ) -> Result<Vec<TokenId>, Stop> {
        let last_uses = match matter {
            Matter::Unused => {
                let ids = page.iter().map(|stored| stored.record.id).collect();
                self.store.usages(ids).await?
            }
            Matter::Expiring | Matter::RotationDue => Vec::new(),
        };
        let mut last_uses = last_uses.into_iter();
        let mut due: Vec<(TokenId, Notice)> = Vec::new();
        for Stored { record: token, .. } in &page {
            let last_use = last_uses.next().flatten().and_then(|usage| usage.last_use_time());
            let notice = match matter {
                Matter::Expiring => lifecycle::expiring(token, policy, now),
                Matter::RotationDue => lifecycle::rotation_due(token, policy, now),
                Matter::Unused => uses.and_then(|uses| {
                    let uses = Uses { last_use, ..uses };
                    lifecycle::unused(token, policy, &uses, now)
                }),
            };
            due.extend(notice.map(|notice| (token.id, notice)));
        }
        // One that would not be active any more, had that been done, was resumed, or nothing has come of it yet.
        let told = if matter == Matter::Unused && policy.unused_action != UnusedAction::Report {
            HashSet::new()
        } else if due.is_empty() {
            return Ok(Vec::new());
        } else {
            let requests: Vec<RequestDigest> = due.iter().map(|(id, notice)| notice.request(*id)).collect();
            self.store.written(requests).await?
        };
        let untold = due
            .into_iter()
            .filter(|(id, notice)| !told.contains(&notice.request(*id)));
        Ok(untold.map(|(id, _)| id).collect())
    }

    /// Has it told of each of these. One that fails is looked at again by the next walk.
    async fn tell(&self, matter: Matter, due: Vec<TokenId>) -> Result<(), Stop> {
        let mut due = due.into_iter();
        let mut telling = JoinSet::new();
        loop {
            while telling.len() < TELLING_MAX
                && let Some(id) = due.next()
            {
                let authority = Arc::clone(&self.authority);
                let late = self.pace.use_late_max;
                telling.spawn(async move { (id, authority.tell(id, matter, late).await) });
            }
            match telling.join_next().await {
                None => return Ok(()),
                // It panicked, or the server ends.
                Some(Err(_)) => self.tally.failed(),
                Some(Ok((_, Ok(told)))) => self.told(matter, told),
                Some(Ok((_, Err(AuthorityError::Store(error))))) if is_unavailable(&error) => {
                    return Err(Stop::Store(error));
                }
                Some(Ok((token_id, Err(error)))) => {
                    self.tally.failed();
                    tracing::warn!(%token_id, %error, "what time brought to a token is told later");
                }
            }
        }
    }

    fn told(&self, matter: Matter, told: Told) {
        if told.notice {
            self.tally.told(matter);
        }
        if let Some(state) = told.withdrawn {
            self.tally.withdrew(state);
        }
    }
}

/// How often a namespace with these rules is walked; `None`: it asks for nothing that time brings.
fn walk_interval(policy: &Policy) -> Option<Duration> {
    let spans = policy.expiring_leads.first().copied().into_iter();
    let spans = spans.chain(policy.rotation_due_after).chain(policy.unused_after);
    let shortest = spans.min()?.duration();
    Some((shortest / WALKS_A_SPAN).min(WALK_INTERVAL_MAX))
}

/// Whether no other token would fare better.
fn is_unavailable(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_))
}
