//! Uses of secrets that are handed over: once a while, and only those that somebody wants to hear of.

use tokio::sync::mpsc::error::TryRecvError;

use super::*;
use crate::token::change::{Use, Used};
use crate::token::overlap::Overlap;
use crate::token::policy::{Policy, RetiredUse};
use crate::token::time::{Span, Timestamp};

/// A scene whose first token was rotated: the second secret has an overlap of an hour from its first use, or the first
/// one ends at this instant.
async fn rotated(end: Option<Timestamp>) -> Answer<Scene> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    let mut secret = kept_of(1, 2, instant(0));
    secret.overlap = end
        .is_none()
        .then(|| Overlap::FromFirstUse(Span::seconds(3600)).span());
    let rotated = TokenChange::Rotated {
        secret,
        retire_time: end,
        beside: None,
        ends: None,
        by_default: false,
    };
    scene.change(1, rotated).await?;
    Ok(scene)
}

fn used(version: u32, of: Use, time: Timestamp) -> Used {
    Used {
        token_id: usable(1).id,
        version,
        time,
        of,
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_use_of_a_new_secret_is_handed_over_until_it_is_written() -> Answer<()> {
    let mut scene = rotated(None).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    assert_eq!(
        scene.tasks.uses.try_recv(),
        Err(TryRecvError::Empty),
        "it is the old one"
    );
    for _ in 0..50 {
        assert!(is_accepted(&scene.verdict(secret(1, 2)).await?));
    }
    assert_eq!(scene.tasks.uses.try_recv(), Ok(used(2, Use::First, instant(0))));
    assert_eq!(
        scene.tasks.uses.try_recv(),
        Err(TryRecvError::Empty),
        "once for many uses"
    );
    // It was lost: a use a while later hands it over again.
    scene.clock.advance(Duration::from_secs(1));
    let later = instant(1_000_000);
    assert!(is_accepted(&scene.verdict(secret(1, 2)).await?));
    assert_eq!(scene.tasks.uses.try_recv(), Ok(used(2, Use::First, later)));
    scene
        .change(
            1,
            TokenChange::FirstUsed {
                version: 2,
                time: later,
                retires: None,
            },
        )
        .await?;
    scene.clock.advance(Duration::from_secs(10));
    for version in [1, 2] {
        assert!(is_accepted(&scene.verdict(secret(1, version)).await?));
    }
    assert_eq!(scene.tasks.uses.try_recv(), Err(TryRecvError::Empty));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn no_verdict_waits_for_whoever_writes_uses() -> Answer<()> {
    let mut scene = rotated(None).await?;
    scene.tasks.uses.close();
    for _ in 0..3 {
        assert!(is_accepted(&scene.verdict(secret(1, 2)).await?));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_use_of_a_retired_secret_is_handed_over_where_the_namespace_wants_to_hear_of_it() -> Answer<()> {
    for (retired_use, is_told) in [
        (RetiredUse::Ignore, false),
        (RetiredUse::Report, true),
        (RetiredUse::Suspend, true),
    ] {
        let mut scene = rotated(Some(instant(5))).await?;
        let mut notes = namespace("notes", "kn_");
        notes.policy = Policy {
            retired_use,
            retired_tolerance: Span::try_from(10)?,
            ..Policy::default()
        };
        scene
            .write(Draft::of_namespace(origin(), Revision::new(1), notes))
            .await?;
        let retired = Verdict::Refused(Refusal::SecretRetired);
        scene.clock.advance(Duration::from_micros(14));
        for _ in 0..2 {
            assert_eq!(scene.verdict(secret(1, 1)).await?, retired);
        }
        assert_eq!(
            scene.tasks.uses.try_recv(),
            Err(TryRecvError::Empty),
            "it may have been under way"
        );
        // From the cache, where it is found as any other is.
        let queries = scene.queries();
        scene.clock.advance(Duration::from_micros(1));
        for _ in 0..2 {
            assert_eq!(scene.verdict(secret(1, 1)).await?, retired);
        }
        assert_eq!(scene.queries(), queries);
        let wanted = is_told.then(|| used(1, Use::AfterEnd, instant(15)));
        assert_eq!(scene.tasks.uses.try_recv().ok(), wanted, "{retired_use:?}");
        assert!(scene.tasks.uses.try_recv().is_err());
    }
    Ok(())
}

/// Who was recognised as what a token was then has to be recognised anew.
#[tokio::test(start_paused = true)]
async fn a_caller_whose_token_was_changed_is_not_as_good_as_before() -> Answer<()> {
    use crate::token::update::{To, Update, update};
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    let recognised = scene.judge(secret(1, 1)).await?.token.ok_or("it is there")?;
    let renamed = Update {
        name: Some(crate::token::samples::name("Phone")),
        ..Update::default()
    };
    let bound = Update {
        networks: Some(To(Some(vec!["10.0.0.0/8".parse()?].try_into()?))),
        ..Update::default()
    };
    for (asked, is_good) in [(renamed, true), (bound, false)] {
        let now = read(&scene.store, usable(1).id).await?.record;
        let changed = update(&now, &asked, instant(1))?.ok_or("it is so already")?;
        scene.change(1, changed).await?;
        assert_eq!(
            scene.verifier.is_still_good(&recognised, 1, &CALLER).await?,
            is_good
        );
    }
    Ok(())
}
