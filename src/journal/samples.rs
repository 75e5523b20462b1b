//! Changes and drafts for tests.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::token::samples::{
    any_kept, any_namespace, any_slug, any_subject_change, any_text, any_token, any_withdrawal, instant,
};

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

pub(crate) fn any_token_change() -> impl Strategy<Value = TokenChange> {
    let rotated = (any_kept(), crate::token::samples::any_instant())
        .prop_map(|(secret, retire_time)| TokenChange::Rotated { secret, retire_time });
    prop_oneof![
        any_token().prop_map(|token| TokenChange::Issued(Box::new(token))),
        rotated,
        any_withdrawal().prop_map(TokenChange::Revoked),
        any_withdrawal().prop_map(TokenChange::Suspended),
        Just(TokenChange::Resumed),
        any_kept().prop_map(|kept| TokenChange::Redigested {
            version: kept.version,
            digest: kept.digest,
            pepper: kept.pepper,
        }),
    ]
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
    ]
}
