//! What may happen to a token, and what may not.

use super::*;
use crate::token::samples::{instant, kept, token, withdrawal};

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
    let rotated_at =
        |token: &Token, micros| rotate(token, kept(1, 2, instant(micros)), Duration::from_micros(5));
    for token in [&ending, &suspended()] {
        assert_eq!(
            rotated_at(token, 999_999),
            Ok(TokenChange::Rotated {
                secret: kept(1, 2, instant(999_999)),
                retire_time: instant(1_000_004),
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
    for overlap in [
        Duration::from_secs(u64::MAX),
        Duration::from_hours(8000 * 366 * 24),
    ] {
        let refusal = rotate(&token(1), kept(1, 2, instant(1)), overlap);
        assert_eq!(refusal, Err(Refused::BeyondTime));
    }
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
