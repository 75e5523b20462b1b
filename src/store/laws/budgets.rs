//! What servers take from shared budgets adds up, each report once.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Answer, Law};
use crate::store::budgets::{BudgetKey, LATE_MAX, Report, Taking};
use crate::store::member::MemberId;
use crate::store::roll::Roll;
use crate::store::{SWEEP_MAX, Store};
use crate::token::samples::rate_limit;

/// What one takes to come back: long, so that what comes back while a law is tried does not matter.
const HOUR: Duration = Duration::from_hours(1);
const NEVER: Duration = Duration::from_hours(10_000);

fn roll(store: &Arc<dyn Store>) -> Answer<&dyn Roll> {
    Ok(store.roll().ok_or("the store is not shared")?)
}

fn key(number: u32) -> BudgetKey {
    let mut holder = [0; 16];
    holder[..4].copy_from_slice(&number.to_be_bytes());
    BudgetKey::new(b't', &holder, rate_limit(100, 60))
}

/// So many were taken from each.
fn report(reporter: u8, sequence: u64, takings: &[(u32, u32)]) -> Report {
    let taking = |(number, count): &(u32, u32)| Taking {
        key: key(*number),
        owed: HOUR * *count,
    };
    Report {
        reporter: MemberId::new([reporter; 16]),
        sequence,
        takings: takings.iter().map(taking).collect(),
    }
}

/// How many are missing; what has come back since, and what is allowed for being late, is less than one.
fn counts(missing: &[Duration]) -> Vec<u64> {
    let counts = missing.iter().map(|missing| missing.as_secs().div_ceil(3600));
    counts.collect()
}

pub(super) async fn what_servers_take_adds_up(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    let first = roll.share(&report(1, 1, &[(1, 3), (2, 1)])).await?;
    assert_eq!(counts(&first), [3, 1]);
    assert!(first[1] + LATE_MAX <= HOUR, "{first:?}");
    let second = roll.share(&report(2, 1, &[(2, 2), (3, 1), (1, 2)])).await?;
    assert_eq!(counts(&second), [3, 1, 5]);
    // It is late only once.
    assert!(
        second[0] + Duration::from_mins(1) > first[1] + 2 * HOUR,
        "{second:?}"
    );
    Ok(())
}

pub(super) async fn a_report_that_comes_again_counts_once(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    let first = report(1, 1, &[(1, 3)]);
    for _ in 0..2 {
        assert_eq!(counts(&roll.share(&first).await?), [3]);
    }
    roll.share(&report(1, 2, &[(1, 1)])).await?;
    // Also where it was overtaken, and however many others report meanwhile.
    roll.share(&report(2, 1, &[(1, 1)])).await?;
    assert_eq!(counts(&roll.share(&first).await?), [5]);
    Ok(())
}

pub(super) async fn who_only_asks_takes_nothing(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    assert_eq!(roll.share(&report(1, 1, &[(1, 0)])).await?, [Duration::ZERO]);
    roll.share(&report(2, 1, &[(1, 4)])).await?;
    let asked = roll.share(&report(1, 2, &[(2, 0), (1, 0)])).await?;
    assert_eq!(counts(&asked), [0, 4]);
    Ok(())
}

pub(super) async fn reports_that_cross_all_count(store: Arc<dyn Store>) -> Law {
    let mut reporting = JoinSet::new();
    for reporter in 1..=8 {
        let store = Arc::clone(&store);
        // In another order each: nobody waits for ever.
        let takings: Vec<_> = (0..50).map(|i| ((i * u32::from(reporter)) % 53, 1)).collect();
        reporting.spawn(async move {
            for sequence in 1..=10 {
                let roll = store.roll().ok_or("the store is not shared")?;
                let report = report(reporter, sequence, &takings);
                roll.share(&report).await.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(reported) = reporting.join_next().await {
        reported??;
    }
    let all: Vec<_> = (0..53).map(|number| (number, 0)).collect();
    let taken = roll(&store)?.share(&report(9, 1, &all)).await?;
    assert_eq!(counts(&taken).iter().sum::<u64>(), 8 * 10 * 50);
    Ok(())
}

pub(super) async fn budgets_that_are_whole_are_swept_and_made_anew(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    let mut first = report(1, 1, &[(1, 0), (2, 5)]);
    first.takings[0].owed = Duration::from_micros(1);
    roll.share(&first).await?;
    assert_eq!(roll.sweep_budgets(HOUR, NEVER).await?, 0);
    assert_eq!(roll.sweep_budgets(Duration::ZERO, NEVER).await?, 1);
    let left = roll.share(&report(1, 2, &[(1, 0), (2, 0)])).await?;
    assert_eq!(counts(&left), [0, 5]);
    let anew = roll.share(&report(1, 3, &[(1, 2)])).await?;
    assert_eq!(counts(&anew), [2]);
    // Who was silent is forgotten, with the numbers of its reports.
    roll.sweep_budgets(NEVER, Duration::ZERO).await?;
    let again = roll.share(&report(1, 1, &[(1, 1)])).await?;
    assert_eq!(counts(&again), [3]);
    Ok(())
}

pub(super) async fn a_sweep_of_budgets_takes_so_many(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    for (sequence, first) in [(1, 0), (2, 1000)] {
        let mut report = report(1, sequence, &[]);
        report.takings = (first..first + 600)
            .map(|number| Taking {
                key: key(number),
                owed: Duration::from_micros(1),
            })
            .collect();
        roll.share(&report).await?;
    }
    let swept = roll.sweep_budgets(Duration::ZERO, NEVER).await?;
    assert_eq!(swept, u64::from(SWEEP_MAX));
    assert_eq!(roll.sweep_budgets(Duration::ZERO, NEVER).await?, 200);
    Ok(())
}
