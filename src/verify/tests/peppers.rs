//! Secrets that are kept under another pepper than the current one.

use super::*;
use crate::token::secret::{Pepper, PepperId, Peppers};
use crate::verify::facts::Facts;

/// The pepper that all samples are kept under, and a second one.
fn peppers(current: u16) -> Peppers {
    let tag_key = pepper(7).current().tag_key();
    let first = Pepper::new(PepperId(1), &[7; Pepper::KEY_BYTES]);
    let second = Pepper::new(PepperId(2), &[9; Pepper::KEY_BYTES]);
    match current {
        1 => Peppers::new(first, Some(second), &tag_key),
        _ => Peppers::new(second, Some(first), &tag_key),
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_the_previous_pepper_is_accepted_and_handed_on() -> Answer<()> {
    let mut scene = Scene::start_with(peppers(2)).await?;
    scene.write(issue(usable(1))).await?;
    // The second time from the cache, when nobody has taken what was handed on.
    for _ in 0..2 {
        assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    }
    assert_eq!(scene.queries(), 1);
    let asked = scene.redigests.try_recv()?;
    let wanted = Redigest {
        token_id: usable(1).id,
        version: 1,
        digest: peppers(2).digest(&secret(1, 1)),
        pepper: PepperId(2),
    };
    assert_eq!(asked, wanted);
    assert!(scene.redigests.try_recv().is_err(), "there was room for one");
    // A hit asks again: the first one may have failed.
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    assert_eq!(scene.redigests.try_recv()?, wanted);

    let redigested = TokenChange::Redigested {
        version: 1,
        digest: wanted.digest,
        pepper: wanted.pepper,
    };
    scene.change(1, redigested).await?;
    for _ in 0..2 {
        assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    }
    assert_eq!(scene.queries(), 2);
    assert!(scene.redigests.try_recv().is_err());
    assert!(is_accepted(
        &scene.verdict_as(secret(1, 1), Consistency::Strong).await?
    ));
    scene.revoke(1).await?;
    assert_eq!(scene.verdict(secret(1, 1)).await?, REVOKED);
    Ok(())
}

/// The cache may have forgotten the way from the new digest, and not the one from the old.
#[tokio::test(start_paused = true)]
async fn a_token_in_the_cache_is_not_judged_by_a_digest_it_had_before() -> Answer<()> {
    let scene = Scene::start_with(peppers(2)).await?;
    scene.write(issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    let redigested = TokenChange::Redigested {
        version: 1,
        digest: peppers(2).digest(&secret(1, 1)),
        pepper: PepperId(2),
    };
    let entry = scene.change(1, redigested).await?;
    let token = Facts::of(&read(&scene.store, usable(1).id).await?.record, None);
    // Filled by way of another of its digests.
    assert!(
        scene
            .verifier
            .known
            .cache
            .fill(kept_of(1, 2, instant(0)).digest, &token, entry.revision)
    );
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_pepper_that_is_yet_to_become_current_is_accepted_and_left_alone() -> Answer<()> {
    let mut scene = Scene::start_with(peppers(1)).await?;
    let mut ahead = usable(1);
    ahead.secrets[0].digest = peppers(2).digest(&secret(1, 1));
    ahead.secrets[0].pepper = PepperId(2);
    scene.write(issue(ahead)).await?;
    scene.write(issue(usable(2))).await?;
    for number in [1, 2] {
        assert!(is_accepted(&scene.verdict(secret(number, 1)).await?));
    }
    assert!(scene.redigests.try_recv().is_err());
    Ok(())
}

/// It was recognised by the one digest, and is kept as the other by the time it is asked for again.
#[tokio::test(start_paused = true)]
async fn a_caller_whose_secret_is_redigested_meanwhile_is_still_good_until_it_is_withdrawn() -> Answer<()> {
    let scene = Scene::start_with(peppers(2)).await?;
    scene.write(issue(usable(1))).await?;
    let recognised = scene.judge(secret(1, 1)).await?.token.ok_or("it is there")?;
    let redigested = TokenChange::Redigested {
        version: 1,
        digest: peppers(2).digest(&secret(1, 1)),
        pepper: PepperId(2),
    };
    scene.change(1, redigested).await?;
    assert!(scene.verifier.is_still_good(&recognised, 1, &CALLER).await?);
    scene.revoke(1).await?;
    assert!(!scene.verifier.is_still_good(&recognised, 1, &CALLER).await?);
    Ok(())
}

/// A server that is ahead has redigested what this one knows under its own current pepper.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_behind_follows_a_secret_to_the_next_pepper() -> Answer<()> {
    let scene = Scene::start_with(peppers(1)).await?;
    scene.write(issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    let redigested = TokenChange::Redigested {
        version: 1,
        digest: peppers(2).digest(&secret(1, 1)),
        pepper: PepperId(2),
    };
    scene.change(1, redigested).await?;
    for _ in 0..2 {
        assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    }
    assert_eq!(scene.queries(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_pepper_that_is_gone_makes_its_secrets_unknown() -> Answer<()> {
    let tag_key = pepper(7).current().tag_key();
    let second = Pepper::new(PepperId(2), &[9; Pepper::KEY_BYTES]);
    let scene = Scene::start_with(Peppers::new(second, None, &tag_key)).await?;
    scene.write(issue(usable(1))).await?;
    assert_eq!(scene.verdict(secret(1, 1)).await?, UNKNOWN);
    assert_eq!(scene.queries(), 1, "its tag holds");
    Ok(())
}
