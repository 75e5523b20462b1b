//! Facts for tests: plain ones to change a field of, and arbitrary ones.

mod policy;
mod webhook;

use std::net::IpAddr;
use std::num::NonZeroU32;

use ipnet::IpNet;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use sha2::{Digest as _, Sha512};

use super::change::TokenChange;
use super::format::{Body, Format, Prefix};
use super::from_to::FromTo;
use super::id::{Slug, TokenId};
use super::namespace::Namespace;
use super::network::Networks;
use super::phc::Phc;
use super::policy::{Policy, RateLimit};
use super::scope::{LabelKey, Labels, Scope, Scopes};
use super::secret::{Digest, Pepper, PepperId, Peppers, Secret};
use super::standing::{Standing, SubjectChange};
use super::text::{LabelValue, Name, Plan, Reason, Subject};
use super::time::{Span, Timestamp};
use super::{KeptSecret, Token, Withdrawal};
pub(crate) use policy::any_policy;
pub(crate) use webhook::{any_webhook_change, endpoint};

/// Text that breaks what quotes, escapes, normalises, folds case or counts bytes.
pub(crate) const HARD_TEXT: [&str; 12] = [
    "É",
    "E\u{301}",
    "é",
    "🦀🏳\u{fe0f}",
    "日本語",
    "'; DROP TABLE token; --",
    "\"quoted\" \\back\\slashes\\ \\u0041 \\n",
    "%_*?[a]",
    "{\"json\": [null]}",
    "$1 :name @p ?2",
    "ﬁ ß ẞ İ ı ſ",
    " leading and trailing ",
];

/// `micros` after one fixed instant.
pub(crate) fn instant(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + micros).unwrap()
}

pub(crate) fn slug(text: &str) -> Slug {
    Slug::try_from(text.to_owned()).unwrap()
}

pub(crate) fn prefix(text: &str) -> Prefix {
    Prefix::try_from(text.to_owned()).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::try_from(text.to_owned()).unwrap()
}

pub(crate) fn scopes(names: &[&str]) -> Scopes {
    let scopes: Vec<_> = names
        .iter()
        .map(|name| Scope::try_from((*name).to_owned()).unwrap())
        .collect();
    Scopes::try_from(scopes).unwrap()
}

pub(crate) fn withdrawal(time: Timestamp) -> Withdrawal {
    Withdrawal {
        time,
        reason: Reason::try_from("leaked".to_owned()).unwrap(),
    }
}

pub(crate) fn subject(text: &str) -> Subject {
    Subject::try_from(text.to_owned()).unwrap()
}

pub(crate) fn plan(text: &str) -> Plan {
    Plan::try_from(text.to_owned()).unwrap()
}

/// So many requests in so many seconds.
pub(crate) fn rate_limit(requests: u32, seconds: u32) -> RateLimit {
    RateLimit {
        requests: NonZeroU32::new(requests).unwrap(),
        period: Span::seconds(seconds),
    }
}

/// The subject of this name in `notes`, of which nothing in particular is said.
pub(crate) fn standing(name: &str) -> Standing {
    Standing {
        namespace: slug("notes"),
        subject: subject(name),
        plan: None,
        suspension: None,
        not_before: None,
        rate_limit: None,
        create_time: instant(0),
        update_time: instant(0),
    }
}

pub(crate) fn pepper(key: u8) -> Peppers {
    Peppers::of_one(PepperId(1), &[key; Pepper::KEY_BYTES])
}

pub(crate) fn namespace(slug_text: &str, prefix_text: &str) -> Namespace {
    Namespace {
        slug: slug(slug_text),
        display_name: name("Notes"),
        format: Format {
            prefix: prefix(prefix_text),
            body: Body::Native,
        },
        policy: Policy::default(),
        not_before: None,
        create_time: instant(0),
        update_time: instant(0),
    }
}

/// The token of this number in the namespace `notes`: ids sort like numbers.
pub(crate) fn token(number: u64) -> Token {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    Token {
        id: TokenId::new(instant(0), random),
        namespace: slug("notes"),
        name: name("Laptop"),
        subject: Subject::try_from("ann".to_owned()).unwrap(),
        scopes: scopes(&["read", "write"]),
        labels: Labels::default(),
        create_time: instant(0),
        expire_time: None,
        networks: None,
        rate_limit: None,
        suspension: None,
        revocation: None,
        secrets: vec![kept(number, 1, instant(0))],
    }
}

