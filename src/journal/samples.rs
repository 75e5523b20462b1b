//! Changes and drafts for tests.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use ipnet::IpNet;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::token::change::Retirement;
use crate::token::from_to::FromTo;
use crate::token::lifecycle::Notice;
use crate::token::network::Networks;
use crate::token::policy::RateLimit;
use crate::token::samples::{
    any_instant, any_kept, any_namespace, any_slug, any_span, any_subject_change, any_text, any_token,
    any_webhook_change, any_withdrawal, instant, name, scopes,
};
use crate::token::time::Span;
use crate::token::update::Updated;

/// Ann, at one fixed instant, with a request id that no other call gives.
pub(crate) fn origin() -> Origin {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&REQUESTS.fetch_add(1, Ordering::SeqCst).to_be_bytes());
    Origin {
        request_id: RequestDigest::new(instant(0), random),
        time: instant(0),
        actor: Actor::try_from("ann".to_owned()).unwrap(),
    }
}

pub(crate) fn issue(token: Token) -> Draft {
    Draft::of_token(origin(), None, TokenChange::Issued(Box::new(token))).unwrap()
}

pub(crate) fn import(token: Token) -> Draft {
    Draft::of_token(origin(), None, TokenChange::Imported(Box::new(token))).unwrap()
}

/// Told a minute after the secret of this version was made.
pub(crate) fn rotation_due(version: u32) -> TokenChange {
    TokenChange::Told(Notice::RotationDue {
        version,
        after: Span::seconds(60),
        since: instant(0),
    })
}

pub(crate) fn any_token_change() -> impl Strategy<Value = TokenChange> {
    let version = || option::of(any::<u32>());
    let rotated = (
        any_kept(),
        option::of(any_instant()),
        version(),
        version(),
        any::<bool>(),
    )
        .prop_map(
            |(secret, retire_time, beside, ends, by_default)| TokenChange::Rotated {
                secret,
                retire_time,
                beside,
                ends,
                by_default,
            },
        );
    let retires =
        (any::<u32>(), any_instant()).prop_map(|(version, retire_time)| Retirement { version, retire_time });
    let first_used =
        (any::<u32>(), any_instant(), option::of(retires)).prop_map(|(version, time, retires)| {
            TokenChange::FirstUsed {
                version,
                time,
                retires,
            }
        });
    let reused = (any::<u32>(), any_instant(), option::of(any_withdrawal())).prop_map(
        |(version, time, suspension)| TokenChange::RetiredSecretUsed {
            version,
            time,
            suspension,
        },
    );
    let told = (any::<u32>(), any_span(), any_instant()).prop_flat_map(|(version, span, time)| {
        select(vec![
            Notice::Expiring {
                lead: span,
                expire_time: time,
            },
            Notice::RotationDue {
                version,
                after: span,
                since: time,
            },
            Notice::Unused {
                after: span,
                since: time,
            },
        ])
    });
    // Boxed: what makes them all together is larger than the stack of a test.
    prop_oneof![
        (any_token(), any::<bool>())
            .prop_map(|(token, imported)| {
                let token = Box::new(token);
                if imported {
                    TokenChange::Imported(token)
                } else {
                    TokenChange::Issued(token)
                }
            })
            .boxed(),
        rotated.boxed(),
        any_withdrawal().prop_map(TokenChange::Revoked),
        any_withdrawal().prop_map(TokenChange::Suspended),
        Just(TokenChange::Resumed),
        any_updated()
            .prop_map(|updated| TokenChange::Updated(Box::new(updated)))
            .boxed(),
        first_used.boxed(),
        reused.boxed(),
        told.prop_map(TokenChange::Told).boxed(),
        any_kept().prop_map(|kept| TokenChange::Redigested {
            version: kept.version,
            digest: kept.digest,
            pepper: kept.pepper,
        }),
    ]
}

fn any_updated() -> impl Strategy<Value = Updated> {
    fn from_to<T: Clone + fmt::Debug>(
        any: impl Strategy<Value = T> + Clone,
    ) -> impl Strategy<Value = Option<FromTo<T>>> {
        option::of((any.clone(), any).prop_map(|(from, to)| FromTo { from, to }))
    }
    let name = select(vec!["", "Laptop", "é \"🦀\""]).prop_map(name);
    let scopes = subsequence(vec!["admin", "read", "write"], 0..3).prop_map(|names| scopes(&names));
    let end = option::of((0..99_i64).prop_map(instant));
    let network = |length| IpNet::new(IpAddr::from([10, 0, 0, 0]), length).unwrap();
    let networks =
        option::of((8..32_u8).prop_map(move |length| Networks::try_from(vec![network(length)]).unwrap()));
    let limit = option::of(any::<NonZeroU32>().prop_map(|requests| RateLimit {
        requests,
        period: Span::seconds(60),
    }));
    (
        from_to(name),
        from_to(scopes),
        from_to(end),
        from_to(networks),
        from_to(limit),
    )
        .prop_map(|(name, scopes, expire_time, networks, rate_limit)| Updated {
            name,
            scopes,
            expire_time,
            networks,
            rate_limit,
            labels: None,
        })
}

pub(crate) fn any_change() -> impl Strategy<Value = Change> {
    let token_id = any::<[u8; 10]>().prop_map(|random| TokenId::new(instant(0), random));
    let of_token =
        (token_id, any_slug(), any_token_change()).prop_map(|(token_id, namespace, change)| Change::Token {
            token_id,
            namespace,
            change,
        });
    let of_subject = (any_slug(), any_text(1, 200), any_subject_change());
    let of_subject = of_subject.prop_map(|(namespace, subject, change)| Change::Subject {
        namespace,
        subject,
        change,
    });
    // So many generators in one are more than a stack takes.
    prop_oneof![
        any_namespace().prop_map(Change::NamespaceCreated).boxed(),
        any_namespace().prop_map(Change::NamespaceUpdated).boxed(),
        any_namespace().prop_map(Change::NamespaceIssuedRevoked).boxed(),
        of_token.boxed(),
        of_subject.boxed(),
        any_webhook_change().prop_map(Change::Webhook).boxed(),
    ]
}
