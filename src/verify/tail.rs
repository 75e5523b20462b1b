//! A hash for keys that are random already.

use std::hash::{BuildHasher, Hasher};

/// Hashes a key by its last eight bytes: digests are uniform, and ids are random at their end. Neither is
/// chosen by a client.
#[derive(Clone, Copy, Default)]
pub(super) struct Tail(u64);

impl BuildHasher for Tail {
    type Hasher = Tail;

    fn build_hasher(&self) -> Tail {
        *self
    }
}

impl Hasher for Tail {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(tail) = bytes.last_chunk() {
            // The first bits of a UUID's last half are fixed; the multiplication spreads the others over them.
            self.0 = u64::from_be_bytes(*tail).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }

    /// The length of a key, which all keys of a cache share.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
