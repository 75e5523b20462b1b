//! One judged call as it is kept in the access log of a namespace. It is personal data, and lives there alone.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::context::{Context, Method, Path, Prefixes, UserAgent};
use super::id::{Slug, TokenId};
use super::policy::{AccessLog, Policy};
use super::text::{Actor, Subject};
use super::time::Timestamp;
use super::usage::Outcome;

/// Which record of an access log: unique among all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AccessId([u8; 16]);

impl AccessId {
    /// The record of this number of a recorder: `recorder` is random, so that a process that starts again is another one.
    pub fn new(recorder: [u8; 8], number: u64) -> AccessId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&recorder);
        id[8..].copy_from_slice(&number.to_be_bytes());
        AccessId(id)
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> AccessId {
        AccessId(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// One judged call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessRecord {
    pub id: AccessId,
    /// When it was judged.
    pub time: Timestamp,
    /// The namespace that the beginning of the secret names.
    pub namespace: Slug,
    /// `None`: no token was found.
    pub token_id: Option<TokenId>,
    pub subject: Option<Subject>,
    pub details: AccessDetails,
}

/// What became of the call, and where it came from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccessDetails {
    pub outcome: Outcome,
    /// Who asked; `None`: the token was presented to this service itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Actor>,
    /// The address of the client, or the network of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpNet>,
    #[serde(default, skip_serializing_if = "Method::is_empty")]
    pub method: Method,
    #[serde(default, skip_serializing_if = "Path::is_empty")]
    pub path: Path,
    #[serde(default, skip_serializing_if = "UserAgent::is_empty")]
    pub user_agent: UserAgent,
}

impl AccessDetails {
    /// What a namespace with this policy keeps of a call.
    pub fn of(outcome: Outcome, caller: Option<Actor>, context: Context, policy: &Policy) -> AccessDetails {
        let prefixes = if policy.access_log_whole_addresses {
            Prefixes::WHOLE
        } else {
            Prefixes::DEFAULT
        };
        AccessDetails {
            outcome,
            caller,
            address: context.address.map(|address| prefixes.of(address)),
            method: context.method,
            path: context.path,
            user_agent: context.user_agent,
        }
    }
}

impl AccessLog {
    /// Whether a call that came to this is put on record.
    pub fn wants(self, outcome: Outcome) -> bool {
        match self {
            AccessLog::Off => false,
            AccessLog::Refusals => outcome != Outcome::Accepted,
            AccessLog::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_its_network_is_kept_unless_the_namespace_wants_all_of_it() {
        let context = |address: &str| Context {
            address: address.parse().ok(),
            ..Context::default()
        };
        let whole = Policy {
            access_log_whole_addresses: true,
            ..Policy::default()
        };
        for (address, network, all) in [
            ("192.0.2.77", "192.0.2.0/24", "192.0.2.77/32"),
            ("2001:db8:1:2::3", "2001:db8:1::/48", "2001:db8:1:2::3/128"),
        ] {
            for (policy, kept) in [(&Policy::default(), network), (&whole, all)] {
                let details = AccessDetails::of(Outcome::Accepted, None, context(address), policy);
                assert_eq!(
                    details.address.map(|kept| kept.to_string()).as_deref(),
                    Some(kept)
                );
            }
        }
    }

    #[test]
    fn a_log_of_refusals_has_all_of_them_and_nothing_else() {
        for outcome in Outcome::ALL {
            assert!(!AccessLog::Off.wants(outcome));
            assert!(AccessLog::All.wants(outcome));
            assert_eq!(AccessLog::Refusals.wants(outcome), outcome != Outcome::Accepted);
        }
    }

    #[test]
    fn no_two_records_have_the_same_id() {
        let ids =
            [([1; 8], 1), ([1; 8], 2), ([2; 8], 1)].map(|(recorder, number)| AccessId::new(recorder, number));
        assert!(ids[0] < ids[1] && ids[1] < ids[2]);
    }
}
