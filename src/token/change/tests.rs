//! What may happen to a token, and what may not.

use super::*;
use crate::token::samples::{instant, kept, token, withdrawal};
use crate::token::time::Span;

fn revoked() -> Token {
    Token {
        revocation: Some(withdrawal(instant(1))),
        ..token(1)
    }
}

fn suspended() -> Token {
    Token {
        suspension: Some(withdrawal(instant(1))),
        ..token(1)
    }
}

#[test]
fn a_token_lives_for_at_least_a_microsecond() {
    let ending = |micros| Token {
        expire_time: Some(instant(micros)),
        ..token(1)
    };
    for micros in [-1, 0] {
        assert_eq!(
            issue(ending(micros)),
            Err(Refused::BornExpired {
                expire_time: instant(micros),
                now: instant(0)
            })
        );
    }
    for token in [ending(1), token(1)] {
        assert_eq!(issue(token.clone()), Ok(TokenChange::Issued(Box::new(token))));
    }
}

#[test]
fn a_token_is_revoked_once_whatever_its_state() {
    let expired = Token {
        expire_time: Some(instant(1)),
        ..token(1)
    };
    let end = withdrawal(instant(2));
    for token in [token(1), suspended(), expired] {
        assert_eq!(
            revoke(&token, end.clone()),
            Some(TokenChange::Revoked(end.clone()))
        );
    }
    assert_eq!(revoke(&revoked(), end), None);
}

#[test]
fn a_token_rotates_until_its_instant_exactly() {
    let ending = Token {
        expire_time: Some(instant(1_000_000)),
        ..token(1)
    };
    let five = Overlap::For(Span::try_from(5).unwrap());
    let rotated_at = |token: &Token, micros| rotate(token, kept(1, 2, instant(micros)), (five, false), None);
    for token in [&ending, &suspended()] {
        assert_eq!(
            rotated_at(token, 999_999),
            Ok(TokenChange::Rotated {
                secret: kept(1, 2, instant(999_999)),
                retire_time: Some(instant(1_000_004)),
                beside: None,
                ends: None,
                by_default: false,
            })
        );
    }
    for micros in [1_000_000, 1_000_001] {
        assert_eq!(rotated_at(&ending, micros), Err(Refused::Expired));
    }
    assert_eq!(rotated_at(&revoked(), 2), Err(Refused::Revoked));
}

#[test]
fn an_overlap_beyond_time_is_refused() {
    let late = Timestamp::from_micros(Timestamp::MAX.micros() - 1).unwrap();
    let span = Span::days(1);
    for overlap in [Overlap::For(span), Overlap::FromFirstUse(span)] {
        let refusal = rotate(&token(1), kept(1, 2, late), (overlap, false), None);
        assert_eq!(refusal, Err(Refused::BeyondTime));
    }
    assert!(rotate(&token(1), kept(1, 2, late), (Overlap::None, false), None).is_ok());
}

const HOUR: Span = Span::seconds(3600);

/// The sample, whose second secret came with an overlap from its first use.
fn in_transition() -> Token {
    let mut token = token(1);
    token.secrets.push(KeptSecret {
        overlap: Some(HOUR),
        ..kept(1, 2, instant(10))
    });
    token
}

