//! One endpoint: its events, one after the other, each until it is taken.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::parts::Parts;
use super::payload::{self, Facts};
use super::tally::Outcome;
use super::{Answer, NotSent};
use crate::clock::random;
use crate::journal::event::event;
use crate::journal::{Change, Entry, Revision};
use crate::store::lease::Duty;
use crate::store::webhooks::{Delivery, Progress, Step};
use crate::store::{EntryFilter, READ_MAX, StoreError};
use crate::token::change::TokenChange;
use crate::token::id::TokenId;
use crate::token::text::Reason;
use crate::token::time::{Timestamp, spelled};
use crate::token::webhook::Endpoint;
use crate::token::webhook::event::EventKind;

/// Entries that are read at once.
const BATCH: u32 = 100;
/// How long the store is left alone after it failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// What was taken is noted so often at least, and so many at once at most: whatever is not noted is sent once more after
/// a crash.
const NOTE_INTERVAL: Duration = Duration::from_millis(250);
const UNNOTED_MAX: usize = 64;
/// How often an endpoint without events catches up with the journal, so that it is not held to have missed any.
const IDLE_MAX: Duration = Duration::from_mins(1);
/// Events of an endpoint whose fate is kept; a few more, until they are swept.
pub const HISTORY_MAX: u32 = 200;
/// How long it is kept.
pub const HISTORY_KEPT: Duration = Duration::from_hours(30 * 24);
/// Notes between two sweeps.
const SWEEP_EVERY: u32 = 32;

/// Why a round ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The endpoint is not where it was left, or another one delivers.
    Lost,
    /// It was paused.
    Paused,
}

/// What one endpoint is sent.
#[derive(Debug)]
pub(super) struct Round {
    parts: Arc<Parts>,
    duty: Duty,
    endpoint: Endpoint,
    /// The newest event of its namespace.
    newest: watch::Receiver<Revision>,
    at: Progress,
    /// How far the store knows it to be, and what it does not know yet.
    noted: Revision,
    unnoted: Vec<Delivery>,
    noted_at: Duration,
    notes: u32,
}

