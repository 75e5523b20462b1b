//! An address is in a network however it is written.

use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn networks(texts: &[&str]) -> Networks {
    let networks: Vec<IpNet> = texts.iter().map(|text| text.parse().unwrap()).collect();
    Networks::try_from(networks).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_ipv4_address_is_the_same_one_as_ipv6() {
    for network in ["192.0.2.0/24", "::ffff:192.0.2.0/120"] {
        let networks = networks(&[network]);
        assert_eq!(networks, self::networks(&["192.0.2.0/24"]));
        for inside in ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.7"] {
            assert!(networks.contain(address(inside)), "{inside}");
        }
        for outside in ["192.0.3.0", "::ffff:192.0.3.0", "::192.0.2.7", "2001:db8::1"] {
            assert!(!networks.contain(address(outside)), "{outside}");
        }
    }
    // All of IPv6 is not IPv4, and the other way round.
    assert!(!networks(&["::/0"]).contain(address("::ffff:192.0.2.7")));
    assert!(!networks(&["0.0.0.0/0"]).contain(address("::1")));
}

#[test]
fn halves_cover_the_whole() {
    let whole = networks(&["10.0.0.0/8"]);
    let halves = networks(&["10.0.0.0/9", "10.128.0.0/9"]);
    let half = networks(&["10.0.0.0/9"]);
    assert!(halves.cover(&whole) && whole.cover(&halves));
    assert!(whole.cover(&half) && !half.cover(&whole));
    assert!(!whole.cover(&networks(&["10.0.0.0/8", "::/0"])));
}

/// Networks of one small range, so that many meet.
fn crowded() -> impl Strategy<Value = Networks> {
    let network = (any::<u8>(), 24..=32_u8)
        .prop_map(|(last, length)| IpNet::new(Ipv4Addr::new(10, 0, 0, last).into(), length).unwrap());
    vec(network, 1..6).prop_map(|networks| Networks::try_from(networks).unwrap())
}

proptest! {
    #[test]
    fn networks_cover_others_if_they_contain_all_their_addresses(one in crowded(), other in crowded()) {
        let addresses = (0..=255).map(|last| IpAddr::from([10, 0, 0, last]));
        let all = addresses.clone().all(|address| !other.contain(address) || one.contain(address));
        prop_assert_eq!(one.cover(&other), all);
        prop_assert!(one.cover(&one));
    }
}
