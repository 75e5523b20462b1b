//! Access logs: what is kept is there once, found by whose it is and when it was, and forgotten when told.

use std::sync::Arc;
use std::time::Duration;

use super::{Answer, Law};
use crate::store::access::{AccessOf, AccessPlace, Holder, KEEP_MAX, Walk};
use crate::store::{SWEEP_MAX, Store};
use crate::token::access::{AccessDetails, AccessId, AccessRecord};
use crate::token::id::TokenId;
use crate::token::samples::{HARD_TEXT, instant, slug, token};
use crate::token::text::{Actor, Subject};
use crate::token::time::{Span, Timestamp};
use crate::token::usage::Outcome;

fn details(outcome: Outcome) -> AccessDetails {
    AccessDetails {
        outcome,
        caller: Some(Actor::own()),
        address: Some("2001:db8::/48".parse().unwrap()),
        method: "GET".to_owned().into(),
        path: "/notes/1".to_owned().into(),
        user_agent: HARD_TEXT[7].to_owned().into(),
    }
}

/// A call with the token of this number, of one subject in two, at this instant.
fn record(number: u64, micros: i64) -> AccessRecord {
    AccessRecord {
        id: AccessId::new([1; 8], number),
        time: instant(micros),
        namespace: slug("notes"),
        token_id: Some(token(number % 4).id),
        subject: Some(subject(number)),
        details: details(Outcome::Accepted),
    }
}

fn subject(number: u64) -> Subject {
    Subject::try_from(HARD_TEXT[(number % 2) as usize].to_owned()).unwrap()
}

fn of(holder: Option<Holder>) -> AccessOf {
    AccessOf {
        namespace: slug("notes"),
        holder,
    }
}

fn of_token(number: u64) -> AccessOf {
    of(Some(Holder::Token(token(number).id)))
}

async fn keep(store: &Arc<dyn Store>, records: &[AccessRecord]) -> Law {
    for some in records.chunks(KEEP_MAX) {
        store.keep_access(some.into()).await?;
    }
    Ok(())
}

async fn walked(
    store: &Arc<dyn Store>,
    of: AccessOf,
    from: Timestamp,
    before: Timestamp,
) -> Answer<Vec<AccessRecord>> {
    let walk = Walk {
        of,
        from,
        before: AccessPlace::before(before),
        limit: 1000,
    };
    Ok(store.access(walk).await?)
}

async fn all(store: &Arc<dyn Store>, of: AccessOf) -> Answer<Vec<AccessRecord>> {
    walked(store, of, Timestamp::MIN, Timestamp::MAX).await
}

pub(super) async fn a_record_is_read_as_it_was_kept(store: Arc<dyn Store>) -> Law {
    let unknown = AccessRecord {
        token_id: None,
        subject: None,
        details: AccessDetails {
            outcome: Outcome::Unknown,
            caller: None,
            address: None,
            method: String::new().into(),
            path: String::new().into(),
            user_agent: String::new().into(),
        },
        ..record(9, 9)
    };
    keep(&store, std::slice::from_ref(&unknown)).await?;
    assert_eq!(all(&store, of(None)).await?, std::slice::from_ref(&unknown));
    let mut kept = vec![unknown];
    for (number, (outcome, text)) in Outcome::ALL.into_iter().zip(HARD_TEXT).enumerate() {
        let number = number as u64;
        let hard = AccessRecord {
            subject: Subject::try_from(text.to_owned()).ok(),
            details: AccessDetails {
                user_agent: text.to_owned().into(),
                ..details(outcome)
            },
            ..record(number, 10 + number.cast_signed())
        };
        kept.insert(0, hard);
    }
    keep(&store, &kept).await?;
    assert_eq!(all(&store, of(None)).await?, kept);
    keep(&store, &[]).await
}

pub(super) async fn a_record_that_is_sent_again_is_there_once(store: Arc<dyn Store>) -> Law {
    let records = [record(1, 5), record(2, 5), record(3, 6)];
    keep(&store, &records[..2]).await?;
    for _ in 0..3 {
        keep(&store, &records).await?;
    }
    let [first, second, third] = records;
    assert_eq!(all(&store, of(None)).await?, [third, second, first]);
    Ok(())
}

pub(super) async fn a_walk_goes_from_newest_to_oldest_and_misses_none(store: Arc<dyn Store>) -> Law {
    // Several of one instant, and several days.
    let day = Span::days(1).micros();
    let mut records: Vec<_> = (0..60)
        .map(|number| {
            record(
                number,
                day * (number.cast_signed() % 5) + number.cast_signed() % 3,
            )
        })
        .collect();
    keep(&store, &records).await?;
    records.sort_by_key(|record| std::cmp::Reverse(AccessPlace::of(record)));
    for (of, whose) in [(of(None), None), (of_token(2), Some(token(2).id))] {
        let is_meant = |record: &&AccessRecord| whose.is_none() || record.token_id == whose;
        let meant: Vec<_> = records.iter().filter(is_meant).cloned().collect();
        for limit in [1, 7, 60] {
            let mut found = Vec::new();
            let mut walk = Walk {
                of: of.clone(),
                from: Timestamp::MIN,
                before: AccessPlace::before(Timestamp::MAX),
                limit,
            };
            loop {
                let some = store.access(walk.clone()).await?;
                assert!(some.len() <= limit as usize);
                let Some(last) = some.last() else { break };
                walk.before = AccessPlace::of(last);
                found.extend(some);
            }
            assert_eq!(found, meant);
        }
    }
    Ok(())
}

