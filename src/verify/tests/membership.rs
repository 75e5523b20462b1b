//! A verifier among others: nothing without a lease, and as fresh as asked for.

use std::sync::Arc;

use super::super::facts::Facts;
use super::super::samples::{CALLER, LONG, Scene, is_accepted, secret, usable};
use super::super::{Cache, Consistency, NotJudging, Stop, VerifyError};
use crate::journal::Revision;
use crate::journal::cursor::{Cursor, Epoch};
use crate::journal::samples::issue;
use crate::membership::{LeaseLost, Terms};
use crate::store::Store;
use crate::store::faulty::{Call, Fault};
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, change, found_notes, idle, write};
use crate::token::change::TokenChange;
use crate::token::samples::{instant, kept, namespace, token, withdrawal};
use crate::token::secret::Secret;
use crate::token::verdict::{Refusal, Verdict};

const LEASE_LOST: VerifyError = VerifyError::LeaseLost(LeaseLost);

fn is_lost(told: &Result<Verdict, VerifyError>) -> bool {
    matches!(told, Err(VerifyError::LeaseLost(LeaseLost)))
}

/// A member with the first token cached, whose renewals fail from now on.
async fn cut_off() -> Answer<Scene> {
    let scene = Scene::start_as_member().await?;
    scene.write(issue(usable(1))).await?;
    scene.write(issue(usable(2))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    idle().await;
    for n in 1..=1000 {
        scene.faulty.nth(n, Call::Renew, Fault::Before);
    }
    Ok(scene)
}

#[tokio::test(start_paused = true)]
async fn without_a_lease_nothing_is_judged() -> Answer<()> {
    let scene = cut_off().await?;
    scene.clock.advance(Terms::DEFAULT.lease / 2);
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    assert!(is_accepted(&scene.verdict(secret(2, 1)).await?));
    scene.clock.advance(Terms::DEFAULT.lease / 2);
    let queries = scene.queries();
    let garbage = || Secret::new("garbage".to_owned());
    for secret in [secret(1, 1), secret(3, 1), garbage()] {
        let told = scene.verdict(secret).await;
        assert!(is_lost(&told), "{told:?}");
    }
    let strong = scene.verdict_as(secret(1, 1), Consistency::Strong).await;
    assert!(is_lost(&strong), "{strong:?}");
    assert_eq!(
        scene.queries(),
        queries,
        "the store was read through without a lease"
    );
    assert_eq!(
        scene.verifier.standing().unwrap_err().to_string(),
        LEASE_LOST.to_string()
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ends_while_the_answer_is_built_takes_it_back() -> Answer<()> {
    let scene = cut_off().await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let judging = scene.judging(secret(2, 1));
    gate.arrived().await;
    scene.clock.advance(Terms::DEFAULT.lease);
    gate.open();
    let told = judging.await?;
    assert!(is_lost(&told), "{told:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_cut_off_catches_up_before_it_judges_again() -> Answer<()> {
    let scene = cut_off().await?;
    for n in 1..=1000 {
        scene.faulty.nth(n, Call::Entries, Fault::Before);
    }
    let revoked = TokenChange::Revoked(withdrawal(instant(1)));
    change(&scene.store, token(1).id, revoked).await?;
    scene.clock.advance(Terms::DEFAULT.lease);
    assert!(is_lost(&scene.verdict(secret(1, 1)).await));
    for call in [Call::Entries, Call::Renew] {
        scene.faulty.heal(call);
    }
    tokio::time::sleep(LONG).await;
    assert_eq!(
        scene.verdict(secret(1, 1)).await?,
        Verdict::Refused(Refusal::Revoked)
    );
    assert!(is_accepted(&scene.verdict(secret(2, 1)).await?));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_taken_off_the_roll_forgets_what_it_knew() -> Answer<()> {
    let scene = Scene::start_as_member().await?;
    scene.write(issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    let roll = scene.store.roll().ok_or("no roll")?;
    let first = roll.members().await?.remove(0);
    let queries = scene.queries();
    // Removed as it is now: a renewal may come between.
    while !roll.remove(&roll.members().await?[0].clone()).await? {}
    tokio::time::sleep(LONG).await;
    let again = roll.members().await?;
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].id, first.id);
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    assert_eq!(
        scene.queries(),
        queries + 1,
        "it was judged by what was cached before"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_applied_is_acknowledged_at_once() -> Answer<()> {
    let scene = Scene::start_as_member().await?;
    let entry = scene.write(issue(usable(1))).await?;
    idle().await;
    let roll = scene.store.roll().ok_or("no roll")?;
    assert_eq!(roll.members().await?[0].acked, entry.revision);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_end_leaves_the_roll() -> Answer<()> {
    let scene = Scene::start_as_member().await?;
    scene.end.cancel();
    scene.tasks.follower.await?;
    assert_eq!(scene.store.roll().ok_or("no roll")?.members().await?, []);
    assert!(matches!(
        scene.verifier.standing(),
        Err(NotJudging::Stopped(Stop::Ended))
    ));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn at_least_waits_for_the_change_and_says_so_when_it_does_not_come() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    let at_least = |revision| {
        Consistency::AtLeast(Cursor {
            epoch: EPOCH,
            revision: Revision::new(revision),
        })
    };
    assert!(is_accepted(&scene.verdict_as(secret(1, 1), at_least(2)).await?));
    let never = scene.verdict_as(secret(1, 1), at_least(9)).await;
    assert!(matches!(never, Err(VerifyError::Behind { .. })), "{never:?}");
    let gate = scene.faulty.hold(Call::Entries);
    let revoked = TokenChange::Revoked(withdrawal(instant(1)));
    let entry = change(&scene.store, token(1).id, revoked).await?;
    gate.arrived().await;
    assert!(
        is_accepted(&scene.verdict(secret(1, 1)).await?),
        "it is not in force yet"
    );
    let verifier = Arc::clone(&scene.verifier);
    let waiting = at_least(entry.revision.get());
    let judging = tokio::spawn(async move {
        let need = crate::token::verdict::Need::default();
        verifier.verify(secret(1, 1), &need, waiting, &CALLER).await
    });
    idle().await;
    assert!(!judging.is_finished());
    gate.open();
    assert_eq!(judging.await??.verdict, Verdict::Refused(Refusal::Revoked));
    let elsewhere = Consistency::AtLeast(Cursor {
        epoch: Epoch::new([9; 16]),
        revision: Revision::ZERO,
    });
    let other = scene.verdict_as(secret(1, 1), elsewhere).await;
    assert!(matches!(other, Err(VerifyError::OtherEpoch)), "{other:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn strong_sees_what_is_committed_and_not_yet_followed() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    let gate = scene.faulty.hold(Call::Entries);
    let revoked = TokenChange::Revoked(withdrawal(instant(1)));
    change(&scene.store, token(1).id, revoked).await?;
    gate.arrived().await;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    let strong = scene.verdict_as(secret(1, 1), Consistency::Strong).await?;
    assert_eq!(strong, Verdict::Refused(Refusal::Revoked));
    gate.open();
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_read_where_the_journal_is_shorter_is_neither_judged_by_nor_kept() -> Answer<()> {
    for consistency in [Consistency::Leased, Consistency::Strong] {
        let scene = Scene::start_as_member().await?;
        scene.write(issue(usable(1))).await?;
        scene.faulty.nth(1, Call::TokensByDigest, Fault::Rewinds);
        let told = scene.verdict_as(secret(1, 1), consistency).await;
        assert!(matches!(told, Err(VerifyError::Store(_))), "{told:?}");
        let queries = scene.queries();
        assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
        assert_eq!(scene.queries(), queries + 1, "it was kept");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_that_is_older_than_where_the_journal_began_to_be_followed() -> Answer<()> {
    let store = other_journal(EPOCH, 0, 3).await?;
    let cache = Cache::new(10.try_into()?);
    cache.follow_from(store.head().await?.revision);
    let old = Facts::of(&usable(1), None);
    let digest = old.secrets[0].digest;
    assert!(!cache.fill(digest, &old, Revision::new(3)));
    assert!(cache.fill(digest, &old, Revision::new(4)));
    Ok(())
}

/// A store whose journal has the namespace and so many tokens; `seed` tells journals apart.
async fn other_journal(epoch: Epoch, seed: u64, tokens: u64) -> Answer<Arc<dyn Store>> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(epoch));
    found_notes(&store).await?;
    for number in 0..tokens {
        write(&store, issue(token(seed + number))).await?;
    }
    Ok(store)
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lost_or_changed_what_was_followed_is_judged_by_no_more() -> Answer<()> {
    let other_epoch = Epoch::new([9; 16]);
    for (what, epoch, tokens, told) in [
        ("restored from a backup", EPOCH, 0, "its head is 1"),
        ("another history of the same length", EPOCH, 1, "another link"),
        ("another history that went on", EPOCH, 2, "does not continue"),
        ("another epoch", other_epoch, 1, "another epoch"),
    ] {
        let scene = Scene::start().await?;
        scene.write(issue(usable(1))).await?;
        assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
        idle().await;
        scene.faulty.replace(other_journal(epoch, 100, tokens).await?);
        tokio::time::sleep(LONG).await;
        match scene.verdict(secret(1, 1)).await {
            Err(VerifyError::Stopped(stop @ Stop::Forked { .. })) => {
                assert!(stop.to_string().contains(told), "{what}: {stop}");
            }
            verdict => return Err(format!("{what}: {verdict:?}").into()),
        }
        // It stays like that, whatever comes.
        scene.faulty.replace(Arc::clone(&scene.store));
        tokio::time::sleep(LONG).await;
        assert!(scene.verdict(secret(1, 1)).await.is_err(), "{what}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_acknowledged_like_a_revocation() -> Answer<()> {
    let scene = Scene::start_as_member().await?;
    scene.write(issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    let rotated = TokenChange::Rotated {
        secret: kept(1, 2, instant(0)),
        retire_time: Some(instant(0)),
        beside: None,
        ends: None,
        by_default: false,
    };
    let entry = change(&scene.store, token(1).id, rotated).await?;
    idle().await;
    let roll = scene.store.roll().ok_or("no roll")?;
    assert_eq!(roll.members().await?[0].acked, entry.revision);
    let verdict = scene.verdict(secret(1, 1)).await?;
    assert_eq!(verdict, Verdict::Refused(Refusal::SecretRetired));
    assert_eq!(
        namespace("notes", "kn_").slug,
        scene
            .verifier
            .directory()
            .get(&token(1).namespace)
            .ok_or("no namespace")?
            .slug
    );
    Ok(())
}
