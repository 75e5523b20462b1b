//! Where a token may be used from.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

/// The networks a token may be used from: 1 to [`Networks::COUNT_MAX`], in one canonical order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<IpNet>", into = "Vec<IpNet>")]
pub struct Networks(BTreeSet<IpNet>);

/// No networks, or too many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must have 1 to {max} elements, not {count}", max = Networks::COUNT_MAX)]
pub struct NotNetworks {
    pub count: usize,
}

impl Networks {
    pub const COUNT_MAX: usize = 64;

    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }

    /// Whether `address` is in one of them. An IPv4 address is the same one where it is written as IPv6.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether every address in `others` is in these.
    pub fn cover(&self, others: &Networks) -> bool {
        // Merged as far as they go, they hold a network as a whole if they hold all its parts.
        let networks: Vec<_> = self.0.iter().copied().collect();
        let merged = IpNet::aggregate(&networks);
        let held = |other: &IpNet| merged.iter().any(|network| network.contains(other));
        others.0.iter().all(held)
    }
}

/// The network without its host bits, and as IPv4 where it is that, written as IPv6.
fn canonical(network: &IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(network) => network
            .addr()
            .to_ipv4_mapped()
            .zip(network.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    let mapped = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    mapped.map_or(*network, IpNet::V4).trunc()
}

impl TryFrom<Vec<IpNet>> for Networks {
    type Error = NotNetworks;

    fn try_from(networks: Vec<IpNet>) -> Result<Networks, NotNetworks> {
        let networks: BTreeSet<_> = networks.iter().map(canonical).collect();
        match networks.len() {
            1..=Networks::COUNT_MAX => Ok(Networks(networks)),
            count => Err(NotNetworks { count }),
        }
    }
}

impl From<Networks> for Vec<IpNet> {
    fn from(networks: Networks) -> Vec<IpNet> {
        networks.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
