//! What one server grants its callers. `docs/limits.md` lists it all, with what happens beyond.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::limit::Allowance;

/// What one server grants its callers, whoever they are.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one request; a longer one is refused with OUT_OF_RANGE before it is read.
    pub message_bytes_max: usize,
    /// Bytes of all headers of one request.
    pub header_bytes_max: u32,
    /// Calls and streams open at once on one connection.
    pub streams_max: u32,
    /// Calls of one connection that are worked on at once; a further one waits. An open stream is not one.
    pub handlers_max: usize,
    /// Calls that a caller may take back before they are answered, by connection; beyond, it is closed.
    pub cancelled: Allowance,
    /// Connections open at once; a further one is closed at once.
    pub connections_max: usize,
    /// The same, from one address. Of IPv6 the first 64 bits count: whoever has one has them all.
    pub connections_per_address_max: usize,
    /// How long a client may take to send the first bytes of HTTP/2.
    pub preface_max: Duration,
    /// How long an idle connection may be silent before it is asked whether it still lives.
    pub keepalive_interval: Duration,
    /// How long it may take to say so.
    pub keepalive_timeout: Duration,
    /// After this a connection takes no new calls, and its streams end resumably.
    pub connection_age_max: Duration,
    /// How long after that its calls may take to end before it is closed.
    pub connection_grace: Duration,
    /// A call takes no longer, whatever its own deadline is.
    pub deadline_max: Duration,
}

const CANCELLED: Allowance = Allowance::a_second(
    NonZeroU32::MIN.saturating_add(99),
    NonZeroU32::MIN.saturating_add(19),
);

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message_bytes_max: 64 * 1024,
            header_bytes_max: 8 * 1024,
            streams_max: 256,
            handlers_max: 64,
            cancelled: CANCELLED,
            connections_max: 10_000,
            connections_per_address_max: 1000,
            preface_max: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            connection_age_max: Duration::from_hours(1),
            connection_grace: Duration::from_mins(1),
            deadline_max: Duration::from_secs(30),
        }
    }
}
