//! What was imported is tried once, away from others, within bounds; and then judged like all else.

use std::sync::Arc;

use super::*;
use crate::journal::Draft;
use crate::journal::samples::{import, origin};
use crate::store::faulty::Call;
use crate::store::samples::{Answer, idle};
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::format::Body;
use crate::token::samples::{imported, imported_text, instant, namespace, pepper, slug, token, withdrawal};
use crate::token::secret::PepperId;
use crate::token::standing::SubjectChange;
use crate::token::verdict::{Refusal, Verdict};
use crate::verify::samples::{Scene, is_accepted};
use crate::verify::{Consistency, MISSES};

fn text(number: u64) -> Secret {
    Secret::new(imported_text(number, "kt_a"))
}

/// The token of this number, in a namespace whose texts others can make.
fn of_tasks(number: u64) -> Token {
    Token {
        namespace: slug("tasks"),
        ..imported(number, "kt_a")
    }
}

/// With the namespace `tasks`, and so many tokens in it that begin alike.
async fn scene(tokens: u64) -> Answer<Scene> {
    let scene = Scene::start().await?;
    let mut tasks = namespace("tasks", "kt_");
    tasks.format.body = Body::hex(40)?;
    let newest = scene.store.directory().await?.version;
    scene
        .write(Draft::of_new_namespace(origin(), newest, tasks))
        .await?;
    for number in 0..tokens {
        scene.write(import(of_tasks(number))).await?;
    }
    Ok(scene)
}

#[tokio::test]
async fn an_imported_secret_is_accepted_unchanged_and_tried_once() -> Answer<()> {
    let mut scene = scene(3).await?;
    let judged = scene.judge(text(1)).await?;
    assert!(is_accepted(&judged.verdict));
    assert_eq!(judged.token.as_deref(), Some(&of_tasks(1)));
    let asked = scene.redigests.try_recv()?;
    let wanted = (of_tasks(1).id, 1, pepper(7).digest(&text(1)), PepperId(1));
    assert_eq!(
        (asked.token_id, asked.version, asked.digest, asked.pepper),
        wanted
    );
    // Not even looked up again, so not tried either.
    let queries = scene.queries();
    assert!(is_accepted(&scene.verdict(text(1)).await?));
    assert_eq!(scene.queries(), queries);
    // Looked up, but found by what it is known to be kept as.
    let strong = scene.verdict_as(text(1), Consistency::Strong).await?;
    assert!(is_accepted(&strong));
    Ok(())
}

