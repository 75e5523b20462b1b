//! What a bucket gives, in any order of takings, and what it says of itself.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(1000);
const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn allowance(burst: u32, rate: u32) -> Allowance {
    Allowance::a_second(count(burst), count(rate))
}

/// As a rate limit has it: all of it comes back within the period.
fn limit(requests: u32, period: Duration) -> Allowance {
    Allowance {
        burst: count(requests),
        rate: count(requests),
        period,
    }
}

/// How many can be taken at once.
fn drain(bucket: &mut Bucket, allowance: Allowance, now: Duration) -> usize {
    (0..10_000)
        .take_while(|_| bucket.take(allowance, now).is_ok())
        .count()
}

#[test]
fn it_gives_a_burst_and_then_as_many_as_come_back() {
    let allowance = allowance(100, 10);
    let mut bucket = Bucket::default();
    assert_eq!(drain(&mut bucket, allowance, NOW), 100);
    assert_eq!(bucket.take(allowance, NOW), Err(SECOND / 10));
    assert_eq!(drain(&mut bucket, allowance, NOW + SECOND), 10);
    // However long nobody takes, there is never more than the burst.
    assert_eq!(drain(&mut bucket, allowance, NOW * 2), 100);
}

#[test]
fn the_wait_it_names_is_long_enough_and_no_longer() {
    let allowance = allowance(3, 7);
    let mut bucket = Bucket::default();
    assert_eq!(drain(&mut bucket, allowance, NOW), 3);
    let wait = bucket.take(allowance, NOW).unwrap_err();
    let almost = NOW + wait.saturating_sub(NANO);
    assert!(bucket.take(allowance, almost).is_err());
    assert_eq!(bucket.take(allowance, NOW + wait), Ok(()));
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let allowance = allowance(5, 1);
    let mut bucket = Bucket::default();
    for _ in 0..1000 {
        assert_eq!(bucket.take(allowance, NOW), Ok(()));
        bucket.give_back(allowance);
    }
    assert!(bucket.is_whole(NOW));
    assert_eq!(drain(&mut bucket, allowance, NOW), 5);
    assert!(!bucket.is_whole(NOW));
    assert!(bucket.is_whole(NOW + 5 * SECOND));
    // More than there was is never there.
    for _ in 0..10 {
        bucket.give_back(allowance);
    }
    assert_eq!(drain(&mut bucket, allowance, NOW), 5);
}

#[test]
fn what_was_taken_stays_taken_under_another_allowance() {
    let minute = 60 * SECOND;
    let before = limit(100, minute);
    let mut bucket = Bucket::default();
    bucket.spend(before, 30, NOW);
    for (after, remaining) in [
        (limit(1000, minute), 970),
        (limit(31, SECOND), 1),
        (limit(10, 24 * 60 * minute), 0),
    ] {
        let bucket = bucket.under(before, after, NOW);
        assert_eq!(bucket.remaining(after, NOW), remaining, "{after:?}");
        // Whoever waits for a period has all of it.
        assert!(bucket.is_whole(NOW + after.whole()), "{after:?}");
    }
}

#[test]
fn what_is_owed_has_an_end() {
    let allowance = limit(10, SECOND);
    let mut bucket = Bucket::default();
    bucket.spend(allowance, u64::MAX, NOW);
    bucket.spend(allowance, u64::MAX, NOW);
    assert_eq!(bucket.missing(NOW), SECOND * OWED_MAX);
    assert_eq!(bucket.remaining(allowance, NOW), 0);
}

fn any_allowance() -> impl Strategy<Value = Allowance> {
    let period = (1_u64..86_400_000).prop_map(Duration::from_millis);
    (1_u32..5000, 1_u32..5000, period).prop_map(|(burst, rate, period)| Allowance {
        burst: count(burst),
        rate: count(rate),
        period,
    })
}

proptest! {
    /// In no window is more taken than the burst and what came back in it.
    #[test]
    fn no_window_sees_more_than_the_burst_and_what_came_back(
        allowance in any_allowance(),
        asked in vec((0_u64..3_000_000, 1_u32..200), 1..80),
    ) {
        let mut bucket = Bucket::default();
        let mut now = NOW;
        let mut taken = Vec::new();
        for (micros, count) in asked {
            now += Duration::from_micros(micros);
            if bucket.wait(allowance, count, now).is_zero() {
                bucket.spend(allowance, count.into(), now);
                taken.push((now, u128::from(count)));
            }
        }
        for (i, (from, _)) in taken.iter().enumerate() {
            let mut sum = 0;
            for (until, count) in &taken[i..] {
                sum += count;
                let nanos = until.saturating_sub(*from).as_nanos() * u128::from(allowance.rate.get());
                let came_back = nanos / allowance.period.as_nanos();
                prop_assert!(sum <= u128::from(allowance.burst.get()) + came_back);
            }
        }
    }

    /// What is said to be there is there, and no more; the wait that is named is the shortest that will do.
    #[test]
    fn what_it_says_of_itself_is_so(
        allowance in any_allowance(),
        asked in vec((0_u64..3_000_000, 1_u32..200), 1..40),
        wanted in 1_u32..5000,
    ) {
        let mut bucket = Bucket::default();
        let mut now = NOW;
        for (micros, count) in asked {
            now += Duration::from_micros(micros);
            if bucket.wait(allowance, count, now).is_zero() {
                bucket.spend(allowance, count.into(), now);
            }
        }
        let remaining = bucket.remaining(allowance, now);
        prop_assert!(bucket.wait(allowance, remaining, now).is_zero());
        prop_assert!(!bucket.wait(allowance, remaining + 1, now).is_zero());
        prop_assert!(bucket.is_whole(now + bucket.missing(now)));
        let wanted = wanted.min(allowance.burst.get());
        let wait = bucket.wait(allowance, wanted, now);
        prop_assert!(bucket.wait(allowance, wanted, now + wait).is_zero());
        if let Some(earlier) = wait.checked_sub(NANO) {
            prop_assert!(!bucket.wait(allowance, wanted, now + earlier).is_zero());
        }
    }
}
