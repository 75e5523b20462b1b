//! Where a token may be used from.

use std::collections::BTreeSet;

use ipnet::IpNet;
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
}

impl TryFrom<Vec<IpNet>> for Networks {
    type Error = NotNetworks;

    fn try_from(networks: Vec<IpNet>) -> Result<Networks, NotNetworks> {
        let networks: BTreeSet<_> = networks.iter().map(IpNet::trunc).collect();
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
