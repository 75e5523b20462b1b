//! The roll: nobody answers who is not on it, and nobody goes off it who may still answer.

use std::sync::Arc;

use super::{Answer, Law, all_entries, write};
use crate::journal::Revision;
use crate::journal::samples::issue;
use crate::store::member::MemberId;
use crate::store::roll::Roll;
use crate::store::{Head, Store};
use crate::token::samples::token;

const FIRST: MemberId = MemberId::new([1; 16]);
const SECOND: MemberId = MemberId::new([2; 16]);

fn roll(store: &Arc<dyn Store>) -> Answer<&dyn Roll> {
    Ok(store.roll().ok_or("the store is not shared")?)
}

async fn renew(store: &Arc<dyn Store>, id: MemberId, acked: u64) -> Answer<Head> {
    let renewed = roll(store)?.renew(id, Revision::new(acked)).await?;
    Ok(renewed.ok_or("not on the roll")?)
}

pub(super) async fn who_joins_has_acknowledged_nothing(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    assert_eq!(roll.members().await?, []);
    roll.join(SECOND, "second").await?;
    roll.join(FIRST, "first, 🦀").await?;
    let members = roll.members().await?;
    let names: Vec<_> = members
        .iter()
        .map(|member| (member.id, member.name.as_str()))
        .collect();
    assert_eq!(names, [(FIRST, "first, 🦀"), (SECOND, "second")]);
    assert!(members.iter().all(|member| member.acked == Revision::ZERO));
    Ok(())
}

pub(super) async fn an_id_joins_once(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    roll.join(FIRST, "first").await?;
    renew(&store, FIRST, 1).await?;
    let before = roll.members().await?;
    assert!(roll.join(FIRST, "again").await.is_err());
    assert_eq!(roll.members().await?, before);
    Ok(())
}

pub(super) async fn a_renewal_is_heard_and_answers_with_the_head(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    roll.join(FIRST, "first").await?;
    roll.join(SECOND, "second").await?;
    let joined = roll.members().await?;
    assert_eq!(renew(&store, FIRST, 0).await?, store.head().await?);
    write(&store, issue(token(1))).await?;
    let head = renew(&store, FIRST, 1).await?;
    assert_eq!((head, head.revision), (store.head().await?, Revision::new(2)));
    renew(&store, FIRST, 2).await?;
    let members = roll.members().await?;
    assert_eq!(members[0].acked, Revision::new(2));
    assert_eq!(members[0].beat, joined[0].beat + 3);
    assert_eq!(members[1], joined[1], "of the other nothing was heard");
    Ok(())
}

pub(super) async fn a_member_is_removed_only_as_it_was_seen(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    roll.join(FIRST, "first").await?;
    roll.join(SECOND, "second").await?;
    let seen = roll.members().await?;
    renew(&store, FIRST, 1).await?;
    assert!(!roll.remove(&seen[0]).await?, "it has been heard of since");
    assert_eq!(roll.members().await?.len(), 2);
    assert!(roll.remove(&seen[1]).await?);
    assert!(!roll.remove(&seen[1]).await?, "it is off already");
    let left = roll.members().await?;
    assert_eq!(left.iter().map(|member| member.id).collect::<Vec<_>>(), [FIRST]);
    Ok(())
}

pub(super) async fn who_was_removed_is_told_and_joins_as_another(store: Arc<dyn Store>) -> Law {
    let roll = roll(&store)?;
    assert_eq!(roll.renew(FIRST, Revision::new(1)).await?, None);
    roll.join(FIRST, "first").await?;
    let seen = roll.members().await?;
    assert!(roll.remove(&seen[0]).await?);
    assert_eq!(roll.renew(FIRST, Revision::new(1)).await?, None);
    assert_eq!(roll.members().await?, [], "a renewal adds nobody");
    roll.join(SECOND, "first").await?;
    assert_eq!(roll.members().await?[0].acked, Revision::ZERO);
    Ok(())
}

pub(super) async fn the_roll_leaves_the_journal_alone(store: Arc<dyn Store>) -> Law {
    let head = store.head().await?;
    roll(&store)?.join(FIRST, "first").await?;
    renew(&store, FIRST, 1).await?;
    let seen = roll(&store)?.members().await?;
    roll(&store)?.remove(&seen[0]).await?;
    assert_eq!(store.head().await?, head);
    Ok(())
}

pub(super) async fn the_news_are_the_journal(store: Arc<dyn Store>) -> Law {
    for number in 1..=5 {
        write(&store, issue(token(number))).await?;
    }
    let all = all_entries(&store).await?;
    let roll = roll(&store)?;
    assert_eq!(roll.news(Revision::ZERO, 100).await?, all);
    assert_eq!(roll.news(Revision::new(2), 3).await?, all[2..5]);
    assert_eq!(roll.news(Revision::new(6), 3).await?, []);
    Ok(())
}
