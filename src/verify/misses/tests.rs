//! Look-ups share queries, and the trouble of one is not that of the next.

use super::*;
use crate::journal::samples::issue;
use crate::store::faulty::{Call, Fault};
use crate::store::samples::{Answer, idle};
use crate::token::verdict::{Refusal, Verdict};
use crate::verify::samples::{LONG, Scene, is_accepted, secret, usable};

#[tokio::test(start_paused = true)]
async fn all_that_wait_share_one_query() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let first = scene.judging(secret(1, 1));
    gate.arrived().await;
    let rest: Vec<_> = (0..BATCH_MAX).map(|_| scene.judging(secret(1, 1))).collect();
    idle().await;
    gate.open();
    for judging in [first].into_iter().chain(rest) {
        assert!(is_accepted(&judging.await??));
    }
    assert_eq!(scene.queries(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn in_a_shared_query_each_gets_its_own_answer() -> Answer<()> {
    const TOKENS: u64 = 100;
    let scene = Scene::start().await?;
    for number in 0..TOKENS {
        // Every third was never issued, every third is revoked.
        if number % 3 != 0 {
            scene.write(issue(usable(number))).await?;
        }
        if number % 3 == 1 {
            scene.revoke(number).await?;
        }
    }
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let first = scene.judging(secret(TOKENS, 1));
    gate.arrived().await;
    let rest: Vec<_> = (0..TOKENS)
        .map(|number| scene.judging(secret(number, 1)))
        .collect();
    idle().await;
    gate.open();
    assert_eq!(first.await??, Verdict::Refused(Refusal::Unknown));
    for (number, judging) in rest.into_iter().enumerate() {
        let verdict = judging.await??;
        match number % 3 {
            0 => assert_eq!(verdict, Verdict::Refused(Refusal::Unknown), "{number}"),
            1 => assert_eq!(verdict, Verdict::Refused(Refusal::Revoked), "{number}"),
            _ => assert!(is_accepted(&verdict), "{number}: {verdict:?}"),
        }
    }
    assert_eq!(scene.queries(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_to_all_who_wait_and_forgotten() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    scene.faulty.nth(2, Call::TokensByDigest, Fault::Before);
    let first = scene.judging(secret(2, 1));
    gate.arrived().await;
    let rest: Vec<_> = [1, 1, 2, 3].map(|number| scene.judging(secret(number, 1))).into();
    idle().await;
    gate.open();
    assert_eq!(first.await??, Verdict::Refused(Refusal::Unknown));
    for judging in rest {
        let told = judging.await?;
        assert!(
            matches!(told, Err(VerifyError::Store(StoreError::Unavailable(_)))),
            "{told:?}"
        );
    }
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    assert_eq!(scene.queries(), 3);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_store_accepts_nobody() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    scene.faulty.nth(1, Call::TokensByDigest, Fault::Corrupt);
    let told = scene.verdict(secret(1, 1)).await;
    assert!(matches!(told, Err(VerifyError::Store(_))), "{told:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_leaves_takes_nobody_along() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let first = scene.judging(secret(1, 1));
    gate.arrived().await;
    let leaving = scene.judging(secret(1, 1));
    let staying = scene.judging(secret(1, 1));
    idle().await;
    first.abort();
    leaving.abort();
    idle().await;
    gate.open();
    assert!(is_accepted(&staying.await??));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_look_up_too_many_is_refused_and_the_others_are_answered() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let first = scene.judging(secret(1, 1));
    gate.arrived().await;
    let rest: Vec<_> = (0..QUEUE_MAX).map(|_| scene.judging(secret(1, 1))).collect();
    idle().await;
    let refused = tokio::time::timeout(LONG, scene.verdict(secret(1, 1))).await?;
    assert!(matches!(refused, Err(VerifyError::Overloaded)), "{refused:?}");
    gate.open();
    for judging in [first].into_iter().chain(rest) {
        assert!(is_accepted(&judging.await??));
    }
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    Ok(())
}
