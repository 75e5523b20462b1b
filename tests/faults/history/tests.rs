//! The checker finds what it must, permits what it must, and is fast enough for every run.

use proptest::prelude::*;
use tokenward::clock::{Clock, ManualEntropy, SystemClock};

use super::Answer::{Accepted, Refused, Revoked, Unjudged, Unknown};
use super::*;
use crate::{below, report};

fn operation(token: usize, invoked: u64, returned: u64, answer: Answer) -> Operation {
    Operation {
        token,
        invoked: Duration::from_nanos(invoked),
        returned: Duration::from_nanos(returned),
        answer,
    }
}

#[test]
fn accepted_after_a_revoke_was_answered_is_stale() {
    let stale = operation(0, 6, 7, Accepted);
    let history = [
        operation(0, 0, 1, Accepted),
        stale,
        operation(0, 3, 5, Revoked),
        // A second Revoke that is answered later excuses nothing.
        operation(0, 4, 9, Revoked),
    ];
    assert_eq!(violations(&history), [Violation::Stale(stale)]);
}

#[test]
fn refused_before_a_revoke_was_invoked_is_unfounded() {
    for answer in [Revoked, Unknown] {
        let unfounded = operation(0, 0, 2, Refused);
        let history = [unfounded, operation(0, 3, 5, answer), operation(1, 0, 1, Revoked)];
        assert_eq!(violations(&history), [Violation::Unfounded(unfounded)]);
    }
    let unfounded = operation(0, 0, 2, Refused);
    assert_eq!(violations(&[unfounded]), [Violation::Unfounded(unfounded)]);
}

#[test]
fn while_a_revoke_is_under_way_the_old_may_follow_the_new() {
    let history = [
        operation(0, 0, 10, Revoked),
        operation(0, 1, 2, Refused),
        operation(0, 3, 4, Accepted),
        operation(0, 5, 6, Refused),
        // Invoked before the answer, however late it returns.
        operation(0, 10, 30, Accepted),
    ];
    assert_eq!(violations(&history), []);
}

#[test]
fn a_revoke_without_an_answer_may_have_been_done_for_ever() {
    let history = [
        operation(0, 0, 5, Unknown),
        operation(0, 1, 2, Refused),
        operation(0, 6, 7, Accepted),
        operation(0, 100, 101, Refused),
        operation(0, 200, 201, Accepted),
    ];
    assert_eq!(violations(&history), []);
    // Asked again and answered, it binds.
    let stale = operation(0, 303, 304, Accepted);
    let resolved = [&history[..], &[operation(0, 300, 302, Revoked), stale]].concat();
    assert_eq!(violations(&resolved), [Violation::Stale(stale)]);
}

#[test]
fn no_judgement_and_another_token_violate_nothing() {
    let history = [
        operation(0, 0, 1, Revoked),
        operation(0, 2, 3, Unjudged),
        operation(0, 2, 3, Refused),
        operation(1, 2, 3, Accepted),
    ];
    assert_eq!(violations(&history), []);
}

/// As the words say it: every Verify against every Revoke.
fn naive(history: &[Operation]) -> Vec<Violation> {
    let violates = |verify: &Operation| {
        let revokes = || history.iter().filter(|revoke| revoke.token == verify.token);
        let answered = revokes()
            .filter(|revoke| revoke.answer == Revoked)
            .any(|revoke| revoke.returned < verify.invoked);
        let invoked = revokes()
            .filter(|revoke| [Revoked, Unknown].contains(&revoke.answer))
            .any(|revoke| revoke.invoked <= verify.returned);
        match verify.answer {
            Accepted if answered => Some(Violation::Stale(*verify)),
            Refused if !invoked => Some(Violation::Unfounded(*verify)),
            _ => None,
        }
    };
    history.iter().filter_map(violates).collect()
}

proptest! {
    #[test]
    fn it_finds_what_comparing_all_with_all_finds(
        history in proptest::collection::vec(
            (0..3_usize, 0..12_u64, 0..6_u64, 0..5_usize).prop_map(|(token, invoked, took, answer)| {
                let answer = [Accepted, Refused, Unjudged, Revoked, Unknown][answer];
                operation(token, invoked, invoked + took, answer)
            }),
            0..24,
        )
    ) {
        prop_assert_eq!(violations(&history), naive(&history));
    }
}

#[test]
fn a_million_operations_take_well_under_a_second() {
    const SEED: u64 = 0x4157;
    const OPERATIONS: u64 = 1_000_000;
    const TOKENS: u64 = 10_000;
    let entropy = ManualEntropy::seeded(SEED);
    let mut history: Vec<_> = (0..OPERATIONS)
        .map(|at| {
            let token = below(&entropy, TOKENS) as usize;
            // All are revoked half-way.
            let answer = if at > OPERATIONS / 2 { Refused } else { Accepted };
            operation(token, at, at + below(&entropy, 50), answer)
        })
        .collect();
    history.extend((0..TOKENS).map(|token| {
        let half = OPERATIONS / 2;
        operation(token as usize, half - 50, half + 50, Revoked)
    }));
    let stale = operation(7, OPERATIONS, OPERATIONS + 1, Accepted);
    history.push(stale);
    let start = SystemClock.uptime();
    let found = violations(&history);
    let took = SystemClock.uptime().saturating_sub(start);
    report(format_args!("{} operations checked in {took:?}", history.len()));
    assert_eq!(found, [Violation::Stale(stale)], "seed {SEED:#x}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}
