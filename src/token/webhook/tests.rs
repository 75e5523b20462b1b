use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use proptest::prelude::*;

use super::event::{EventKind, Events};
use super::pace::Pace;
use super::reach::{OutOfReach, Reach, is_public};
use super::signing::SigningSecret;
use super::url::{EndpointUrl, NotEndpointUrl};
use super::{EndpointUpdate, StateUpdate};
use crate::token::samples::{endpoint, instant, name, pepper};
use crate::token::text::Reason;
use crate::token::time::Span;

type Tested = Result<(), Box<dyn std::error::Error>>;

/// URLs by which others have got where they should not, each with where it leads.
const ATTEMPTS: [&str; 40] = [
    // loopback, in every spelling of it
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://017700000001/",
    "https://0177.0.0.01/",
    "https://%31%32%37.0.0.1/",
    "https://127.0.0.1:8443/",
    "https://①②⑦.⓪.⓪.①/",
    "https://[::1]/",
    "https://[::]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://0/",
    "https://0.0.0.0/",
    // the same by ways of embedding
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a00:1::1]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    // private, shared and link-local
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://[fc00::1]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    // where clouds tell their machines secrets
    "https://169.254.169.254/latest/meta-data/",
    "https://0xa9fea9fe/",
    "https://[fd00:ec2::254]/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    // multicast, documentation, benchmarking
    "https://224.0.0.1/",
    "https://[ff02::1]/",
    "https://198.18.0.1/",
];

#[test]
fn what_is_not_public_is_out_of_reach_however_it_is_spelt() -> Tested {
    let reach = Reach::default();
    for attempt in ATTEMPTS {
        let url = EndpointUrl::parse(attempt).map_err(|error| format!("{attempt}: {error}"))?;
        assert_eq!(
            reach.check_url(&url),
            Err(OutOfReach::NotPublic),
            "{attempt} as {url}"
        );
    }
    for public in [
        "https://93.184.215.14/",
        "https://[2606:2800:21f:cb07::1]/",
        "https://hooks.example/",
    ] {
        assert_eq!(reach.check_url(&EndpointUrl::parse(public)?), Ok(()), "{public}");
    }
    Ok(())
}

#[test]
fn special_networks_are_not_public_and_their_neighbours_are() -> Tested {
    for (network, is_special) in [
        ("0.0.0.0/8", true),
        ("9.0.0.0/8", false),
        ("10.0.0.0/8", true),
        ("11.0.0.0/8", false),
        ("100.63.0.0/16", false),
        ("100.64.0.0/10", true),
        ("100.128.0.0/16", false),
        ("169.253.0.0/16", false),
        ("169.254.0.0/16", true),
        ("172.15.0.0/16", false),
        ("172.16.0.0/12", true),
        ("172.32.0.0/16", false),
        ("192.0.0.0/24", true),
        ("192.0.1.0/24", false),
        ("192.0.2.0/24", true),
        ("192.88.99.0/24", true),
        ("192.167.0.0/16", false),
        ("192.168.0.0/16", true),
        ("198.17.0.0/16", false),
        ("198.18.0.0/15", true),
        ("198.51.100.0/24", true),
        ("203.0.113.0/24", true),
        ("223.255.255.0/24", false),
        ("224.0.0.0/3", true),
        ("::/8", true),
        ("fc00::/7", true),
        ("fe80::/10", true),
        ("ff00::/8", true),
        ("2001::/23", true),
        ("2001:db8::/32", true),
        ("2001:200::/32", false),
        ("2002::/16", true),
        ("3fff::/20", true),
        ("2a00::/16", false),
    ] {
        let network: IpNet = network.parse()?;
        for address in [network.network(), network.broadcast()] {
            assert_eq!(is_public(address), !is_special, "{address} of {network}");
        }
    }
    Ok(())
}

#[test]
fn what_is_allowed_is_reached_and_over_http_only_if_that_is_allowed_too() -> Tested {
    let address = |text: &str| text.parse::<IpAddr>();
    let mut reach = Reach {
        allow: vec!["10.1.0.0/16".parse()?],
        http: false,
    };
    for (to, is_https, checked) in [
        ("10.1.2.3", true, Ok(())),
        ("::ffff:10.1.2.3", true, Ok(())),
        ("64:ff9b::10.1.2.3", true, Ok(())),
        ("10.2.2.3", true, Err(OutOfReach::NotPublic)),
        ("10.1.2.3", false, Err(OutOfReach::Http)),
    ] {
        assert_eq!(reach.check(address(to)?, is_https), checked, "{to}");
    }
    let by_name = EndpointUrl::parse("http://hooks.internal/")?;
    assert_eq!(reach.check_url(&by_name), Err(OutOfReach::Http));
    reach.http = true;
    assert_eq!(reach.check(address("10.1.2.3")?, false), Ok(()));
    assert_eq!(reach.check_url(&by_name), Ok(()));
    // Elsewhere http stays forbidden.
    assert_eq!(
        reach.check(address("93.184.215.14")?, false),
        Err(OutOfReach::Http)
    );
    Ok(())
}