/// The text of the token of this number in a namespace of 40 hexadecimal characters, whose tokens begin like this.
pub(crate) fn imported_text(number: u64, beginning: &str) -> String {
    let width = 43 - beginning.len();
    format!("{beginning}{number:0width$}")
}

/// The token of this number, imported with a digest of that text that has to be tried.
pub(crate) fn imported(number: u64, beginning: &str) -> Token {
    let text = imported_text(number, beginning);
    let phc = Phc::of_sha512(&Sha512::digest(&text).into());
    let kept = KeptSecret {
        digest: phc.digest(),
        pepper: PepperId::NONE,
        hint: namespace("notes", &text[..3]).format.hint(&Secret::new(text)),
        phc: Some(phc),
        ..kept(number, 1, instant(0))
    };
    Token {
        secrets: vec![kept],
        ..token(number)
    }
}

/// A secret of the token of this number.
pub(crate) fn kept(number: u64, version: u32, create_time: Timestamp) -> KeptSecret {
    let secret = Secret::new(format!("kn_{version:04x} of {number}"));
    KeptSecret {
        version,
        digest: pepper(7).digest(&secret),
        pepper: PepperId(1),
        hint: namespace("notes", "kn_").format.hint(&secret),
        create_time,
        retire_time: None,
        overlap: None,
        first_use_time: None,
        reuse_time: None,
        phc: None,
    }
}

/// The secret of this version under a second pepper.
pub(crate) fn redigested(version: u32) -> TokenChange {
    TokenChange::Redigested {
        version,
        digest: pepper(9).digest(&Secret::new("kn_again".to_owned())),
        pepper: PepperId(2),
    }
}

/// Random bytes for a mint, the same for the same seed (SplitMix64).
pub(crate) fn chance(mut seed: u64) -> impl FnMut(&mut [u8]) {
    move |bytes| {
        for byte in bytes {
            seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *byte = (z >> 56) as u8;
        }
    }
}

/// Any text that `T` takes, of at most `max` characters.
pub(crate) fn any_text<T>(min: usize, max: usize) -> impl Strategy<Value = T>
where
    T: TryFrom<String, Error: std::fmt::Debug> + std::fmt::Debug,
{
    let honest = |c: &char| Name::try_from(c.to_string()).is_ok();
    let c = prop_oneof![
        any::<char>().prop_filter("a hidden character", honest),
        select(vec!['"', '\\', '\'', '/', 'e', '\u{301}', '🦀', ' ', '{', '%']),
        proptest::char::range('a', 'z'),
    ];
    vec(c, min..=max).prop_map(|chars| T::try_from(chars.into_iter().collect()).unwrap())
}

pub(crate) fn any_instant() -> impl Strategy<Value = Timestamp> {
    let any = Timestamp::MIN.micros()..=Timestamp::MAX.micros();
    prop_oneof![
        any.prop_map(|micros| Timestamp::from_micros(micros).unwrap()),
        select(vec![Timestamp::MIN, Timestamp::MAX, instant(1)]),
    ]
}

pub(crate) fn any_prefix() -> impl Strategy<Value = Prefix> {
    "[a-z][a-z0-9_]{0,14}_".prop_map(|text| prefix(&text))
}

pub(crate) fn any_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        Just(Body::Native),
        (32..=128_i64).prop_map(|length| Body::hex(length).unwrap()),
        (22..=128_i64).prop_map(|length| Body::base64url(length).unwrap()),
        (22..=128_i64).prop_map(|length| Body::base62(length).unwrap()),
    ]
}

pub(crate) fn any_format() -> impl Strategy<Value = Format> {
    (any_prefix(), any_body()).prop_map(|(prefix, body)| Format { prefix, body })
}

pub(crate) fn any_slug() -> impl Strategy<Value = Slug> {
    "[a-z][a-z0-9-]{0,62}".prop_map(|text| slug(&text))
}

pub(crate) fn any_span() -> impl Strategy<Value = Span> {
    (0..=Span::MAX.micros()).prop_map(|micros| Span::try_from(micros).unwrap())
}

fn any_scopes() -> impl Strategy<Value = Scopes> {
    let scope = "[a-z0-9._:/*-]{1,100}".prop_map(|text| Scope::try_from(text).unwrap());
    btree_set(scope, 0..5)
        .prop_map(|scopes| Scopes::try_from(scopes.into_iter().collect::<Vec<_>>()).unwrap())
}

