//! Facts about tokens, found by digest. Never verdicts, never negatives, never token text.
//!
//! A digest belongs to one token for ever, so that is kept apart from what the token is now: a change
//! evicts the token by its id, however many secrets lead to it. What is said of its subject is kept with the token. A
//! change to a subject evicts nothing, for nobody knows how many tokens that has: it moves the fence of the subject,
//! and whatever was read before that is no hit any more.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quick_cache::UnitWeighter;
use quick_cache::sync::Cache as Bounded;

use super::facts::Facts;
use super::tail::Tail;
use crate::journal::Revision;
use crate::token::id::{Slug, TokenId};
use crate::token::secret::Digest;
use crate::token::text::Subject;

/// Fences are kept for so many groups of tokens: a change in one does not turn away fills in the others.
const STRIPES: usize = 1024;

/// The same for subjects. One that changes costs the cached tokens of its stripe one look-up each.
const SUBJECT_STRIPES: usize = 4096;

/// A bounded cache of tokens.
pub struct Cache {
    ids: Bounded<Digest, TokenId, UnitWeighter, Tail>,
    tokens: Bounded<TokenId, Cached, UnitWeighter, Tail>,
    /// The last change to any token of the stripe.
    stripes: Box<[Mutex<Revision>]>,
    /// The revision of the last change to any subject of the stripe.
    subjects: Box<[AtomicU64]>,
}

/// A token with what is said of its subject, as both were at the fence.
#[derive(Clone)]
struct Cached {
    facts: Facts,
    fence: Revision,
    subject_stripe: usize,
}

impl Cache {
    /// A cache of at most about `tokens` tokens.
    pub fn new(tokens: NonZeroUsize) -> Cache {
        let tokens = tokens.get();
        Cache {
            // A token has one or two live secrets.
            ids: Bounded::with(
                tokens * 2,
                tokens as u64 * 2,
                UnitWeighter,
                Tail::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            tokens: Bounded::with(
                tokens,
                tokens as u64,
                UnitWeighter,
                Tail::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            stripes: (0..STRIPES).map(|_| Mutex::new(Revision::ZERO)).collect(),
            subjects: (0..SUBJECT_STRIPES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<Facts> {
        let cached = self.tokens.get(&self.ids.get(digest)?)?;
        self.is_current(&cached).then_some(cached.facts)
    }

    /// Whether nothing was said of its subject since it was read.
    fn is_current(&self, cached: &Cached) -> bool {
        let last_change = self.subjects[cached.subject_stripe].load(Ordering::Acquire);
        last_change <= cached.fence.get()
    }

    /// Keeps `token`, read with what is said of its subject at `fence`, unless a later change to either was applied
    /// meanwhile: then the read may be older than the change, and would be accepted for ever. A change to the subject
    /// that is applied from here on makes a miss of it: it is later than the fence.
    pub(super) fn fill(&self, digest: Digest, token: &Facts, fence: Revision) -> bool {
        // The lock is held over the insert: an eviction comes wholly before it, and is seen, or wholly after.
        let last_change = self.stripe(token.id);
        if *last_change > fence {
            return false;
        }
        let cached = Cached {
            facts: token.clone(),
            fence,
            subject_stripe: subject_stripe(&token.namespace, &token.subject),
        };
        if !self.is_current(&cached) {
            return false;
        }
        self.tokens.insert(token.id, cached);
        drop(last_change);
        self.ids.insert(digest, token.id);
        true
    }

    /// Forgets the token, which changed at `revision`.
    pub fn evict(&self, id: TokenId, revision: Revision) {
        let mut last_change = self.stripe(id);
        *last_change = revision;
        self.tokens.remove(&id);
    }

    /// Makes misses of all tokens of the subject, which changed at `revision`, however many there are.
    pub fn subject_changed(&self, namespace: &Slug, subject: &Subject, revision: Revision) {
        self.subjects[subject_stripe(namespace, subject)].store(revision.get(), Ordering::Release);
    }

    /// Turns away what was read before `revision`: there the journal begins to be followed, and what changed
    /// before evicts nothing.
    pub fn follow_from(&self, revision: Revision) {
        for stripe in &self.stripes {
            *stripe.lock().unwrap_or_else(PoisonError::into_inner) = revision;
        }
        for stripe in &self.subjects {
            stripe.store(revision.get(), Ordering::Release);
        }
    }

    /// How many tokens it holds.
    pub fn held(&self) -> usize {
        self.tokens.len()
    }

    /// Forgets every token. A fill that is under way is turned away by what is applied after it was read.
    pub fn clear(&self) {
        self.tokens.clear();
    }

    fn stripe(&self, id: TokenId) -> MutexGuard<'_, Revision> {
        let stripe = Tail::default().hash_one(id) as usize % self.stripes.len();
        self.stripes[stripe]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn subject_stripe(namespace: &Slug, subject: &Subject) -> usize {
    // Whoever chooses subjects that share a stripe makes misses, and nothing worse.
    let mut hasher = DefaultHasher::new();
    (namespace, subject).hash(&mut hasher);
    hasher.finish() as usize % SUBJECT_STRIPES
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("tokens", &self.tokens.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