pub(super) async fn a_walk_keeps_to_its_token_subject_and_time(store: Arc<dyn Store>) -> Law {
    let mut records: Vec<_> = (0..20)
        .map(|number| record(number, number.cast_signed()))
        .collect();
    let elsewhere = AccessRecord {
        namespace: slug("tasks"),
        ..record(20, 3)
    };
    records.push(elsewhere.clone());
    keep(&store, &records).await?;
    let found = |found: Vec<AccessRecord>| {
        found
            .iter()
            .map(|record| record.time.micros())
            .collect::<Vec<_>>()
    };
    let times = |numbers: &[i64]| {
        numbers
            .iter()
            .map(|micros| instant(*micros).micros())
            .collect::<Vec<_>>()
    };
    let at = |of, from, before| walked(&store, of, instant(from), instant(before));
    assert_eq!(found(at(of_token(1), 5, 17).await?), times(&[13, 9, 5]));
    let even = of(Some(Holder::Subject(subject(0))));
    assert_eq!(found(at(even, 4, 10).await?), times(&[8, 6, 4]));
    assert_eq!(found(at(of(None), 18, 100).await?), times(&[19, 18]));
    assert_eq!(found(at(of(None), 18, 18).await?), times(&[]));
    let tasks = AccessOf {
        namespace: slug("tasks"),
        holder: None,
    };
    assert_eq!(all(&store, tasks).await?, [elsewhere]);
    let stranger: TokenId = token(77).id;
    assert_eq!(all(&store, of(Some(Holder::Token(stranger)))).await?, []);
    Ok(())
}

pub(super) async fn what_is_forgotten_is_what_was_meant(store: Arc<dyn Store>) -> Law {
    let records: Vec<_> = (0..20)
        .map(|number| record(number, number.cast_signed()))
        .collect();
    keep(&store, &records).await?;
    let elsewhere = AccessRecord {
        namespace: slug("tasks"),
        ..record(20, 3)
    };
    keep(&store, &[elsewhere]).await?;
    let times = |of| {
        let store = &store;
        async move {
            let found = all(store, of).await?;
            Answer::Ok(
                found
                    .iter()
                    .map(|record| record.time.micros() - instant(0).micros())
                    .collect::<Vec<_>>(),
            )
        }
    };
    assert_eq!(store.erase_access(of_token(1), instant(9)).await?, 2);
    assert_eq!(times(of_token(1)).await?, [17, 13, 9]);
    let even = of(Some(Holder::Subject(subject(0))));
    assert_eq!(store.erase_access(even.clone(), Timestamp::MAX).await?, 10);
    assert_eq!(store.erase_access(even, Timestamp::MAX).await?, 0);
    assert_eq!(times(of(None)).await?, [19, 17, 15, 13, 11, 9, 7, 3]);
    assert_eq!(store.erase_access(of(None), instant(13)).await?, 4);
    assert_eq!(times(of(None)).await?, [19, 17, 15, 13]);
    let tasks = AccessOf {
        namespace: slug("tasks"),
        holder: None,
    };
    assert_eq!(times(tasks).await?, [3]);
    Ok(())
}

pub(super) async fn so_many_records_are_forgotten_at_once(store: Arc<dyn Store>) -> Law {
    let many = u64::from(SWEEP_MAX) + 10;
    let records: Vec<_> = (0..many)
        .map(|number| record(number, number.cast_signed()))
        .collect();
    keep(&store, &records).await?;
    assert_eq!(
        store.erase_access(of(None), Timestamp::MAX).await?,
        u64::from(SWEEP_MAX)
    );
    assert_eq!(store.erase_access(of(None), Timestamp::MAX).await?, 10);
    Ok(())
}

pub(super) async fn tending_forgets_nothing_young(store: Arc<dyn Store>) -> Law {
    let day = Duration::from_hours(24);
    let at = |days: u32| instant(0).after(day * days);
    // What was never tended to is kept all the same.
    let times = [at(1)?, at(3)?, at(4)?, at(40)?];
    for (number, time) in times.into_iter().enumerate() {
        let record = AccessRecord {
            time,
            ..record(number as u64, 0)
        };
        keep(&store, &[record]).await?;
    }
    for _ in 0..2 {
        store.tend_access(at(40)?, at(3)?).await?;
        let young = walked(&store, of(None), at(3)?, Timestamp::MAX).await?;
        assert_eq!(young.len(), 3, "{young:?}");
    }
    keep(&store, &[record(9, 0)]).await?;
    assert_eq!(
        walked(&store, of(None), instant(0), at(1)?).await?,
        [record(9, 0)]
    );
    Ok(())
}

pub(super) async fn the_journal_has_no_part_in_access_logs(store: Arc<dyn Store>) -> Law {
    let head = store.head().await?;
    keep(&store, &[record(1, 1)]).await?;
    store.tend_access(instant(2), instant(0)).await?;
    assert_eq!(store.erase_access(of(None), instant(2)).await?, 1);
    assert_eq!(store.head().await?, head);
    Ok(())
}
