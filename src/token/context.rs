//! The request that a token came with, as far as whoever asks tells it. All of it is personal data, or text of
//! strangers: it decides nothing but where a token may be used from, and is kept only as a person may be told.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::text::forbidden;

/// The request of a client; what is not known of it is empty.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Context {
    /// Where the client called from.
    pub address: Option<IpAddr>,
    pub user_agent: UserAgent,
    pub method: Method,
    pub path: Path,
}

/// How much of an address is kept, in bits: of IPv4, at most 32, and of IPv6, at most 128.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefixes {
    pub ipv4: u8,
    pub ipv6: u8,
}

impl Prefixes {
    /// A network of a site, not a host.
    pub const DEFAULT: Prefixes = Prefixes { ipv4: 24, ipv6: 48 };
    /// All of it.
    pub const WHOLE: Prefixes = Prefixes { ipv4: 32, ipv6: 128 };

    /// What is kept of `address`. An IPv4 address is the same one where it is written as IPv6.
    pub fn of(self, address: IpAddr) -> IpNet {
        let address = address.to_canonical();
        let bits = match address {
            IpAddr::V4(_) => self.ipv4.min(32),
            IpAddr::V6(_) => self.ipv6.min(128),
        };
        IpNet::new(address, bits).map_or_else(|_| IpNet::from(address), |network| network.trunc())
    }
}

/// What a stranger wrote: never refused, for that would be the client's to use. What is longer is cut off, and what no
/// honest text has is replaced.
fn tamed(text: String, max: usize) -> String {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte);
    if text.len() <= max && text.bytes().all(is_plain) {
        return text;
    }
    let plain = |c| {
        if forbidden(c).is_some() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().take(max).map(plain).collect()
}

macro_rules! told {
    ($(#[$doc:meta])* $name:ident, $max:literal characters $(, up to $end:expr)?) => {
        $(#[$doc])*
        #[derive(PartialEq, Eq, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub struct $name(String);

        impl Clone for $name {
            fn clone(&self) -> $name {
                $name(self.0.clone())
            }

            // Not derived: that would not use the room there is.
            fn clone_from(&mut self, other: &$name) {
                self.0.clone_from(&other.0);
            }
        }

        impl $name {
            pub const CHARS_MAX: usize = $max;

            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> $name {
                $(let text = match text.find($end) {
                    Some(end) => text[..end].to_owned(),
                    None => text,
                };)?
                $name(tamed(text, $max))
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }
    };
}

told! {
    /// What the client says it is.
    UserAgent, 256 characters
}
told! {
    /// What it wants done, such as `GET`.
    Method, 32 characters
}
told! {
    /// What it wants that done to, without the query: there are secrets in queries.
    Path, 512 characters, up to ['?', '#']
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agent(text: &str) -> String {
        UserAgent::from(text.to_owned()).into()
    }

    #[test]
    fn honest_text_is_kept_as_it_is() {
        for text in ["", "curl/8.5.0", "Mozilla/5.0 (X11; Linux)", "Ünïcode 🦀"] {
            assert_eq!(agent(text), text);
        }
    }

    #[test]
    fn what_hides_or_breaks_is_replaced_and_what_is_longer_is_cut_off() {
        assert_eq!(
            agent("a\0b\nc\u{202e}d\u{200b}"),
            "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}"
        );
        assert_eq!(agent(&"🦀".repeat(300)), "🦀".repeat(256));
        assert_eq!(Method::from("G".repeat(40)).as_str().len(), 32);
        assert_eq!(Path::from("/".repeat(600)).as_str().len(), 512);
    }

    #[test]
    fn a_path_has_no_query() {
        for (sent, kept) in [
            ("/notes/1?token=kn_secret", "/notes/1"),
            ("/notes#kn_secret?a", "/notes"),
            ("?a", ""),
            ("/notes", "/notes"),
        ] {
            assert_eq!(Path::from(sent.to_owned()).as_str(), kept);
        }
    }

    #[test]
    fn of_an_address_its_network_is_kept() {
        for (address, network) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(Prefixes::DEFAULT.of(address).to_string(), network);
        }
        let all = Prefixes { ipv4: 255, ipv6: 0 };
        assert_eq!(all.of("192.0.2.77".parse().unwrap()).to_string(), "192.0.2.77/32");
        assert_eq!(all.of("2001:db8::1".parse().unwrap()).to_string(), "::/0");
    }

    proptest! {
        #[test]
        fn whatever_is_sent_becomes_a_text_that_stays_as_it_is(text in any::<String>()) {
            let once = agent(&text);
            prop_assert!(once.chars().count() <= UserAgent::CHARS_MAX);
            prop_assert!(!once.chars().any(|c| forbidden(c).is_some()));
            prop_assert_eq!(agent(&once), once);
        }
    }
}