pub(crate) fn any_namespace() -> impl Strategy<Value = Namespace> {
    let times = (any_instant(), any_instant());
    let not_before = option::of(any_withdrawal());
    (
        any_slug(),
        any_text(0, 200),
        any_format(),
        any_policy(),
        not_before,
        times,
    )
        .prop_map(
            |(slug, display_name, format, policy, not_before, (create_time, update_time))| Namespace {
                slug,
                display_name,
                format,
                policy,
                not_before,
                create_time,
                update_time,
            },
        )
}

pub(crate) fn any_subject_change() -> impl Strategy<Value = SubjectChange> {
    prop_oneof![
        option::of(any_text(1, 63)).prop_map(SubjectChange::PlanSet),
        any_withdrawal().prop_map(SubjectChange::Suspended),
        Just(SubjectChange::Resumed),
        any_withdrawal().prop_map(SubjectChange::IssuedRevoked),
        (option::of(any_rate_limit()), option::of(any_rate_limit()))
            .prop_map(|(from, to)| SubjectChange::RateLimitSet(FromTo { from, to })),
    ]
}

pub(crate) fn any_withdrawal() -> impl Strategy<Value = Withdrawal> {
    (any_instant(), any_text(0, 500)).prop_map(|(time, reason)| Withdrawal { time, reason })
}

pub(crate) fn any_kept() -> impl Strategy<Value = KeptSecret> {
    let digest = any::<[u8; 32]>().prop_map(|bytes| Digest::from_bytes(&bytes).unwrap());
    let hint = "[a-z]{1,15}_[0-9A-Za-z]{4}";
    let times = (any_instant(), option::of(any_instant()));
    let used = (
        option::of(any_span()),
        option::of(any_instant()),
        option::of(any_instant()),
    );
    (any::<u32>(), digest, any::<u16>(), hint, times, used).prop_map(
        |(version, digest, pepper, shown, (create_time, retire_time), used)| KeptSecret {
            version,
            digest,
            pepper: PepperId(pepper),
            hint: Format {
                prefix: prefix(&shown[..shown.len() - 4]),
                body: Body::Native,
            }
            .hint(&Secret::new(shown)),
            create_time,
            retire_time,
            overlap: used.0,
            first_use_time: used.1,
            reuse_time: used.2,
            // One secret in two had to be tried.
            phc: (version % 2 == 0).then(|| Phc::of_sha512(&[version as u8; 64])),
        },
    )
}

fn any_networks() -> impl Strategy<Value = Networks> {
    let network = (any::<IpAddr>(), 0..=32_u8).prop_map(|(address, bits)| IpNet::new(address, bits).unwrap());
    vec(network, 1..4).prop_map(|networks| Networks::try_from(networks).unwrap())
}

pub(crate) fn any_rate_limit() -> impl Strategy<Value = RateLimit> {
    (any::<NonZeroU32>(), 1..=Span::MAX.micros()).prop_map(|(requests, micros)| RateLimit {
        requests,
        period: Span::try_from(micros).unwrap(),
    })
}

pub(crate) fn any_token() -> impl Strategy<Value = Token> {
    let scopes = any_scopes();
    let key = "[a-z][a-z0-9_.-]{0,62}".prop_map(|text| LabelKey::try_from(text).unwrap());
    let labels = btree_map(key, any_text::<LabelValue>(0, 200), 0..4)
        .prop_map(|labels| Labels::try_from(labels).unwrap());
    let said = (any_slug(), any_text(0, 200), any_text(1, 200), scopes, labels);
    let times = (any_instant(), option::of(any_instant()));
    let used = (option::of(any_networks()), option::of(any_rate_limit()));
    let withdrawn = (option::of(any_withdrawal()), option::of(any_withdrawal()));
    let secrets = vec(any_kept(), 1..=Token::SECRETS_KEPT_MAX);
    (any::<[u8; 10]>(), said, times, used, withdrawn, secrets).prop_map(
        |(random, said, (create_time, expire_time), (networks, rate_limit), withdrawn, secrets)| {
            let (suspension, revocation) = withdrawn;
            let (namespace, name, subject, scopes, labels) = said;
            Token {
                id: TokenId::new(create_time, random),
                namespace,
                name,
                subject,
                scopes,
                labels,
                create_time,
                expire_time,
                networks,
                rate_limit,
                suspension,
                revocation,
                secrets,
            }
        },
    )
}