impl Round {
    pub(super) async fn run(
        parts: Arc<Parts>,
        duty: Duty,
        endpoint: Endpoint,
        newest: watch::Receiver<Revision>,
    ) -> End {
        let Some(at) = patiently(|| parts.store.progress(endpoint.id)).await else {
            return End::Lost;
        };
        let since_resumed = at
            .failing_since
            .is_some_and(|since| since >= endpoint.active_since);
        let mut round = Round {
            noted: at.revision,
            // Whatever was before it was resumed does not count.
            at: if since_resumed { at } else { fresh(at.revision) },
            noted_at: parts.clock.uptime(),
            parts,
            duty,
            endpoint,
            newest,
            unnoted: Vec::new(),
            notes: 0,
        };
        match round.go_on().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn go_on(&mut self) -> Result<std::convert::Infallible, End> {
        let parts = Arc::clone(&self.parts);
        let filter = || EntryFilter {
            namespace: Some(self.endpoint.namespace.clone()),
            ..EntryFilter::ALL
        };
        let filter = filter();
        loop {
            // Read first: whatever is not found after it is not there up to it.
            let head = patiently(|| parts.store.head()).await;
            if self.at.revision.next() < head.oldest {
                let last = Revision::new(head.oldest.get() - 1);
                self.tell_missed(self.at.revision.next(), last).await?;
                continue;
            }
            let after = self.at.revision;
            let entries = patiently(|| parts.store.entries(after, filter.clone(), BATCH)).await;
            for entry in &entries {
                match event(entry).filter(|event| self.endpoint.wants(event.kind)) {
                    Some(event) => {
                        let facts = self.facts(entry).await;
                        let body = payload::of_entry(entry, event, facts.as_ref());
                        let happened = (entry.revision, entry.time);
                        self.deliver(happened, event.kind, body).await?;
                    }
                    None => self.at.revision = entry.revision,
                }
            }
            if entries.len() < BATCH as usize {
                self.at.revision = self.at.revision.max(head.revision);
                if self.at.revision != self.noted {
                    self.note().await?;
                }
                let at = self.at.revision;
                // Closed: the courier has stopped, and this round with it. In time: it looks after itself.
                let _ = timeout(IDLE_MAX, self.newest.wait_for(|newest| *newest > at)).await;
            }
        }
    }

    /// What the entry says of its token, as it was after the entry; `None`: it is about no token, or about one whose row
    /// was tampered with.
    async fn facts(&self, entry: &Entry) -> Option<Facts> {
        let Change::Token { token_id, change, .. } = &entry.change else {
            return None;
        };
        if let TokenChange::Issued(token) | TokenChange::Imported(token) = change {
            return Some(Facts::at(token, &[]));
        }
        loop {
            match self.read_facts(*token_id, entry.revision).await {
                Ok(facts) => return facts,
                Err(StoreError::Corrupt { .. }) => return None,
                Err(error) => {
                    tracing::warn!(%error, endpoint = %self.endpoint.id, "a token could not be read; trying again");
                    sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    async fn read_facts(&self, id: TokenId, mut after: Revision) -> Result<Option<Facts>, StoreError> {
        let Some(token) = self.parts.store.token(id).await? else {
            return Ok(None);
        };
        let filter = EntryFilter {
            token_id: Some(id),
            ..EntryFilter::ALL
        };
        let mut later = Vec::new();
        loop {
            let page = self.parts.store.entries(after, filter.clone(), READ_MAX).await?;
            let is_last = page.len() < READ_MAX as usize;
            after = page.last().map_or(after, |last| last.revision);
            later.extend(page);
            if is_last {
                return Ok(Some(Facts::at(&token.record, &later)));
            }
        }
    }

    /// Says which entries were trimmed before they were delivered, as an event of its own, in their place.
    async fn tell_missed(&mut self, first: Revision, last: Revision) -> Result<(), End> {
        tracing::error!(
            endpoint = %self.endpoint.id, %first, %last,
            "the journal was trimmed past what was delivered: the endpoint is told what it misses"
        );
        let (now, kind) = (self.parts.clock.now(), EventKind::WebhookMissed);
        let body = payload::about_endpoint(kind, &self.endpoint, now, Some((first, last)));
        self.deliver((last, now), kind, body).await
    }

    /// Sends one event until it is taken.
    async fn deliver(
        &mut self,
        (revision, time): (Revision, Timestamp),
        kind: EventKind,
        body: String,
    ) -> Result<(), End> {
        let parts = Arc::clone(&self.parts);
        let event_id = self.endpoint.id.event_id(parts.epoch.as_bytes(), revision.get());
        parts.tally.set_waiting(self.endpoint.id, Some((revision, time)));
        loop {
            if let Some(next_time) = self.at.next_time {
                let wait = parts.clock.now().until(next_time);
                // A clock that was set back must not keep it from going on.
                sleep(wait.min(parts.pace.retry_max)).await;
            }
            let answer = {
                // Never closed.
                let _place = parts.places.acquire().await;
                parts.sender.send(&self.endpoint, &event_id, body.clone()).await
            };
            parts.tally.count(outcome(&answer));
            let now = parts.clock.now();
            let (status, error) = (answer.as_ref().ok().map(|answer| answer.status), wrong(&answer));
            let mut delivery = Delivery {
                revision,
                event_id: event_id.clone(),
                kind,
                attempts: self.at.failures.saturating_add(1),
                first_time: self.at.failing_since.unwrap_or(now),
                last_time: now,
                status,
                error: error.clone(),
                next_time: None,
            };
            let Some(error) = error else {
                self.unnoted.push(delivery);
                self.at = fresh(revision);
                parts.tally.set_waiting(self.endpoint.id, None);
                let since = parts.clock.uptime().saturating_sub(self.noted_at);
                if self.unnoted.len() >= UNNOTED_MAX || since >= NOTE_INTERVAL {
                    self.note().await?;
                }
                return Ok(());
            };
            let asked = answer.ok().and_then(|answer| answer.retry_after);
            self.at.failures = delivery.attempts;
            let since = *self.at.failing_since.get_or_insert(now);
            let chance = u32::from_be_bytes(random(&*parts.entropy));
            let wait = parts.pace.wait_at_least(self.at.failures, chance, asked);
            self.at.next_time = now.after(wait).ok();
            delivery.next_time = self.at.next_time;
            tracing::debug!(endpoint = %self.endpoint.id, %revision, %error, "not taken");
            self.unnoted.push(delivery);
            self.note().await?;
            let reason = if status == Some(410) {
                Some("it answered that it is gone (410)".to_owned())
            } else if since.until(now) >= parts.pace.pause_after {
                let span = spelled(parts.pace.pause_after);
                Some(format!("it took nothing for {span}; the last time: {error}"))
            } else {
                None
            };
            if let Some(reason) = reason {
                return self.pause(&reason).await;
            }
        }
    }

    async fn pause(&mut self, why: &str) -> Result<(), End> {
        let short: String = why.chars().filter(|c| !c.is_control()).take(400).collect();
        let reason = Reason::try_from(short);
        let reason = reason.or_else(|_| Reason::try_from("it took nothing for too long".to_owned()));
        let Ok(reason) = reason else {
            return Err(End::Lost);
        };
        tracing::warn!(endpoint = %self.endpoint.id, %reason, "paused");
        match self
            .parts
            .authority
            .pause_endpoint(self.endpoint.id, reason)
            .await
        {
            Ok(()) => Err(End::Paused),
            // The next failure tries again.
            Err(error) => {
                tracing::warn!(%error, endpoint = %self.endpoint.id, "it could not be paused");
                Ok(())
            }
        }
    }

    /// Has the store know how far the endpoint is.
    async fn note(&mut self) -> Result<(), End> {
        let step = Step {
            from: self.noted,
            to: self.at,
            deliveries: std::mem::take(&mut self.unnoted),
        };
        let (store, id, duty) = (&self.parts.store, self.endpoint.id, self.duty);
        if !patiently(|| store.advance(duty, id, step.clone())).await {
            return Err(End::Lost);
        }
        self.noted = self.at.revision;
        self.noted_at = self.parts.clock.uptime();
        if self.notes.is_multiple_of(SWEEP_EVERY) {
            let until = self.parts.clock.now().earlier(HISTORY_KEPT);
            if let Err(error) = store.sweep_deliveries(id, HISTORY_MAX, until).await {
                tracing::warn!(%error, endpoint = %id, "old deliveries could not be forgotten; trying again later");
            }
        }
        self.notes = self.notes.wrapping_add(1);
        Ok(())
    }
}

fn fresh(revision: Revision) -> Progress {
    Progress {
        revision,
        ..Progress::default()
    }
}

/// Asks the store until it answers.
async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => {
                tracing::warn!(%error, "webhooks wait for the store");
                sleep(STORE_PAUSE).await;
            }
        }
    }
}

fn outcome(answer: &Result<Answer, NotSent>) -> Outcome {
    match answer {
        Ok(answer) if (200..300).contains(&answer.status) => Outcome::Delivered,
        Ok(_) => Outcome::Refused,
        Err(NotSent::TooSlow) => Outcome::TooSlow,
        Err(NotSent::OutOfReach(_)) => Outcome::OutOfReach,
        Err(_) => Outcome::Failed,
    }
}

/// What was wrong, in words for whoever looks at the history; `None`: it was taken.
fn wrong(answer: &Result<Answer, NotSent>) -> Option<String> {
    match answer {
        Ok(Answer { status: 200..300, .. }) => None,
        Ok(Answer {
            status: status @ 300..400,
            ..
        }) => Some(format!("it answered {status}, and redirects are not followed")),
        Ok(Answer { status, .. }) => Some(format!("it answered {status}")),
        Err(error) => Some(error.to_string()),
    }
}