#[test]
fn a_url_has_one_form_and_carries_nothing_but_where_it_leads() -> Tested {
    let url = EndpointUrl::parse(
        "HTTPS://Hooks.Example:443/a/../b?c=d e"
            .replace(' ', "+")
            .as_str(),
    )?;
    assert_eq!(url.as_str(), "https://hooks.example/b?c=d+e");
    assert_eq!(
        (url.authority(), url.port(), url.path_and_query()),
        ("hooks.example".to_owned(), 443, "/b?c=d+e")
    );
    assert_eq!(
        EndpointUrl::parse("https://h.example:8443")?.authority(),
        "h.example:8443"
    );
    for (text, wrong) in [
        ("ftp://h.example/", NotEndpointUrl::Scheme),
        ("file:///etc/passwd", NotEndpointUrl::Scheme),
        ("gopher://h.example/", NotEndpointUrl::Scheme),
        ("https://user:pw@h.example/", NotEndpointUrl::Credentials),
        ("https://h.example@10.0.0.1/", NotEndpointUrl::Credentials),
        ("https://h.example/#a", NotEndpointUrl::Fragment),
        ("https://h.example./", NotEndpointUrl::Host),
        ("https://localhost./", NotEndpointUrl::Host),
        ("https://h.example:0/", NotEndpointUrl::Port),
    ] {
        assert_eq!(EndpointUrl::parse(text), Err(wrong), "{text}");
    }
    for text in [
        "",
        "h.example",
        "https://",
        "https://h.example/\r\nX: y",
        "https://h .example/",
        "https://[::1/",
    ] {
        assert!(
            matches!(EndpointUrl::parse(text), Err(NotEndpointUrl::NotUrl(_))),
            "{text:?}"
        );
    }
    let long = format!("https://h.example/{}", "a".repeat(EndpointUrl::BYTES_MAX));
    assert_eq!(EndpointUrl::parse(&long), Err(NotEndpointUrl::TooLong));
    Ok(())
}

#[test]
fn a_message_is_signed_as_the_specification_does() {
    // The example of the specification's own libraries; a key is filled up with zeros, so 24 bytes are the same as 32.
    let key = data_encoding::BASE64
        .decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .unwrap();
    let mut bytes = [0; SigningSecret::BYTES];
    bytes[..key.len()].copy_from_slice(&key);
    let secret = SigningSecret::new(bytes);
    let signature = secret.sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b"{\"test\": 2432232314}",
    );
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert!(secret.text().expose().starts_with("whsec_MfKQ9r8G"));
}

#[test]
fn a_sealed_secret_opens_for_its_endpoint_and_version_alone() {
    let (id, other) = (endpoint(1).id, endpoint(2).id);
    let peppers = pepper(7);
    let sealed = SigningSecret::new([9; 32])
        .seal(peppers.current(), (id, 3), [1; 24])
        .unwrap();
    let opened = sealed
        .open(peppers.current(), id)
        .map(|secret| secret.sign("a", 0, b""));
    assert_eq!(opened, Ok(SigningSecret::new([9; 32]).sign("a", 0, b"")));
    assert!(
        !sealed.sealed.windows(4).any(|window| window == [9; 4]),
        "it lies open"
    );
    assert!(sealed.open(peppers.current(), other).is_err());
    assert!(sealed.open(pepper(8).current(), id).is_err());
    let mut moved = sealed.clone();
    moved.version = 4;
    assert!(moved.open(peppers.current(), id).is_err());
    for at in 0..sealed.sealed.len() {
        let mut altered = sealed.clone();
        altered.sealed[at] ^= 1;
        assert!(altered.open(peppers.current(), id).is_err(), "byte {at}");
    }
    assert!(!format!("{sealed:?}").contains("sealed:"));
}

