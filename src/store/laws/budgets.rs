//! What servers take from shared budgets adds up, each report once.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Answer, Law};
use crate::store::budgets::{BudgetKey, Report, Shared, Taking};
use crate::store::roll::{MemberId, Roll};
use crate::store::{SWEEP_MAX, Store};
use crate::token::samples::{instant, rate_limit};
use crate::token::time::Timestamp;

fn roll(store: &Arc<dyn Store>) -> Answer<&dyn Roll> {
    Ok(store.roll().ok_or("the store is not shared")?)
}

fn key(number: u32) -> BudgetKey {
    let mut holder = [0; 16];
    holder[..4].copy_from_slice(&number.to_be_bytes());
    BudgetKey::new(b't', &holder, rate_limit(100, 60))
}

/// Each of what was taken owes ten microseconds.
fn report(reporter: u8, sequence: u64, time: i64, takings: &[(u32, u64)]) -> Report {
    let taking = |(number, count): &(u32, u64)| Taking {
        key: key(*number),
        count: *count,
        owed_micros: 10 * i64::try_from(*count).unwrap(),
    };
    Report {
        reporter: MemberId::new([reporter; 16]),
        sequence,
        time: instant(time),
        since: instant(time - 5),
        takings: takings.iter().map(taking).collect(),
    }
}

fn shared(since: i64, spent: u64, whole_at: i64) -> Shared {
    Shared {
        since: instant(since),
        spent,
        whole_at: instant(whole_at),
    }
}

pub(super) async fn what_servers_take_adds_up(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    let first = roll.share(&report(1, 1, 100, &[(1, 3), (2, 1)])).await?;
    assert_eq!(
        first,
        [Some(shared(100, 3, 95 + 30)), Some(shared(100, 1, 95 + 10))]
    );
    // What is missing already comes back first; what has come back is not missing.
    let second = roll.share(&report(2, 1, 110, &[(2, 2), (3, 1), (1, 2)])).await?;
    assert_eq!(
        second,
        [
            Some(shared(100, 3, 105 + 20)),
            Some(shared(110, 1, 105 + 10)),
            Some(shared(100, 5, 125 + 20)),
        ]
    );
    Ok(())
}

pub(super) async fn a_report_that_comes_again_counts_once(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    let first = report(1, 1, 100, &[(1, 3)]);
    let answered = roll.share(&first).await?;
    assert_eq!(roll.share(&first).await?, answered);
    roll.share(&report(1, 2, 101, &[(1, 1)])).await?;
    // Also where it was overtaken, and however many others report meanwhile.
    roll.share(&report(2, 1, 102, &[(1, 1)])).await?;
    let again = roll.share(&first).await?;
    assert_eq!(again[0].map(|shared| shared.spent), Some(5));
    Ok(())
}

pub(super) async fn who_only_asks_takes_nothing(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    assert_eq!(roll.share(&report(1, 1, 100, &[(1, 0)])).await?, [None]);
    roll.share(&report(2, 1, 100, &[(1, 4)])).await?;
    let asked = roll.share(&report(1, 2, 200, &[(2, 0), (1, 0)])).await?;
    assert_eq!(asked, [None, Some(shared(100, 4, 95 + 40))]);
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
                let report = report(reporter, sequence, 100, &takings);
                roll.share(&report).await.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(reported) = reporting.join_next().await {
        reported??;
    }
    let all: Vec<_> = (0..53).map(|number| (number, 0)).collect();
    let spent = roll(&store)?.share(&report(9, 1, 100, &all)).await?;
    let spent: u64 = spent.into_iter().flatten().map(|shared| shared.spent).sum();
    assert_eq!(spent, 8 * 10 * 50);
    Ok(())
}

pub(super) async fn budgets_that_are_whole_are_swept_and_made_anew(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    let never = Timestamp::MIN;
    roll.share(&report(1, 1, 100, &[(1, 1), (2, 5)])).await?;
    assert_eq!(roll.sweep_budgets(instant(104), never).await?, 0);
    assert_eq!(roll.sweep_budgets(instant(105), never).await?, 1);
    let left = roll.share(&report(1, 2, 120, &[(1, 0), (2, 0)])).await?;
    assert_eq!(left, [None, Some(shared(100, 5, 145))]);
    let anew = roll.share(&report(1, 3, 120, &[(1, 2)])).await?;
    assert_eq!(anew, [Some(shared(120, 2, 135))]);
    // Who was silent is forgotten, with the numbers of its reports.
    roll.sweep_budgets(never, instant(120)).await?;
    roll.share(&report(1, 1, 121, &[(1, 1)])).await?;
    let spent = roll.share(&report(1, 2, 121, &[(1, 0)])).await?;
    assert_eq!(spent[0].map(|shared| shared.spent), Some(3));
    Ok(())
}

pub(super) async fn a_sweep_of_budgets_takes_so_many(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    for (sequence, first) in [(1, 0), (2, 1000)] {
        let takings: Vec<_> = (first..first + 600).map(|number| (number, 1)).collect();
        roll.share(&report(1, sequence, 100, &takings)).await?;
    }
    let swept = roll.sweep_budgets(instant(1000), Timestamp::MIN).await?;
    assert_eq!(swept, u64::from(SWEEP_MAX));
    assert_eq!(roll.sweep_budgets(instant(1000), Timestamp::MIN).await?, 200);
    Ok(())
}
