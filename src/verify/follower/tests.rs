//! Following the journal: whatever happens on the way, what is applied is the journal, or nothing is judged.

use std::time::Duration;

use super::*;
use crate::journal::Draft;
use crate::journal::samples::{issue, origin};
use crate::membership::Terms;
use crate::store::faulty::{Call, Fault, Gate};
use crate::store::samples::{Answer, change, idle, write};
use crate::token::change::TokenChange;
use crate::token::samples::{chance, instant, namespace, pepper, token, withdrawal};
use crate::token::verdict::{Need, Refusal, Verdict};
use crate::verify::samples::{CALLER, LONG, Scene, is_accepted, secret, usable};
use crate::verify::{Consistency, NotYetApplied, VerifyError};

const HEARTBEAT: Duration = Terms::DEFAULT.heartbeat;

/// Asserts that the journal is followed no further, and that nothing is judged any more: neither what
/// is cached nor what the store holds.
async fn assert_stopped(scene: &Scene) -> Answer<()> {
    for number in [1, 2, 3] {
        let told = scene.verdict(secret(number, 1)).await;
        assert!(matches!(told, Err(VerifyError::Stopped(_))), "{number}: {told:?}");
    }
    let entry = write(&scene.store, issue(usable(9))).await?;
    let waited = scene.verifier.applied(entry.revision, LONG).await;
    assert_eq!(waited, Err(NotYetApplied { waited: LONG }));
    // What was applied before it stopped is confirmed no more either.
    let waited = scene.verifier.applied(Revision::new(1), LONG).await;
    assert_eq!(waited, Err(NotYetApplied { waited: LONG }));
    Ok(())
}

/// A scene in which the first token is cached, and two further drafts are committed at once.
async fn with_news(fault: Fault) -> Answer<Scene> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    idle().await;
    scene.faulty.nth(1, Call::Entries, fault);
    scene
        .store
        .commit(vec![issue(usable(2)), issue(usable(3))])
        .await?;
    idle().await;
    Ok(scene)
}

#[tokio::test(start_paused = true)]
async fn a_gap_ends_all_judging() -> Answer<()> {
    let scene = with_news(Fault::Skips).await?;
    assert_stopped(&scene).await
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_goes_back_ends_all_judging() -> Answer<()> {
    let scene = with_news(Fault::Rewinds).await?;
    assert_stopped(&scene).await
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_journal_ends_all_judging() -> Answer<()> {
    let scene = with_news(Fault::Corrupt).await?;
    assert_stopped(&scene).await
}

#[tokio::test(start_paused = true)]
async fn entries_trimmed_before_they_were_applied_end_all_judging() -> Answer<()> {
    let gate = Gate::default();
    let scene = with_news(Fault::Held(gate.clone())).await?;
    scene
        .store
        .commit(vec![issue(usable(4)), issue(usable(5)), issue(usable(6))])
        .await?;
    // The answer that is held ends with revision 4.
    scene.store.trim(Revision::new(5)).await?;
    gate.open();
    idle().await;
    assert_stopped(&scene).await
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_is_lost_ends_all_judging() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    scene.tasks.follower.abort();
    idle().await;
    assert!(scene.stopped());
    assert_stopped(&scene).await
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_is_followed_again() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    idle().await;
    for n in 1..=5 {
        scene.faulty.nth(n, Call::Entries, Fault::Before);
    }
    let revoked = TokenChange::Revoked(withdrawal(instant(1)));
    let entry = change(&scene.store, token(1).id, revoked).await?;
    idle().await;
    // Not confirmed, and still judged by what was known.
    assert!(!scene.has_applied(entry.revision) && !scene.stopped());
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    scene.verifier.applied(entry.revision, LONG).await?;
    assert_eq!(
        scene.verdict(secret(1, 1)).await?,
        Verdict::Refused(Refusal::Revoked)
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn without_a_hint_the_journal_is_read_all_the_same() -> Answer<()> {
    let scene = Scene::start_without_hints().await?;
    let issued = scene.write(issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    let revoked = TokenChange::Revoked(withdrawal(instant(1)));
    let entry = change(&scene.store, token(1).id, revoked).await?;
    idle().await;
    assert!(scene.has_applied(issued.revision) && !scene.has_applied(entry.revision));
    scene.verifier.applied(entry.revision, HEARTBEAT * 2).await?;
    assert_eq!(
        scene.verdict(secret(1, 1)).await?,
        Verdict::Refused(Refusal::Revoked)
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_followed_at_once() -> Answer<()> {
    let scene = Scene::start().await?;
    idle().await;
    let entry = write(&scene.store, issue(usable(1))).await?;
    idle().await;
    assert!(scene.has_applied(entry.revision));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_many_pages_is_read_without_a_pause() -> Answer<()> {
    let scene = Scene::start_without_hints().await?;
    idle().await;
    let backlog = u64::from(PAGE) * 2 + 1;
    let drafts: Vec<_> = (0..backlog).map(|number| issue(token(number))).collect();
    scene.store.commit(drafts).await?;
    let head = scene.store.head().await?.revision;
    scene.verifier.applied(head, HEARTBEAT + HEARTBEAT / 2).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_tokens_of_a_new_namespace_are_judged_once_it_is_applied() -> Answer<()> {
    let scene = Scene::start().await?;
    let tasks = namespace("tasks", "kt_");
    let secret = || tasks.format.mint(&pepper(7), &mut chance(1));
    let malformed = Verdict::Refused(Refusal::Malformed);
    assert_eq!(scene.verdict(secret()).await?, malformed);
    let created = Draft::of_new_namespace(origin(), Revision::new(1), tasks.clone());
    scene.write(created).await?;
    assert_eq!(scene.verdict(secret()).await?, Verdict::Refused(Refusal::Unknown));
    assert_eq!(
        scene
            .verifier
            .directory()
            .get(&tasks.slug)
            .map(|found| (**found).clone()),
        Some(tasks)
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_changed_is_known_by_its_new_name() -> Answer<()> {
    let scene = Scene::start().await?;
    let mut notes = namespace("notes", "kn_");
    notes.display_name = crate::token::samples::name("Journals");
    let updated = Draft::of_namespace(origin(), Revision::new(1), notes.clone());
    scene.write(updated).await?;
    let directory = scene.verifier.directory();
    assert_eq!(
        directory.get(&notes.slug).map(|found| (**found).clone()),
        Some(notes)
    );
    assert_eq!(directory.len(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_not_applied_in_time_is_said_to_be_not_yet() -> Answer<()> {
    let scene = Scene::start().await?;
    let next = Revision::new(2);
    let waited = scene.verifier.applied(next, LONG).await;
    assert_eq!(waited, Err(NotYetApplied { waited: LONG }));
    scene.write(issue(usable(1))).await?;
    assert_eq!(scene.verifier.applied(next, Duration::ZERO).await, Ok(()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_revision_is_woken_by_it() -> Answer<()> {
    let scene = Scene::start().await?;
    let verifier = Arc::clone(&scene.verifier);
    let waiting = tokio::spawn(async move { verifier.applied(Revision::new(3), LONG).await });
    idle().await;
    write(&scene.store, issue(usable(1))).await?;
    idle().await;
    assert!(!waiting.is_finished());
    write(&scene.store, issue(usable(2))).await?;
    idle().await;
    assert!(waiting.is_finished());
    waiting.await??;
    let need = Need::default();
    let judged = scene
        .verifier
        .verify(secret(2, 1), &need, Consistency::Leased, &CALLER)
        .await?;
    assert!(is_accepted(&judged.verdict));
    Ok(())
}
