//! Gathers uses in memory, each thread by itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::TOKENS_PENDING_MAX;
use super::shards::Shards;
use crate::token::caller::Caller;
use crate::token::context::{Prefixes, UserAgent};
use crate::token::id::TokenId;
use crate::token::time::Timestamp;
use crate::token::usage::{Outcome, Seen, Usage, Use};

/// Takes note of uses, until somebody takes them away.
#[derive(Debug)]
pub struct Recorder {
    /// `None`: nothing is recorded.
    shards: Option<Shards<HashMap<TokenId, Pending>>>,
    prefixes: Prefixes,
    tokens_max: usize,
    /// Tokens in the shards, and those that were taken away and are not written yet.
    pending: AtomicUsize,
    counts: Counts,
}

/// What a recorder has come to.
#[derive(Default, Debug)]
struct Counts {
    dropped: AtomicU64,
    written: AtomicU64,
    failures: AtomicU64,
    /// In microseconds of uptime; 0: never.
    flushed_at: AtomicU64,
}

/// What a recorder tells of itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Told {
    /// Tokens whose uses wait to be written.
    pub pending: usize,
    /// Uses that are not recorded, for too many tokens waited.
    pub dropped: u64,
    /// Tokens whose usage was written, each time it was.
    pub written: u64,
    /// Flushes that did not go through, and were tried again.
    pub failures: u64,
    /// The uptime of the machine when all that had been gathered was written last.
    pub flushed_at: Option<Duration>,
}

/// What one thread has seen of a token since it was written last.
#[derive(Debug)]
struct Pending {
    counts: [u64; Outcome::ALL.len()],
    first_use_time: Option<Timestamp>,
    last_use: Option<Last>,
    last_refusal: Option<Last>,
    /// Few: a token has one or two that are good.
    secrets: Vec<(u32, Timestamp)>,
}

/// A use as it was seen: how much of it is kept is decided when it is written.
#[derive(Debug)]
struct Last {
    time: Timestamp,
    outcome: Outcome,
    secret_version: u32,
    caller: Option<Arc<Caller>>,
    address: Option<std::net::IpAddr>,
    user_agent: UserAgent,
}

impl Recorder {
    /// One that keeps so much of an address.
    pub fn new(prefixes: Prefixes) -> Recorder {
        Recorder {
            shards: Some(Shards::default()),
            prefixes,
            tokens_max: TOKENS_PENDING_MAX,
            pending: AtomicUsize::new(0),
            counts: Counts::default(),
        }
    }

    /// One that takes no note of anything.
    pub fn off() -> Recorder {
        Recorder {
            shards: None,
            ..Recorder::new(Prefixes::DEFAULT)
        }
    }

    #[cfg(test)]
    pub(super) fn of_at_most(tokens_max: usize) -> Recorder {
        Recorder {
            tokens_max,
            ..Recorder::new(Prefixes::DEFAULT)
        }
    }

    pub fn is_on(&self) -> bool {
        self.shards.is_some()
    }

    /// Takes note of a use.
    pub fn note(&self, used: Use) {
        let Some(shards) = &self.shards else { return };
        let mut shard = shards.own();
        if let Some(pending) = shard.get_mut(&used.token_id) {
            pending.add(used);
        } else if self.pending.fetch_add(1, Ordering::Relaxed) < self.tokens_max {
            let mut pending = Pending::default();
            let id = used.token_id;
            pending.add(used);
            shard.insert(id, pending);
        } else {
            self.pending.fetch_sub(1, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes away what was gathered: each token once. Until it is said to be written it counts as pending.
    pub(super) fn take(&self) -> BTreeMap<TokenId, Usage> {
        let mut taken: BTreeMap<TokenId, Usage> = BTreeMap::new();
        let mut tokens = 0;
        for shard in self.shards.iter().flat_map(Shards::take) {
            tokens += shard.len();
            for (id, pending) in shard {
                taken.entry(id).or_default().add(pending.usage(self.prefixes));
            }
        }
        self.pending.fetch_sub(tokens - taken.len(), Ordering::Relaxed);
        taken
    }

    /// The usage of so many tokens was written.
    pub(super) fn written(&self, tokens: usize) {
        self.pending.fetch_sub(tokens, Ordering::Relaxed);
        self.counts.written.fetch_add(tokens as u64, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// All that had been gathered is written.
    pub(super) fn flushed(&self, uptime: Duration) {
        let micros = u64::try_from(uptime.as_micros()).unwrap_or(u64::MAX);
        self.counts.flushed_at.store(micros, Ordering::Relaxed);
    }

    pub fn told(&self) -> Told {
        let Counts {
            dropped,
            written,
            failures,
            flushed_at,
        } = &self.counts;
        let flushed_at = flushed_at.load(Ordering::Relaxed);
        Told {
            pending: self.pending.load(Ordering::Relaxed),
            dropped: dropped.load(Ordering::Relaxed),
            written: written.load(Ordering::Relaxed),
            failures: failures.load(Ordering::Relaxed),
            flushed_at: (flushed_at > 0).then(|| Duration::from_micros(flushed_at)),
        }
    }
}

impl Default for Pending {
    fn default() -> Pending {
        Pending {
            counts: [0; Outcome::ALL.len()],
            first_use_time: None,
            last_use: None,
            last_refusal: None,
            secrets: Vec::new(),
        }
    }
}

impl Pending {
    fn add(&mut self, used: Use) {
        let Use {
            secret_version,
            outcome,
            time,
            caller,
            context,
            ..
        } = used;
        self.counts[outcome as usize] += 1;
        let is_accepted = outcome == Outcome::Accepted;
        let last = if is_accepted {
            &mut self.last_use
        } else {
            &mut self.last_refusal
        };
        // What the request came with is given back at once: kept in its place, it would scatter the heap.
        let mut user_agent = last.take().map(|last| last.user_agent).unwrap_or_default();
        user_agent.clone_from(&context.user_agent);
        *last = Some(Last {
            time,
            outcome,
            secret_version,
            caller,
            address: context.address,
            user_agent,
        });
        if !is_accepted {
            return;
        }
        self.first_use_time.get_or_insert(time);
        match self
            .secrets
            .iter_mut()
            .find(|(version, _)| *version == secret_version)
        {
            Some((_, last)) => *last = time,
            None => self.secrets.push((secret_version, time)),
        }
    }

    fn usage(self, prefixes: Prefixes) -> Usage {
        let counts = Outcome::ALL.into_iter().zip(self.counts);
        Usage {
            counts: counts.filter(|(_, count)| *count > 0).collect(),
            first_use_time: self.first_use_time,
            last_use: self.last_use.map(|last| last.seen(prefixes)),
            last_refusal: self.last_refusal.map(|last| last.seen(prefixes)),
            secrets: self.secrets.into_iter().collect(),
        }
    }
}

impl Last {
    fn seen(self, prefixes: Prefixes) -> Seen {
        Seen {
            time: self.time,
            outcome: self.outcome,
            secret_version: self.secret_version,
            caller: self.caller.map(|caller| caller.actor()),
            address_prefix: self.address.map(|address| prefixes.of(address)),
            user_agent: self.user_agent,
        }
    }
}