#[test]
fn a_rotation_overlaps_for_as_long_as_it_says() {
    let versions = |endpoint: &super::Endpoint, now| {
        let signing = endpoint.signing_at(instant(now));
        signing.map(|secret| secret.version).collect::<Vec<_>>()
    };
    let rotated = endpoint(1).rotated(Span::seconds(1), instant(10));
    assert_eq!(versions(&rotated, 10), [2, 1]);
    assert_eq!(versions(&rotated, 1_000_009), [2, 1]);
    assert_eq!(versions(&rotated, 1_000_010), [2]);
    // At most two, however often; one that leaked is out at once.
    let again = rotated.rotated(Span::seconds(1), instant(20));
    assert_eq!(versions(&again, 20), [3, 2]);
    assert_eq!(versions(&again.rotated(Span::ZERO, instant(30)), 30), [4]);
}

#[test]
fn the_first_pause_stands_and_a_resumption_begins_anew() {
    let state = |state| EndpointUpdate {
        state: Some(state),
        ..EndpointUpdate::default()
    };
    let reason = |text: &str| Reason::try_from(text.to_owned()).unwrap();
    let pause = |text| state(StateUpdate::Paused(reason(text)));
    let paused = endpoint(1).updated(&pause("first"), instant(5)).unwrap();
    assert_eq!(paused.pause.as_ref().map(|pause| pause.time), Some(instant(5)));
    assert_eq!(paused.updated(&pause("second"), instant(6)), None);
    let resumed = paused.updated(&state(StateUpdate::Active), instant(7)).unwrap();
    assert_eq!((resumed.pause.clone(), resumed.active_since), (None, instant(7)));
    assert_eq!(resumed.updated(&state(StateUpdate::Active), instant(8)), None);
    // A clock that was set back gives no second state the etag of the first.
    let back = resumed.updated(&pause("third"), instant(1)).unwrap();
    assert_ne!(back.etag(), resumed.etag());
    assert!(back.update_time > resumed.update_time);
    let same = EndpointUpdate {
        description: Some(name("CRM")),
        ..EndpointUpdate::default()
    };
    assert_eq!(endpoint(1).updated(&same, instant(9)), None);
}

#[test]
fn an_endpoint_gets_what_it_wants_and_what_is_about_itself() {
    let some = Events::of([EventKind::TokenRevoked]);
    for kind in EventKind::ALL {
        assert!(Events::default().contain(kind));
        let wanted = kind == EventKind::TokenRevoked || !kind.is_wanted_by_name();
        assert_eq!(some.contain(kind), wanted, "{kind}");
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
}

#[test]
fn an_event_has_one_id_at_each_endpoint_of_each_journal() {
    let (one, other) = (endpoint(1).id, endpoint(2).id);
    let id = one.event_id(&[1; 16], 7);
    assert_eq!(id, one.event_id(&[1; 16], 7));
    let others = [
        other.event_id(&[1; 16], 7),
        one.event_id(&[2; 16], 7),
        one.event_id(&[1; 16], 8),
    ];
    assert!(
        !others.contains(&id) && id.len() == 36 && id.starts_with("evt_"),
        "{id}"
    );
}

proptest! {
    #[test]
    fn a_wait_lies_between_a_half_and_the_whole_and_never_above_the_longest(
        failures in 1..1000_u32, chance in any::<u32>(), asked in proptest::option::of(0..10_000_u64),
    ) {
        let pace = Pace::default();
        let asked = asked.map(Duration::from_secs);
        let wait = pace.wait(failures, chance);
        let whole = pace.retry_min.saturating_mul(1 << (failures - 1).min(20)).min(pace.retry_max);
        prop_assert!(whole / 2 <= wait && wait <= whole, "{wait:?} of {whole:?}");
        let least = pace.wait_at_least(failures, chance, asked);
        prop_assert!(least >= wait && least <= pace.retry_max);
    }

    #[test]
    fn what_parses_has_one_spelling_and_leaks_into_no_header(text in "https?://[a-zA-Z0-9.@:\\[\\]%/?#_\\- \r\n\u{e4}]{1,40}") {
        if let Ok(url) = EndpointUrl::parse(&text) {
            prop_assert_eq!(EndpointUrl::parse(url.as_str()), Ok(url.clone()));
            for part in [url.authority(), url.path_and_query().to_owned()] {
                prop_assert!(part.bytes().all(|byte| byte.is_ascii_graphic()), "{part:?}");
                prop_assert!(!part.contains('@') || url.path_and_query().contains('@'));
            }
        }
    }
}
