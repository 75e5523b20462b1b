//! What an update changes, takes and gives, and what its namespace has to say to that.

use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::token::samples::{any_token, instant, name, scopes, slug, token, withdrawal};
use crate::token::time::Span;

fn until(micros: i64) -> Token {
    Token {
        expire_time: Some(instant(micros)),
        ..token(1)
    }
}

fn end(end: Option<i64>) -> Update {
    Update {
        expire_time: Some(To(end.map(instant))),
        ..Update::default()
    }
}

fn carrying(names: &[&str]) -> Update {
    Update {
        scopes: Some(scopes(names)),
        ..Update::default()
    }
}

fn named(text: &str) -> Update {
    Update {
        name: Some(name(text)),
        ..Update::default()
    }
}

fn within(networks: Option<&str>) -> Update {
    let networks = networks.map(|text| Networks::try_from(vec![text.parse().unwrap()]).unwrap());
    Update {
        networks: Some(To(networks)),
        ..Update::default()
    }
}

fn changed(token: &Token, asked: &Update, now: i64) -> Option<Updated> {
    match update(token, asked, instant(now)) {
        Ok(Some(TokenChange::Updated(updated))) => Some(*updated),
        Ok(None) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_revoked_token_is_not_changed_and_an_expired_one_stays_so() {
    let revoked = Token {
        revocation: Some(withdrawal(instant(1))),
        ..until(10)
    };
    assert_eq!(update(&revoked, &named("x"), instant(2)), Err(Refused::Revoked));
    for asked in [end(Some(100)), end(Some(5)), end(None)] {
        assert_eq!(update(&until(10), &asked, instant(10)), Err(Refused::Expired));
        let both = Update {
            name: Some(name("x")),
            ..asked
        };
        assert_eq!(update(&until(10), &both, instant(10)), Err(Refused::Expired));
    }
    assert!(changed(&until(10), &named("x"), 10).is_some());
    assert!(changed(&until(10), &end(Some(100)), 9).is_some());
    // It is so already, which changes nothing.
    assert_eq!(changed(&until(10), &end(Some(10)), 10), None);
}

#[test]
fn a_new_end_is_in_the_future() {
    for micros in [4, 5] {
        assert_eq!(
            update(&until(10), &end(Some(micros)), instant(5)),
            Err(Refused::PastEnd {
                expire_time: instant(micros),
                now: instant(5)
            })
        );
    }
    assert!(changed(&until(10), &end(Some(6)), 5).is_some());
}

#[test]
fn what_takes_something_is_told_from_what_gives_something() {
    let limited = |requests| Update {
        rate_limit: Some(To(Some(RateLimit {
            requests,
            period: Span::seconds(1),
        }))),
        ..Update::default()
    };
    let networked = |text: &str| Token {
        networks: within(Some(text)).networks.and_then(|To(networks)| networks),
        ..until(10)
    };
    // The sample may read and write.
    for (token, asked, narrows, widens) in [
        (until(10), named("x"), false, false),
        (until(10), carrying(&["read"]), true, false),
        (until(10), carrying(&["admin", "read", "write"]), false, true),
        (until(10), carrying(&["admin"]), true, true),
        (until(10), end(Some(9)), true, false),
        (until(10), end(Some(11)), false, true),
        (until(10), end(None), false, true),
        (token(1), end(Some(11)), true, false),
        (token(1), within(Some("10.0.0.0/8")), true, false),
        (networked("10.0.0.0/8"), within(None), false, false),
        (networked("10.0.0.0/9"), within(Some("10.0.0.0/8")), false, false),
        (networked("10.0.0.0/8"), within(Some("10.0.0.0/9")), true, false),
        (networked("10.0.0.0/8"), within(Some("192.0.2.0/24")), true, false),
        (token(1), limited(std::num::NonZeroU32::MIN), true, false),
    ] {
        let updated = changed(&token, &asked, 5).unwrap();
        assert_eq!(
            (updated.narrows(), updated.widens()),
            (narrows, widens),
            "{asked:?}"
        );
    }
}

#[test]
fn what_is_new_is_as_the_namespace_wants_it_and_what_was_so_before_stays() {
    let policy = Policy {
        lifetime_max: Some(Span::seconds(100)),
        scope_catalogue: scopes(&["admin", "read"]),
        name_required: true,
        ..Policy::default()
    };
    // Nameless, without an end, and it could write before there was a catalogue without that.
    let before = Token {
        name: name(""),
        ..token(1)
    };
    let wrong = |token: &Token, asked: &Update| {
        let checked = changed(token, asked, 1).unwrap().check(&policy, token);
        checked.err().map(|breach| breach.field(END))
    };
    let called = token(1);
    for (token, asked, field) in [
        (&called, named(""), Some("name")),
        (&before, end(Some(100_000_001)), Some("expire_time")),
        (&until(50), end(None), Some("expire_time")),
        (&before, end(Some(100_000_000)), None),
        (&before, carrying(&["delete", "read"]), Some("scopes")),
        (&before, carrying(&["admin", "write"]), None),
    ] {
        assert_eq!(wrong(token, &asked), field, "{asked:?}");
    }
    let elsewhere = Update {
        name: Some(name("")),
        expire_time: Some(To(None)),
        networks: within(Some("10.0.0.0/8")).networks,
        ..carrying(&["admin", "read", "write"])
    };
    assert_eq!(wrong(&before, &elsewhere), None);
}

#[test]
fn what_a_credential_gains_is_a_permission() {
    let credential = Token {
        namespace: slug("system"),
        ..token(1)
    };
    let check = |names| {
        let updated = changed(&credential, &carrying(names), 1).unwrap();
        updated.check(&Policy::default(), &credential)
    };
    assert_eq!(check(&["tokens.list:notes"]), Ok(()));
    assert!(matches!(
        check(&["tokens.lits:notes"]),
        Err(Breach::NoPermission { .. })
    ));
}

fn any_update() -> impl Strategy<Value = Update> {
    let fields = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    (any_token(), fields).prop_map(|(to, fields)| Update {
        name: fields.0.then_some(to.name),
        scopes: fields.1.then_some(to.scopes),
        labels: fields.2.then_some(to.labels),
        expire_time: fields.3.then_some(To(to.expire_time)),
        networks: fields.4.then_some(To(to.networks)),
        rate_limit: fields.5.then_some(To(to.rate_limit)),
    })
}

proptest! {
    #[test]
    fn an_update_is_known_again_by_what_is_written_of_it(
        token in any_token(),
        asked in any_update(),
        other in option::of(any_update()),
    ) {
        let updated = asked.of(&token);
        prop_assert_eq!(&updated.asked(), &asked);
        if let Some(other) = other {
            prop_assert_eq!(updated.asked() == other, asked == other);
        }
        let text = serde_json::to_string(&updated)?;
        prop_assert_eq!(serde_json::from_str::<Updated>(&text)?, updated);
    }

    #[test]
    fn what_is_done_twice_changes_nothing_the_second_time(token in any_token(), asked in any_update()) {
        let Ok(Some(change)) = update(&token, &asked, Timestamp::MIN) else { return Ok(()) };
        let after = apply(&token, &asked);
        prop_assert_ne!(after.etag(), token.etag());
        prop_assert_eq!(update(&after, &asked, Timestamp::MIN), Ok(None));
        let TokenChange::Updated(updated) = change else { return Ok(()) };
        // Undone, it takes what it gave.
        let back = Update {
            scopes: Some(token.scopes.clone()),
            expire_time: Some(To(token.expire_time)),
            ..Update::default()
        };
        if updated.widens() {
            prop_assert!(back.of(&after).narrows());
        }
    }
}

/// The token with what is asked for.
fn apply(token: &Token, asked: &Update) -> Token {
    let asked = asked.clone();
    Token {
        name: asked.name.unwrap_or_else(|| token.name.clone()),
        scopes: asked.scopes.unwrap_or_else(|| token.scopes.clone()),
        labels: asked.labels.unwrap_or_else(|| token.labels.clone()),
        expire_time: asked.expire_time.map_or(token.expire_time, |To(to)| to),
        networks: asked.networks.map_or_else(|| token.networks.clone(), |To(to)| to),
        rate_limit: asked.rate_limit.map_or(token.rate_limit, |To(to)| to),
        ..token.clone()
    }
}
