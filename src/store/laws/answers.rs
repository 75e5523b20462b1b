//! Sealed answers: there with their entry, byte for byte, until they are swept.

use std::sync::Arc;

use super::{Law, all_entries, change, read, write};
use crate::journal::samples::{issue, origin};
use crate::journal::{Draft, Revision};
use crate::store::{Outcome, SWEEP_MAX, Store};
use crate::token::answer::SealedAnswer;
use crate::token::change::TokenChange;
use crate::token::samples::{instant, token, withdrawal};
use crate::token::secret::PepperId;
use crate::token::time::Timestamp;

fn answer(byte: u8, expire_time: Timestamp) -> SealedAnswer {
    SealedAnswer {
        pepper: PepperId(1),
        sealed: vec![byte; 40],
        expire_time,
    }
}

/// Issues the token of this number, with an answer that expires then.
fn answered(number: u64, expire_time: Timestamp) -> Draft {
    issue(token(number)).with_answer(answer(0, expire_time))
}

pub(super) async fn an_answer_is_what_was_given(store: Arc<dyn Store>) -> Law {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let answers = [
        (PepperId(0), Vec::new(), Timestamp::MIN),
        (PepperId(1), every_byte.clone(), instant(1)),
        (PepperId(u16::MAX), every_byte.repeat(256), Timestamp::MAX),
    ];
    let mut drafts = vec![issue(token(9))];
    for (number, (pepper, sealed, expire_time)) in (0..).zip(answers) {
        let answer = SealedAnswer {
            pepper,
            sealed,
            expire_time,
        };
        drafts.push(issue(token(number)).with_answer(answer));
    }
    let outcomes = store.commit(drafts.clone()).await?;
    for (draft, outcome) in drafts.iter().zip(outcomes) {
        let Outcome::Written(entry) = outcome else {
            return Err(format!("not written: {outcome:?}").into());
        };
        assert_eq!(store.answer(entry.revision).await?.as_ref(), draft.answer());
    }
    assert_eq!(store.answer(store.head().await?.revision.next()).await?, None);
    Ok(())
}

pub(super) async fn an_answer_is_there_with_its_entry_or_not_at_all(store: Arc<dyn Store>) -> Law {
    let first = answered(1, instant(1));
    let entry = write(&store, first.clone()).await?;
    // A retry does not replace what was answered, and a stale decision leaves nothing behind.
    let retry = first.with_answer(answer(9, instant(9)));
    assert_eq!(
        store.commit(vec![retry]).await?,
        [Outcome::Repeated(entry.clone())]
    );
    let before = read(&store, token(1).id).await?;
    change(
        &store,
        token(1).id,
        TokenChange::Suspended(withdrawal(instant(1))),
    )
    .await?;
    let revoked = TokenChange::Revoked(withdrawal(instant(2)));
    let stale = Draft::of_token(origin(), Some(&before), revoked)?.with_answer(answer(8, instant(8)));
    let (neighbour, end) = (answered(2, instant(2)), store.head().await?.revision.next());
    let outcomes = store.commit(vec![stale, neighbour]).await?;
    assert!(matches!(&outcomes[..], [Outcome::Conflict, Outcome::Written(entry)] if entry.revision == end));
    let mut kept = Vec::new();
    for revision in 1..=end.get() + 1 {
        kept.extend(store.answer(Revision::new(revision)).await?);
    }
    assert_eq!(kept, [answer(0, instant(1)), answer(0, instant(2))]);
    assert_eq!(store.sweep_answers(Timestamp::MAX).await?, 2);
    Ok(())
}

pub(super) async fn a_sweep_forgets_what_has_expired_and_nothing_else(store: Arc<dyn Store>) -> Law {
    // Not in the order of time: a clock may have been set back.
    let ends = [5, 3, 4, 3, 6];
    let drafts = (0..)
        .zip(ends)
        .map(|(number, end)| answered(number, instant(end)));
    store.commit(drafts.collect()).await?;
    let (head, journal) = (store.head().await?, all_entries(&store).await?);
    for (until, swept) in [(2, 0), (3, 2), (3, 0), (4, 1), (9, 2), (9, 0)] {
        assert_eq!(store.sweep_answers(instant(until)).await?, swept, "{until}");
        for (revision, end) in (2..).zip(ends) {
            let is_kept = store.answer(Revision::new(revision)).await?.is_some();
            assert_eq!(is_kept, end > until, "{revision} at {until}");
        }
    }
    assert_eq!(store.head().await?, head);
    assert_eq!(all_entries(&store).await?, journal);
    Ok(())
}

pub(super) async fn a_sweep_takes_so_many_the_oldest_first(store: Arc<dyn Store>) -> Law {
    let all = u64::from(SWEEP_MAX) + 2;
    // The last two written are the first to go.
    let end = |number| if number < all - 2 { instant(2) } else { instant(1) };
    store
        .commit((0..all).map(|number| answered(number, end(number))).collect())
        .await?;
    assert_eq!(store.sweep_answers(instant(3)).await?, u64::from(SWEEP_MAX));
    for newest in [all, all + 1] {
        assert_eq!(store.answer(Revision::new(newest)).await?, None);
    }
    assert_eq!(store.sweep_answers(instant(3)).await?, 2);
    assert_eq!(store.sweep_answers(instant(3)).await?, 0);
    Ok(())
}
