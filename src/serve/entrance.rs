//! Who may connect: so many in all, and so many from one address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Limits;
use crate::limit::{Full, Place, Places};

/// Of every so many connections that are turned away one is logged: a flood of them must not be one of lines.
const LOGGED_OF: u64 = 1000;

/// What counts as one address: of IPv6 the first 64 bits, for whoever has one of these has them all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Neighbours(IpAddr);

/// The places of a server's connections.
#[derive(Debug)]
pub(super) struct Entrance {
    places: Arc<Places<Neighbours>>,
    pub(super) counts: Counts,
}

/// What has happened on all connections, ever.
#[derive(Default, Debug)]
pub(super) struct Counts {
    /// Connections that found no place.
    pub(super) turned_away: AtomicU64,
    /// Those that were closed because they cancelled too many calls.
    pub(super) closed: AtomicU64,
    /// Calls that were begun.
    pub(super) calls: AtomicU64,
    /// Those that were taken back before they were answered.
    pub(super) cancelled: AtomicU64,
}

impl From<IpAddr> for Neighbours {
    fn from(address: IpAddr) -> Neighbours {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Neighbours(Ipv6Addr::from_bits(network).into())
            }
            v4 @ IpAddr::V4(_) => Neighbours(v4),
        }
    }
}

impl fmt::Display for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

impl Entrance {
    pub(super) fn new(limits: &Limits) -> Entrance {
        Entrance {
            places: Places::new(limits.connections_max, limits.connections_per_address_max),
            counts: Counts::default(),
        }
    }

    /// A place for a connection from there, if there is one.
    pub(super) fn take(&self, from: Neighbours) -> Option<Place<Neighbours>> {
        let full = match self.places.take(from) {
            Ok(place) => return Some(place),
            Err(full) => full,
        };
        let before = self.counts.turned_away.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(LOGGED_OF) {
            let why = match full {
                Full::Total => "there are as many as there may be",
                Full::Holder => "there are as many from this address as there may be",
            };
            tracing::warn!(%from, turned_away = before + 1, "a connection was closed: {why}");
        }
        None
    }

    /// Connections open now.
    pub(super) fn open(&self) -> usize {
        self.places.held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_an_ipv4_address_or_64_bits_of_ipv6() {
        let of = |text: &str| Neighbours::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        // A socket that takes both sees IPv4 like this.
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_eq!(of("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
        assert_eq!(of("192.0.2.1").to_string(), "192.0.2.1");
    }
}
