//! Which addresses events may be sent to. A server stands where its callers do not: whoever may name a URL must not
//! reach through it what is reachable only from there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::url::{EndpointUrl, Target};

/// What a server lets endpoints reach, beyond the public internet over https.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Reach {
    /// Networks that are reached although they are not public.
    pub allow: Vec<IpNet>,
    /// Speak http, without encryption, to addresses in these networks.
    pub http: bool,
}

/// Why an address is not reached. Which one it is, is not told: that would map the network for whoever asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OutOfReach {
    #[error("must be https, or at an address that the server allows http to")]
    Http,
    #[error("leads to an address that is not public, and that the server does not allow")]
    NotPublic,
}

impl Reach {
    /// Whether `address` may be connected to, with TLS or without.
    pub fn check(&self, address: IpAddr, is_https: bool) -> Result<(), OutOfReach> {
        let meant = embedded(address).map_or(address, IpAddr::V4);
        let is_allowed = self
            .allow
            .iter()
            .any(|network| network.contains(&meant) || network.contains(&address));
        let is_encrypted_enough = is_https || (self.http && is_allowed);
        if !is_encrypted_enough {
            return Err(OutOfReach::Http);
        }
        if is_allowed || is_public(meant) {
            Ok(())
        } else {
            Err(OutOfReach::NotPublic)
        }
    }

    /// Whether a URL can be reached, as far as it says itself. What a name leads to is checked each time it is
    /// connected to.
    pub fn check_url(&self, url: &EndpointUrl) -> Result<(), OutOfReach> {
        match url.target() {
            Target::Address(address) => self.check(address, url.is_https()),
            Target::Name(_) if url.is_https() || (self.http && !self.allow.is_empty()) => Ok(()),
            Target::Name(_) => Err(OutOfReach::Http),
        }
    }
}

/// The IPv4 address that packets to `address` are sent to in the end, by whichever way of embedding one.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let [first, second, third, fourth, _, _, high, low] = address.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match (first, second, third, fourth) {
        // Mapped, and compatible as it was once.
        (0, 0, 0, 0) => address.to_ipv4(),
        // NAT64 (RFC 6052): what a resolver makes of public hosts in networks without IPv4.
        (0x64, 0xff9b, 0, 0) => of(high, low),
        // 6to4 (RFC 3056).
        (0x2002, high, low, _) => of(high, low),
        _ => None,
    }
}

/// Whether an address is one that anybody on the internet can reach.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match (a, b, c) {
        // this network; private; loopback; multicast and what is reserved above it
        (0 | 10 | 127 | 224..=255, _, _)
        // shared by carriers (CGNAT), where one cloud has its metadata
        | (100, 64..=127, _)
        // link-local, where the other clouds have theirs
        | (169, 254, _)
        // private
        | (172, 16..=31, _)
        | (192, 168, _)
        // protocol assignments; documentation; 6to4 relays
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        // benchmarking; documentation
        | (198, 18 | 19, _)
        | (198, 51, 100)
        | (203, 0, 113) => true,
        _ => false,
    };
    // The host of a cloud's machines answers them here.
    !is_special && address != Ipv4Addr::new(168, 63, 129, 16)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    match (first, second) {
        // protocol assignments: Teredo, benchmarking and others; documentation, twice; 6to4
        (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _) | (0x3fff, 0..=0xfff) => false,
        // All unicast that is global. What is elsewhere is loopback, private, link-local, multicast, or not assigned.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}
