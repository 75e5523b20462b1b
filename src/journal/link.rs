//! The hash that ties an entry to all before it: changing one breaks every later link.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// SHA-256(previous link ‖ body).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Link([u8; 32]);

/// Bytes that are not 32.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be 32 bytes")]
pub struct NotLink;

impl Link {
    /// The link before revision 1.
    pub const START: Link = Link([0; 32]);

    pub fn from_bytes(bytes: &[u8]) -> Result<Link, NotLink> {
        bytes.try_into().map(Link).map_err(|_| NotLink)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The link of the entry after this one, if its body is `body`.
    pub fn then(&self, body: &[u8]) -> Link {
        Link(
            Sha256::new()
                .chain_update(self.0)
                .chain_update(body)
                .finalize()
                .into(),
        )
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({}…)", HEXLOWER.encode(&self.0[..4]))
    }
}
