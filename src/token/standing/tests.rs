//! What is said of a subject or a namespace is in force for its tokens, and for those that it was said of only.

use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::token::State;
use crate::token::samples::{
    any_instant, any_rate_limit, any_text, any_token, any_withdrawal, instant, plan, standing, token,
    withdrawal,
};

/// Anything that can be said of `ann`.
fn any_standing() -> impl Strategy<Value = Standing> {
    let said = (
        option::of(any_text(1, 63)),
        option::of(any_withdrawal()),
        option::of(any_withdrawal()),
        option::of(any_rate_limit()),
    );
    said.prop_map(|(plan, suspension, not_before, rate_limit)| Standing {
        plan,
        suspension,
        not_before,
        rate_limit,
        ..standing("ann")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_said_elsewhere_gives_a_token_anything_back(
        token in any_token(),
        standing in option::of(any_standing()),
        not_before in option::of(any_withdrawal()),
        now in any_instant(),
    ) {
        let above = Above { standing: standing.as_ref(), not_before: not_before.as_ref() };
        let under = token.under(above);
        // In the order of how much is left.
        let rank = |state| match state {
            State::Active => 0,
            State::Suspended => 1,
            State::Expired => 2,
            State::Revoked => 3,
        };
        prop_assert!(rank(under.state(now)) >= rank(token.state(now)));
        // Its own record goes first, and nothing else of it is touched.
        if token.revocation.is_some() {
            prop_assert_eq!(&under.revocation, &token.revocation);
        }
        let untouched = Token {
            revocation: token.revocation.clone(),
            suspension: token.suspension.clone(),
            ..under.into_owned()
        };
        prop_assert_eq!(&untouched, &token);
        prop_assert_eq!(token.under(Above::default()).into_owned(), token);
    }

    #[test]
    fn a_token_is_revoked_with_what_was_issued_exactly_up_to_the_not_before(
        token in any_token(),
        standing in option::of(any_standing()),
        not_before in option::of(any_withdrawal()),
    ) {
        let above = Above { standing: standing.as_ref(), not_before: not_before.as_ref() };
        let of_subject = standing.as_ref().and_then(|standing| standing.not_before.as_ref());
        let reaches = |it: &Withdrawal| token.create_time.micros() <= it.time.micros();
        let reached = of_subject.is_some_and(reaches) || not_before.as_ref().is_some_and(reaches);
        prop_assert_eq!(above.revocation(&token).is_some(), reached);
        let is_revoked = token.revocation.is_some() || reached;
        prop_assert_eq!(token.under(above).revocation.is_some(), is_revoked);
        let decided_on = token.revoked_under(above);
        prop_assert_eq!(decided_on.revocation.is_some(), is_revoked);
        prop_assert_eq!(&decided_on.suspension, &token.suspension);
    }

    #[test]
    fn whatever_is_issued_afterwards_is_good_whatever_the_clock_says(
        standing in option::of(any_standing()),
        not_before in option::of(any_withdrawal()),
        now in any_instant(),
    ) {
        let above = Above { standing: standing.as_ref(), not_before: not_before.as_ref() };
        let create_time = above.issue_time(now);
        prop_assert!(create_time >= now);
        let issued = Token { create_time, ..token(1) };
        // There is nothing after the end of time.
        prop_assume!(create_time < Timestamp::MAX);
        prop_assert_eq!(above.revocation(&issued), None);
    }

    #[test]
    fn revoking_what_was_issued_reaches_all_of_it_and_never_goes_back(
        before in option::of(any_withdrawal()),
        newest in option::of(any_instant()),
        now in any_instant(),
        reason in any_text(0, 500),
    ) {
        let not_before = revoke_issued(before.as_ref(), newest, now, reason);
        prop_assert!(newest.is_none_or(|newest| newest <= not_before.time));
        prop_assert!(now <= not_before.time);
        prop_assert!(before.is_none_or(|before| before.time < not_before.time || before.time == Timestamp::MAX));
    }

    #[test]
    fn a_decision_is_nothing_where_nothing_would_change(standing in any_standing(), other in option::of(any_text(1, 63))) {
        prop_assert_eq!(set_plan(Some(&standing), standing.plan.clone()), None);
        let changes = other != standing.plan;
        prop_assert_eq!(set_plan(Some(&standing), other).is_some(), changes);
        let suspended = standing.suspension.is_some();
        prop_assert_eq!(suspend(Some(&standing), withdrawal(instant(1))).is_none(), suspended);
        prop_assert_eq!(resume(Some(&standing)).is_some(), suspended);
    }
}

#[test]
fn of_whom_nothing_is_said_nothing_can_be_taken_back() {
    assert_eq!(resume(None), None);
    assert_eq!(set_plan(None, None), None);
    assert_eq!(
        set_plan(None, Some(plan("pro"))),
        Some(SubjectChange::PlanSet(Some(plan("pro"))))
    );
    let suspended = SubjectChange::Suspended(withdrawal(instant(1)));
    assert_eq!(suspend(None, withdrawal(instant(1))), Some(suspended));
}

#[test]
fn the_microsecond_counts() {
    let said = Standing {
        not_before: Some(withdrawal(instant(5))),
        ..standing("ann")
    };
    let above = Above {
        standing: Some(&said),
        not_before: None,
    };
    for (create_time, state) in [(4, State::Revoked), (5, State::Revoked), (6, State::Active)] {
        let issued = Token {
            create_time: instant(create_time),
            ..token(1)
        };
        assert_eq!(issued.under(above).state(instant(9)), state, "{create_time}");
    }
    assert_eq!(above.issue_time(instant(2)), instant(6));
    assert_eq!(above.issue_time(instant(7)), instant(7));
}

proptest! {
    #[test]
    fn a_rate_limit_that_is_so_already_is_not_set(
        standing in option::of(any_standing()),
        to in option::of(any_rate_limit()),
    ) {
        let from = standing.as_ref().and_then(|standing| standing.rate_limit);
        let set = set_rate_limit(standing.as_ref(), to);
        let wanted = (from != to).then_some(SubjectChange::RateLimitSet(FromTo { from, to }));
        prop_assert_eq!(set, wanted);
    }
}
