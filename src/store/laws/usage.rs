//! Usage: what was seen adds up, each of it once.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Answer, Law};
use crate::store::Store;
use crate::store::usage::{Flush, RecorderId};
use crate::token::samples::{HARD_TEXT, instant, token};
use crate::token::text::Actor;
use crate::token::usage::{Outcome, Seen, Usage};

const FIRST: RecorderId = RecorderId::new([1; 16]);
const SECOND: RecorderId = RecorderId::new([2; 16]);

fn accepted(count: u64, micros: i64) -> Usage {
    let seen = Seen {
        time: instant(micros),
        outcome: Outcome::Accepted,
        secret_version: 1,
        caller: Some(Actor::own()),
        address_prefix: Some("192.0.2.0/24".parse().unwrap()),
        user_agent: HARD_TEXT[7].to_owned().into(),
    };
    Usage {
        counts: [(Outcome::Accepted, count)].into(),
        first_use_time: Some(seen.time),
        secrets: [(1, seen.time)].into(),
        last_use: Some(seen),
        last_refusal: None,
    }
}

fn flush(recorder: RecorderId, sequence: u64, usages: &[(u64, Usage)]) -> Arc<Flush> {
    let usages = usages
        .iter()
        .map(|(number, usage)| (token(*number).id, usage.clone()));
    Arc::new(Flush {
        recorder,
        sequence,
        time: instant(0),
        usages: usages.collect(),
    })
}

async fn usage(store: &Arc<dyn Store>, number: u64) -> Answer<Usage> {
    let usages = store.usages(vec![token(number).id]).await?;
    Ok(usages.into_iter().flatten().next().unwrap_or_default())
}

pub(super) async fn uses_add_up(store: Arc<dyn Store>) -> Law {
    let refused = Usage {
        counts: [(Outcome::Revoked, 4)].into(),
        last_refusal: accepted(1, 9).last_use,
        ..Usage::default()
    };
    store
        .add_usage(flush(FIRST, 1, &[(1, accepted(3, 5)), (2, accepted(1, 6))]))
        .await?;
    store
        .add_usage(flush(SECOND, 1, &[(1, accepted(2, 4)), (3, refused.clone())]))
        .await?;
    let mut both = accepted(3, 5);
    both.add(accepted(2, 4));
    assert_eq!(both.use_count(), 5);
    assert_eq!(usage(&store, 1).await?, both);
    let ids = [3, 9, 2, 3].map(|number| token(number).id).to_vec();
    let found = store.usages(ids).await?;
    assert_eq!(
        found,
        [Some(refused.clone()), None, Some(accepted(1, 6)), Some(refused)]
    );
    Ok(())
}

pub(super) async fn a_flush_is_added_once_however_often_it_is_sent(store: Arc<dyn Store>) -> Law {
    for sequence in 1..=3 {
        for _ in 0..3 {
            store
                .add_usage(flush(FIRST, sequence, &[(1, accepted(1, 1))]))
                .await?;
        }
    }
    // The first of another recorder is another one.
    store.add_usage(flush(SECOND, 1, &[(1, accepted(1, 1))])).await?;
    store.add_usage(flush(FIRST, 2, &[(1, accepted(1, 1))])).await?;
    assert_eq!(usage(&store, 1).await?.use_count(), 4);
    Ok(())
}

pub(super) async fn recorders_that_see_the_same_tokens_lose_nothing(store: Arc<dyn Store>) -> Law {
    const RECORDERS: u8 = 4;
    const TOKENS: u64 = 50;
    let mut recorders = JoinSet::new();
    for recorder in 0..RECORDERS {
        let store = Arc::clone(&store);
        recorders.spawn(async move {
            for sequence in 1..=5 {
                let seen: Vec<_> = (0..TOKENS).map(|number| (number, accepted(1, 1))).collect();
                let flush = flush(RecorderId::new([recorder; 16]), sequence, &seen);
                // Others may be in the way; whoever is told so comes back.
                while store.add_usage(Arc::clone(&flush)).await.is_err() {}
            }
        });
    }
    recorders.join_all().await;
    for number in [0, TOKENS - 1] {
        assert_eq!(usage(&store, number).await?.use_count(), u64::from(RECORDERS) * 5);
    }
    Ok(())
}

pub(super) async fn what_is_erased_is_from_where_and_nothing_else(store: Arc<dyn Store>) -> Law {
    store
        .add_usage(flush(FIRST, 1, &[(1, accepted(3, 5)), (2, accepted(1, 6))]))
        .await?;
    let ids = vec![token(1).id, token(9).id];
    let head = store.head().await?;
    assert_eq!(store.erase_usage(ids.clone()).await?, 1);
    assert_eq!(store.erase_usage(ids).await?, 0);
    let mut erased = accepted(3, 5);
    erased.erase();
    assert_eq!(usage(&store, 1).await?, erased);
    assert_eq!(usage(&store, 2).await?, accepted(1, 6));
    assert_eq!(store.head().await?, head, "the journal has no part in it");
    Ok(())
}

pub(super) async fn since_when_uses_are_recorded_is_said_once(store: Arc<dyn Store>) -> Law {
    assert_eq!(store.usage_since().await?, None);
    store.begin_usage(instant(1)).await?;
    store.begin_usage(instant(2)).await?;
    assert_eq!(store.usage_since().await?, Some(instant(1)));
    store.end_usage().await?;
    store.end_usage().await?;
    assert_eq!(store.usage_since().await?, None);
    store.begin_usage(instant(3)).await?;
    assert_eq!(store.usage_since().await?, Some(instant(3)));
    Ok(())
}
