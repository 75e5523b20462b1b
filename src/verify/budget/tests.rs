//! Who is charged for what, and who is remembered.

use super::*;
use crate::clock::ManualClock;
use crate::token::samples::instant;

const SECOND: Duration = Duration::from_secs(1);

fn scene(burst: u32, waiting_max: usize) -> (Arc<Budget>, Arc<ManualClock>) {
    let wanted = |count| NonZeroU32::new(count).unwrap();
    let allowance = Allowance::a_second(wanted(burst), wanted(1));
    let clock = Arc::new(ManualClock::at(instant(0)));
    let budget = Budget::new(allowance, waiting_max, Arc::<ManualClock>::clone(&clock));
    (Arc::new(budget), clock)
}

#[test]
fn what_finds_nothing_is_paid_for_and_comes_back_with_time() {
    let (budget, clock) = scene(2, 100);
    let (guesser, other) = ("guesser", "other");
    for _ in 0..2 {
        drop(budget.charge(guesser).unwrap());
    }
    let refused = budget.charge(guesser).unwrap_err();
    assert!(
        matches!(refused, VerifyError::MissesExhausted { wait } if wait == SECOND),
        "{refused:?}"
    );
    drop(budget.charge(other).unwrap());
    clock.advance(SECOND);
    drop(budget.charge(guesser).unwrap());
    assert!(budget.charge(guesser).is_err());
}

#[test]
fn what_finds_something_costs_nothing() {
    let (budget, _clock) = scene(2, 100);
    let honest = "honest";
    for _ in 0..1000 {
        budget.charge(honest).unwrap().waive();
    }
}

#[test]
fn so_many_wait_of_one_caller_and_no_more() {
    let (budget, _clock) = scene(100, 3);
    let (eager, other) = ("eager", "other");
    let mut waiting: Vec<_> = (0..3).map(|_| budget.charge(eager).unwrap()).collect();
    let refused = budget.charge(eager).unwrap_err();
    assert!(matches!(refused, VerifyError::CallerBusy), "{refused:?}");
    let _other = budget.charge(other).unwrap();
    waiting.pop();
    waiting.push(budget.charge(eager).unwrap());
    assert!(budget.charge(eager).is_err());
}

#[test]
fn only_so_many_callers_are_remembered_and_only_while_they_owe_something() {
    let (budget, clock) = scene(1, 100);
    let remembered = || budget.accounts().by_caller.len();
    for number in 0..CALLERS_MAX + 100 {
        // Those beyond share an account, which holds one.
        let charged = budget.charge(&number.to_string());
        assert_eq!(charged.is_ok(), number <= CALLERS_MAX, "{number}");
    }
    assert_eq!(remembered(), CALLERS_MAX + 1);
    clock.advance(SECOND);
    let waiting = budget.charge("0").unwrap();
    clock.advance(SECOND);
    drop(budget.charge("new").unwrap());
    // One that still waits is not forgotten, for its look-up comes back to it.
    assert_eq!(remembered(), 2);
    drop(waiting);
}