/// Which secret lives on, and which one ends besides those that everybody expects to.
fn spared(token: &Token, overlap: Overlap, used: Option<u32>) -> (Option<u32>, Option<u32>) {
    let version = token.secrets.last().map_or(1, |kept| kept.version + 1);
    match rotate(token, kept(1, version, instant(20)), (overlap, false), used) {
        Ok(TokenChange::Rotated { beside, ends, .. }) => (beside, ends),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_secret_that_was_never_used_is_replaced_where_there_is_an_overlap() {
    let overlaps = [Overlap::For(HOUR), Overlap::FromFirstUse(HOUR)];
    for overlap in overlaps {
        assert_eq!(spared(&in_transition(), overlap, None), (Some(1), None));
        // Whoever calls with the new one has it.
        assert_eq!(spared(&in_transition(), overlap, Some(2)), (None, None));
        assert_eq!(spared(&in_transition(), overlap, Some(1)), (Some(1), None));
        let mut used = in_transition();
        used.secrets[1].first_use_time = Some(instant(15));
        assert_eq!(spared(&used, overlap, None), (None, None));
        // There is nothing else to live on.
        let mut alone = in_transition();
        alone.secrets[0].retire_time = Some(instant(20));
        assert_eq!(spared(&alone, overlap, None), (None, None));
        assert_eq!(spared(&token(1), overlap, None), (None, None));
    }
    assert_eq!(spared(&in_transition(), Overlap::None, None), (None, None));
    // After a second loss the one that lives on is further back, and its end has to be said.
    let mut twice = in_transition();
    twice.secrets[1].retire_time = Some(instant(12));
    twice.secrets.push(KeptSecret {
        overlap: Some(HOUR),
        ..kept(1, 3, instant(12))
    });
    assert_eq!(spared(&twice, Overlap::FromFirstUse(HOUR), None), (Some(1), None));
    assert_eq!(spared(&twice, Overlap::None, None), (None, Some(1)));
    assert_eq!(spared(&twice, Overlap::For(HOUR), Some(3)), (None, Some(1)));
}

#[test]
fn the_first_use_of_a_secret_is_told_once_and_ends_the_one_before() {
    let used = |token: &Token, version, micros| first_used(token, version, instant(micros));
    let told = |micros, retires| {
        Some(TokenChange::FirstUsed {
            version: 2,
            time: instant(micros),
            retires,
        })
    };
    let end = |micros: i64| {
        Some(Retirement {
            version: 1,
            retire_time: instant(micros + HOUR.micros()),
        })
    };
    assert_eq!(used(&in_transition(), 2, 15), told(15, end(15)));
    // Another server's clock is behind.
    assert_eq!(used(&in_transition(), 2, 5), told(10, end(10)));
    let mut plain = in_transition();
    plain.secrets[1].overlap = None;
    assert_eq!(used(&plain, 2, 15), told(15, None));
    let mut ending = in_transition();
    ending.secrets[0].retire_time = Some(instant(15 + HOUR.micros()));
    assert_eq!(used(&ending, 2, 15), told(15, None), "it ends then anyway");
    // One that was replaced meanwhile leaves the end of the oldest to the one that replaced it.
    let mut replaced = in_transition();
    replaced.secrets[1].retire_time = Some(instant(16));
    replaced.secrets.push(kept(1, 3, instant(16)));
    assert_eq!(used(&replaced, 2, 15), told(15, None));

    let mut known = in_transition();
    known.secrets[1].first_use_time = Some(instant(15));
    assert_eq!(used(&known, 2, 16), None);
    let revoked = Token {
        revocation: Some(withdrawal(instant(14))),
        ..in_transition()
    };
    assert_eq!(used(&revoked, 2, 15), None);
    for version in [1, 3] {
        assert_eq!(used(&in_transition(), version, 15), None, "version {version}");
    }
}

#[test]
fn the_use_of_a_retired_secret_is_told_where_somebody_wants_to_hear_of_it() {
    let mut token = token(1);
    token.secrets[0].retire_time = Some(instant(100));
    token.secrets.push(kept(1, 2, instant(50)));
    let policy = |retired_use, tolerance: i64| Policy {
        retired_use,
        retired_tolerance: Span::try_from(tolerance).unwrap(),
        ..Policy::default()
    };
    let used =
        |token: &Token, policy: &Policy, micros| retired_secret_used(token, 1, instant(micros), policy);
    let told = |micros, suspends: bool| {
        Some(TokenChange::RetiredSecretUsed {
            version: 1,
            time: instant(micros),
            suspension: suspends.then(|| Withdrawal {
                time: instant(micros),
                reason: Reason::try_from("secret version 1 was used after its end".to_owned()).unwrap(),
            }),
        })
    };
    let (ignore, report) = (policy(RetiredUse::Ignore, 0), policy(RetiredUse::Report, 7));
    let suspend = policy(RetiredUse::Suspend, 0);
    assert_eq!(used(&token, &ignore, 200), None);
    assert_eq!(used(&token, &suspend, 99), None, "it has not ended");
    assert_eq!(used(&token, &suspend, 100), told(100, true));
    // Calls that were under way do nothing.
    assert_eq!(used(&token, &report, 106), None);
    assert_eq!(used(&token, &report, 107), told(107, false));
    assert_eq!(retired_secret_used(&token, 2, instant(200), &suspend), None);
    assert_eq!(retired_secret_used(&token, 3, instant(200), &suspend), None);
    let paused = Token {
        suspension: Some(withdrawal(instant(1))),
        ..token.clone()
    };
    assert_eq!(
        used(&paused, &suspend, 200),
        told(200, false),
        "the first one stands"
    );
    let revoked = Token {
        revocation: Some(withdrawal(instant(1))),
        ..token.clone()
    };
    assert_eq!(used(&revoked, &suspend, 200), None);
    token.secrets[0].reuse_time = Some(instant(150));
    assert_eq!(used(&token, &suspend, 200), None, "it was told");
}

#[test]
fn suspending_and_resuming_are_reversible_and_revoking_is_not() {
    let pause = withdrawal(instant(2));
    assert_eq!(
        suspend(&token(1), pause.clone()),
        Ok(Some(TokenChange::Suspended(pause.clone())))
    );
    assert_eq!(suspend(&suspended(), pause.clone()), Ok(None));
    assert_eq!(suspend(&revoked(), pause), Err(Refused::Revoked));
    assert_eq!(resume(&suspended()), Ok(Some(TokenChange::Resumed)));
    assert_eq!(resume(&token(1)), Ok(None));
    let both = Token {
        suspension: Some(withdrawal(instant(1))),
        ..revoked()
    };
    assert_eq!(resume(&both), Err(Refused::Revoked));
    assert_eq!(resume(&revoked()), Err(Refused::Revoked));
}

#[test]
fn a_secret_is_redigested_under_a_later_pepper_while_it_can_be_used() {
    let asked = Redigest {
        token_id: token(1).id,
        version: 1,
        digest: kept(2, 1, instant(0)).digest,
        pepper: PepperId(2),
    };
    let wanted = Some(TokenChange::Redigested {
        version: 1,
        digest: asked.digest,
        pepper: PepperId(2),
    });
    assert_eq!(redigest(&token(1), &asked, instant(1)), wanted);
    assert_eq!(redigest(&suspended(), &asked, instant(1)), wanted);
    let expired = Token {
        expire_time: Some(instant(1)),
        ..token(1)
    };
    let mut retired = token(1);
    retired.secrets[0].retire_time = Some(instant(1));
    let mut done = token(1);
    done.secrets[0].pepper = PepperId(2);
    for token in [revoked(), expired, retired, done] {
        assert_eq!(redigest(&token, &asked, instant(1)), None);
    }
    let of_another = Redigest { version: 2, ..asked };
    assert_eq!(redigest(&token(1), &of_another, instant(1)), None);
}
