//! What threads gather each by itself, so that what all of them see is nobody's bottleneck.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Threads beyond so many share.
const SHARDS: usize = 64;

/// Gives each thread its shard.
static NEXT_SEAT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SEAT: usize = NEXT_SEAT.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

/// A `T` for each thread, and all of them for whoever takes away what was gathered.
#[derive(Debug)]
pub(super) struct Shards<T>(Box<[Shard<T>]>);

/// A line of a processor's cache each, so that threads do not slow each other down.
#[derive(Default, Debug)]
#[repr(align(128))]
struct Shard<T>(Mutex<T>);

impl<T: Default> Default for Shards<T> {
    fn default() -> Shards<T> {
        Shards((0..SHARDS).map(|_| Shard::default()).collect())
    }
}

impl<T: Default> Shards<T> {
    /// That of this thread.
    pub(super) fn own(&self) -> MutexGuard<'_, T> {
        SEAT.with(|seat| self.0[*seat].lock())
    }

    /// Takes away what each thread has gathered. A lock is held for no longer than that.
    pub(super) fn take(&self) -> impl Iterator<Item = T> {
        self.0.iter().map(|shard| std::mem::take(&mut *shard.lock()))
    }
}

impl<T> Shard<T> {
    /// What is gathered is so whole or not at all: a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
