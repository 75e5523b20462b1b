//! What an endpoint is known by, and what an event is known by at an endpoint.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::token::id::{IdError, TokenId};
use crate::token::time::Timestamp;

/// The public name of an endpoint: a UUIDv7 (RFC 9562), as a token has one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointId(TokenId);

impl EndpointId {
    /// Sorts before every id of an endpoint.
    pub const BEFORE_ALL: EndpointId = EndpointId(TokenId::BEFORE_ALL);

    /// `random` is 80 bits from the entropy source.
    pub fn new(now: Timestamp, random: [u8; 10]) -> EndpointId {
        EndpointId(TokenId::new(now, random))
    }

    pub fn parse(text: &str) -> Result<EndpointId, IdError> {
        TokenId::parse(text).map(EndpointId)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<EndpointId, IdError> {
        TokenId::from_bytes(bytes).map(EndpointId)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// What the event at `revision` of the journal named `epoch` is known by here, however often it is sent. Another
    /// journal, or another endpoint, has other ids.
    pub fn event_id(&self, epoch: &[u8; 16], revision: u64) -> String {
        let digest = Sha256::new()
            .chain_update(b"tokenward webhook event v1")
            .chain_update(epoch)
            .chain_update(self.as_bytes())
            .chain_update(revision.to_be_bytes())
            .finalize();
        format!("evt_{}", HEXLOWER.encode(&digest[..16]))
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointId({self})")
    }
}
