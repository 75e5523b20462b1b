//! What a process that shares a store is known by.

use std::fmt;

use super::StoreError;

/// A member that joined: random, so that a process that joins again is another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId([u8; 16]);

impl MemberId {
    pub const fn new(random: [u8; 16]) -> MemberId {
        MemberId(random)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<MemberId, StoreError> {
        bytes
            .try_into()
            .map(MemberId)
            .map_err(|_| StoreError::corrupt("the id of a member is not 16 bytes"))
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemberId({self})")
    }
}
