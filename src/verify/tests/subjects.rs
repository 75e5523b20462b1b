//! What is said of a subject or a namespace is in force for every token of theirs, cached or not.

use super::*;
use crate::journal::Stored;
use crate::token::samples::subject;
use crate::token::standing::{Standing, SubjectChange};

/// The token of this number, of this subject, issued at this instant.
fn of(name: &str, number: u64, issued: i64) -> Token {
    Token {
        subject: subject(name),
        create_time: instant(issued),
        ..usable(number)
    }
}

async fn said(scene: &Scene, name: &str) -> Answer<Option<Stored<Standing>>> {
    Ok(scene
        .store
        .standings(slug("notes"), vec![subject(name)])
        .await?
        .remove(0))
}

async fn draft(scene: &Scene, name: &str, change: SubjectChange) -> Answer<Draft> {
    let before = said(scene, name).await?;
    let name = (slug("notes"), subject(name));
    Ok(Draft::of_subject(origin(), before.as_ref(), name, change)?)
}

/// Says something of a subject, and returns once that is in force here.
async fn say(scene: &Scene, name: &str, change: SubjectChange) -> Answer<()> {
    let draft = draft(scene, name, change).await?;
    scene.write(draft).await?;
    Ok(())
}

async fn revoke_namespace(scene: &Scene, up_to: i64) -> Answer<Draft> {
    let newest = scene.store.directory().await?.version;
    let revoked = Namespace {
        not_before: Some(withdrawal(instant(up_to))),
        ..namespace("notes", "kn_")
    };
    Ok(Draft::of_revoked_namespace(origin(), newest, revoked))
}

fn suspended() -> SubjectChange {
    SubjectChange::Suspended(withdrawal(instant(1)))
}

fn revoked_up_to(instant_of: i64) -> SubjectChange {
    SubjectChange::IssuedRevoked(withdrawal(instant(instant_of)))
}

const SUSPENDED: Verdict = Verdict::Refused(Refusal::Suspended);

#[tokio::test(start_paused = true)]
async fn a_subject_is_in_force_for_all_its_tokens_and_no_others() -> Answer<()> {
    let scene = Scene::start().await?;
    for token in [of("ann", 1, 0), of("ann", 2, 5), of("bob", 3, 0)] {
        scene.write(issue(token)).await?;
    }
    let verdicts = async |wanted: [Option<Verdict>; 3]| -> Answer<()> {
        // Twice: from the store, and from the cache.
        for _ in 0..2 {
            for (number, wanted) in (1..).zip(&wanted) {
                let verdict = scene.verdict(secret(number, 1)).await?;
                match wanted {
                    Some(wanted) => assert_eq!(verdict, *wanted, "{number}"),
                    None => assert!(is_accepted(&verdict), "{number}: {verdict:?}"),
                }
            }
        }
        Ok(())
    };
    verdicts([None, None, None]).await?;
    say(&scene, "ann", suspended()).await?;
    verdicts([Some(SUSPENDED), Some(SUSPENDED), None]).await?;
    // For ever wins over for now.
    say(&scene, "ann", revoked_up_to(4)).await?;
    verdicts([Some(REVOKED), Some(SUSPENDED), None]).await?;
    say(&scene, "ann", SubjectChange::Resumed).await?;
    verdicts([Some(REVOKED), None, None]).await?;
    let draft = revoke_namespace(&scene, 4).await?;
    scene.write(draft).await?;
    verdicts([Some(REVOKED), None, Some(REVOKED)]).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_change_to_a_subject_costs_its_tokens_one_look_up_each_and_the_others_none() -> Answer<()> {
    let scene = Scene::start().await?;
    for token in [of("ann", 1, 0), of("ann", 2, 0), of("bob", 3, 0)] {
        scene.write(issue(token)).await?;
    }
    let judge_all = async || -> Answer<usize> {
        let before = scene.queries();
        for number in [1, 2, 3, 1, 2, 3] {
            scene.verdict(secret(number, 1)).await?;
        }
        Ok(scene.queries() - before)
    };
    assert_eq!(judge_all().await?, 3);
    assert_eq!(judge_all().await?, 0);
    say(&scene, "ann", suspended()).await?;
    assert_eq!(judge_all().await?, 2);
    assert_eq!(judge_all().await?, 0);
    // To hit what a namespace has revoked nothing needs to be read.
    let draft = revoke_namespace(&scene, 9).await?;
    scene.write(draft).await?;
    assert_eq!(judge_all().await?, 0);
    Ok(())
}

/// Read valid, suspended, nothing evicted, kept as valid: accepted for ever.
#[tokio::test(start_paused = true)]
async fn what_was_read_before_its_subject_changed_is_no_hit_when_it_is_kept_after() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(of("ann", 1, 0))).await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let judging = scene.judging(secret(1, 1));
    gate.arrived().await;
    say(&scene, "ann", suspended()).await?;
    gate.open();
    // It began before; what comes after does not go by what it has read.
    judging.await??;
    assert_eq!(scene.verdict(secret(1, 1)).await?, SUSPENDED);
    assert_eq!(scene.verdict(secret(1, 1)).await?, SUSPENDED);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn strong_sees_what_is_said_of_a_subject_or_a_namespace_and_not_yet_followed() -> Answer<()> {
    for whole in [false, true] {
        let scene = Scene::start().await?;
        scene.write(issue(of("ann", 1, 0))).await?;
        assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
        let gate = scene.faulty.hold(Call::Entries);
        let change = if whole {
            revoke_namespace(&scene, 0).await?
        } else {
            draft(&scene, "ann", revoked_up_to(0)).await?
        };
        write(&scene.store, change).await?;
        gate.arrived().await;
        assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
        assert_eq!(
            scene.verdict_as(secret(1, 1), Consistency::Strong).await?,
            REVOKED
        );
        gate.open();
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn whoever_was_recognised_is_not_any_more_when_their_subject_or_namespace_is_withdrawn() -> Answer<()> {
    for whole in [false, true] {
        let scene = Scene::start().await?;
        scene.write(issue(of("ann", 1, 0))).await?;
        let judged = scene.judge(secret(1, 1)).await?;
        let token = judged.token.ok_or("no token")?;
        assert!(scene.verifier.is_still_good(&token, 1, &CALLER).await?);
        let change = if whole {
            revoke_namespace(&scene, 0).await?
        } else {
            draft(&scene, "ann", suspended()).await?
        };
        scene.write(change).await?;
        assert!(!scene.verifier.is_still_good(&token, 1, &CALLER).await?);
        if !whole {
            say(&scene, "ann", SubjectChange::Resumed).await?;
            assert!(scene.verifier.is_still_good(&token, 1, &CALLER).await?);
        }
    }
    Ok(())
}
