//! Look-ups share queries, and the trouble of one is not that of the next.

use tokio::task::JoinHandle;

use super::*;
use crate::journal::samples::issue;
use crate::store::faulty::{Call, Fault};
use crate::store::samples::{Answer, idle};
use crate::token::verdict::{Refusal, Verdict};
use crate::verify::Consistency;
use crate::verify::budget::MISSES;
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
    // No caller may have them all.
    let callers = (0..QUEUE_MAX).map(|number| Arc::from(format!("caller {}", number / OF_CALLER_MAX)));
    let rest: Vec<_> = callers
        .map(|caller| scene.judging_for(caller, secret(1, 1)))
        .collect();
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

#[tokio::test(start_paused = true)]
async fn who_asks_in_vain_runs_out_and_the_others_do_not() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    scene.write(issue(usable(2))).await?;
    let guesser: Arc<str> = Arc::from("guesser");
    let guess = |number| scene.judging_for(Arc::clone(&guesser), secret(number, 1));
    let burst = u64::from(MISSES.burst.get());
    for number in 10..10 + burst {
        assert_eq!(guess(number).await??, Verdict::Refused(Refusal::Unknown));
    }
    let queries = scene.queries();
    for number in [3, 1] {
        let refused = guess(number).await?;
        assert!(
            matches!(refused, Err(VerifyError::MissesExhausted { wait }) if !wait.is_zero()),
            "{refused:?}"
        );
    }
    assert_eq!(scene.queries(), queries);
    assert_eq!(scene.verifier.look_ups_refused(), 2);
    // What another one has had looked up is in memory for all.
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    assert!(is_accepted(&guess(1).await??));
    scene
        .clock
        .advance(std::time::Duration::from_secs(1) / MISSES.rate.get());
    assert!(is_accepted(&guess(2).await??));
    // It was found, so it cost nothing.
    assert_eq!(guess(3).await??, Verdict::Refused(Refusal::Unknown));
    assert!(guess(4).await?.is_err());
    Ok(())
}

/// Nor does it pay for what the store could not answer.
#[tokio::test(start_paused = true)]
async fn a_caller_with_a_cold_cache_pays_nothing() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    for number in 0..u64::from(MISSES.burst.get()) + 10 {
        let fails = number % 2 == 0;
        if fails {
            scene.faulty.nth(1, Call::TokensByDigest, Fault::Before);
        }
        let judged = scene.verdict_as(secret(1, 1), Consistency::Strong).await;
        match judged {
            Ok(verdict) => assert!(!fails && is_accepted(&verdict), "{number}"),
            Err(error) => assert!(
                fails && matches!(error, VerifyError::Store(_)),
                "{number}: {error}"
            ),
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_leaves_keeps_the_place_until_it_was_looked_up() -> Answer<()> {
    let scene = Scene::start().await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let first = scene.judging(secret(1, 1));
    gate.arrived().await;
    let eager: Arc<str> = Arc::from("eager");
    for _ in 0..2 {
        let leaving: Vec<_> = (0..OF_CALLER_MAX)
            .map(|_| scene.judging_for(Arc::clone(&eager), secret(2, 1)))
            .collect();
        idle().await;
        leaving.iter().for_each(JoinHandle::abort);
        idle().await;
    }
    let refused = scene.judging_for(eager, secret(3, 1)).await?;
    assert!(matches!(refused, Err(VerifyError::CallerBusy)), "{refused:?}");
    // The others have the rest of the queue.
    let other = scene.judging(secret(4, 1));
    idle().await;
    gate.open();
    assert_eq!(first.await??, Verdict::Refused(Refusal::Unknown));
    assert_eq!(other.await??, Verdict::Refused(Refusal::Unknown));
    Ok(())
}