#[tokio::test]
async fn redigested_it_is_one_like_any_other() -> Answer<()> {
    let mut scene = scene(1).await?;
    assert!(is_accepted(&scene.verdict(text(0)).await?));
    let asked = scene.redigests.try_recv()?;
    let redigested = TokenChange::Redigested {
        version: asked.version,
        digest: asked.digest,
        pepper: asked.pepper,
    };
    scene.change(0, redigested).await?;
    let judged = scene.judge(text(0)).await?;
    assert!(is_accepted(&judged.verdict));
    let kept = judged
        .token
        .map(|token| token.secrets.clone())
        .unwrap_or_default();
    assert_eq!((kept[0].digest, &kept[0].phc), (asked.digest, &None));
    assert!(scene.redigests.try_recv().is_err(), "asked for again");
    let look = scene
        .store
        .look_up(Vec::new(), vec![kept[0].hint.clone()])
        .await?;
    assert_eq!(look.to_try, []);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_wrong_before_it_is_tried_and_after() -> Answer<()> {
    let scene = scene(3).await?;
    assert!(is_accepted(&scene.verdict(text(0)).await?));
    for number in [0, 1] {
        scene.revoke(number).await?;
        let verdict = scene.verdict(text(number)).await?;
        assert_eq!(verdict, Verdict::Refused(Refusal::Revoked));
    }
    scene
        .change(2, TokenChange::Suspended(withdrawal(instant(1))))
        .await?;
    assert_eq!(
        scene.verdict(text(2)).await?,
        Verdict::Refused(Refusal::Suspended)
    );
    scene.change(2, TokenChange::Resumed).await?;
    assert!(is_accepted(&scene.verdict(text(2)).await?));
    let expired = Token {
        expire_time: Some(instant(0)),
        ..of_tasks(9)
    };
    scene.write(import(expired)).await?;
    assert_eq!(scene.verdict(text(9)).await?, Verdict::Refused(Refusal::Expired));
    Ok(())
}

/// What was read before a revocation that was applied meanwhile must not be judged by, let alone kept.
#[tokio::test]
async fn a_revocation_while_it_is_tried_is_seen() -> Answer<()> {
    let scene = scene(1).await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let judging = scene.judging(text(0));
    gate.arrived().await;
    scene.revoke(0).await?;
    gate.open();
    assert_eq!(judging.await??, Verdict::Refused(Refusal::Revoked));
    assert_eq!(scene.verdict(text(0)).await?, Verdict::Refused(Refusal::Revoked));
    Ok(())
}

/// The same of what is said of its subject.
#[tokio::test]
async fn a_suspension_of_its_subject_while_it_is_tried_is_seen() -> Answer<()> {
    let scene = scene(1).await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let judging = scene.judging(text(0));
    gate.arrived().await;
    let subject = (slug("tasks"), of_tasks(0).subject);
    let suspended = SubjectChange::Suspended(withdrawal(instant(1)));
    scene
        .write(Draft::of_subject(origin(), None, subject, suspended)?)
        .await?;
    gate.open();
    assert_eq!(judging.await??, Verdict::Refused(Refusal::Suspended));
    assert_eq!(
        scene.verdict(text(0)).await?,
        Verdict::Refused(Refusal::Suspended)
    );
    Ok(())
}

/// And of what is said of its namespace.
#[tokio::test]
async fn a_revocation_of_its_namespace_while_it_is_tried_is_seen() -> Answer<()> {
    let scene = scene(1).await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let judging = scene.judging(text(0));
    gate.arrived().await;
    let directory = scene.store.directory().await?;
    let tasks = directory.record.get(&slug("tasks")).ok_or("it is there")?;
    let revoked = Namespace {
        not_before: Some(withdrawal(instant(1))),
        ..Namespace::clone(tasks)
    };
    scene
        .write(Draft::of_revoked_namespace(origin(), directory.version, revoked))
        .await?;
    gate.open();
    assert_eq!(judging.await??, Verdict::Refused(Refusal::Revoked));
    Ok(())
}

#[tokio::test]
async fn who_guesses_pays_for_it_and_who_knows_does_not() -> Answer<()> {
    let scene = scene(1).await?;
    let burst = u64::from(MISSES.burst.get());
    for number in 0..burst {
        assert!(is_accepted(&scene.verdict(text(0)).await?));
        let verdict = scene.verdict(text(number + 1)).await?;
        assert_eq!(verdict, Verdict::Refused(Refusal::Unknown), "{number}");
    }
    let beyond = scene.verdict(text(burst + 1)).await;
    assert!(
        matches!(beyond, Err(VerifyError::MissesExhausted { .. })),
        "{beyond:?}"
    );
    assert!(is_accepted(&scene.verdict(text(0)).await?));
    Ok(())
}

/// Asks in a task of its own.
fn finding(
    trials: &Arc<Trials>,
    number: u64,
    caller: &'static str,
) -> tokio::task::JoinHandle<Result<Option<Digest>, VerifyError>> {
    let trials = Arc::clone(trials);
    let candidates = of_tasks(number % 2).secrets;
    let candidates = candidates
        .iter()
        .map(|kept| Some((kept.digest, kept.phc.clone()?)));
    let candidates: Option<Vec<_>> = candidates.collect();
    tokio::spawn(async move {
        let digest = pepper(7).digest(&text(number));
        trials
            .find(text(number), digest, candidates.unwrap_or_default(), caller)
            .await
    })
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_for_few_and_all_for_not_many_more() -> Answer<()> {
    let (trials, queued) = Trials::new();
    let trials = Arc::new(trials);
    let callers = ["a", "b", "c", "d"];
    let mut waiting = Vec::new();
    for (place, caller) in callers.into_iter().enumerate() {
        for number in 0..OF_CALLER_MAX {
            waiting.push(finding(&trials, (place * OF_CALLER_MAX + number) as u64, caller));
        }
    }
    idle().await;
    let busy = finding(&trials, 1000, "a").await?;
    assert!(matches!(busy, Err(VerifyError::CallerBusy)), "{busy:?}");
    let full = finding(&trials, 1001, "e").await?;
    assert!(matches!(full, Err(VerifyError::Overloaded)), "{full:?}");
    // Who waits for what another has asked needs no place.
    waiting.push(finding(&trials, 0, "e"));
    idle().await;
    // One caller leaves: of theirs nothing is tried any more.
    for left in waiting.drain(OF_CALLER_MAX..OF_CALLER_MAX * 2) {
        left.abort();
    }
    idle().await;
    let state = Arc::clone(&trials.waiting);
    let thread = thread::spawn(move || run(&Mutex::new(queued), &state));
    let found: Vec<_> = {
        let mut found = Vec::new();
        for waited in waiting {
            found.push(waited.await??);
        }
        found
    };
    // Only the first two of the texts are those of tokens.
    assert_eq!(found.iter().flatten().count(), 3);
    assert_eq!(found.last(), Some(&Some(of_tasks(0).secrets[0].digest)));
    assert_eq!(
        trials.known(&pepper(7).digest(&text(0))),
        *found.last().ok_or("none")?
    );
    assert_eq!(trials.known(&pepper(7).digest(&text(2))), None);
    let state = Arc::clone(&trials.waiting);
    drop(trials);
    thread.join().map_err(|_| "the thread panicked")?;
    assert!(state.state().answers.is_empty() && state.state().of_caller.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_text_of_another_namespace_or_of_none_that_was_imported_is_unknown() -> Answer<()> {
    let scene = scene(0).await?;
    // The row says that it is of another namespace than its beginning does.
    scene.write(import(imported(5, "kt_a"))).await?;
    assert_eq!(token(5).namespace, slug("notes"));
    assert_eq!(scene.verdict(text(5)).await?, Verdict::Refused(Refusal::Unknown));
    let other = Secret::new(imported_text(5, "kt_b"));
    assert_eq!(scene.verdict(other).await?, Verdict::Refused(Refusal::Unknown));
    Ok(())
}
