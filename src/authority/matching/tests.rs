//! What was previewed is what is revoked: once each, however often it is begun, and nothing if it is not the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::authority::samples::{Scene, ask};
use crate::authority::{MATCHING_MAX, PLAN_KEPT};
use crate::journal::samples::{issue, origin};
use crate::journal::{Change, Entry};
use crate::store::faulty::Call;
use crate::store::samples::{Answer, change, read, write};
use crate::token::State;
use crate::token::change::TokenChange;
use crate::token::id::TokenId;
use crate::token::samples::{instant, name, scopes, slug, subject, token, withdrawal};
use crate::token::selector::Selector;
use crate::token::standing::SubjectChange;
use crate::token::text::Actor;

/// More than are sent to the writer at once.
const TOKENS: u64 = 300;

/// Tokens of which the even ones are named `ci`.
async fn with_tokens() -> Answer<Scene> {
    let scene = Scene::start().await?;
    let tokens = (0..TOKENS).map(|number| {
        issue(Token {
            name: name(if number % 2 == 0 { "ci" } else { "laptop" }),
            ..token(number)
        })
    });
    scene.store.commit(tokens.collect()).await?;
    Ok(scene)
}

fn meant() -> BTreeSet<TokenId> {
    (0..TOKENS).step_by(2).map(|number| token(number).id).collect()
}

fn matching() -> Matching {
    Matching {
        namespace: Some(slug("notes")),
        selector: Selector {
            name_prefix: Some(name("c")),
            ..Selector::default()
        },
    }
}

fn reason() -> Reason {
    withdrawal(instant(0)).reason
}

fn ann() -> Caller {
    ask().caller
}

/// A run that revokes all that is meant.
async fn begin(scene: &Scene, plan: &str) -> Answer<Run> {
    Ok(scene
        .authority
        .begin(&ann(), &matching(), plan, TOKENS / 2)
        .await?)
}

async fn carry_out(scene: &Scene, plan: &str) -> Answer<Run> {
    let mut run = begin(scene, plan).await?;
    while scene.authority.go_on(&ann(), &mut run, &reason()).await? {}
    Ok(run)
}

/// The tokens that were revoked, each as often as it was.
async fn revoked(scene: &Scene) -> Answer<Vec<TokenId>> {
    let of = |entry: &Entry| match &entry.change {
        Change::Token {
            token_id,
            change: TokenChange::Revoked(_),
            ..
        } => Some(*token_id),
        _ => None,
    };
    Ok(scene.journal().await?.iter().filter_map(of).collect())
}

#[tokio::test]
async fn what_was_previewed_is_revoked_and_nothing_else() -> Answer<()> {
    let scene = with_tokens().await?;
    let preview = scene.authority.preview(&ann(), &matching()).await?;
    assert_eq!(preview.tokens, TOKENS / 2);
    assert_eq!(preview.sample.len(), SAMPLE_MAX as usize);
    assert!(preview.sample.iter().all(|token| meant().contains(&token.id)));
    assert_eq!(revoked(&scene).await?, []);
    // Issued later, it is not meant.
    scene.clock.advance(Duration::from_secs(1));
    let mut late = token(TOKENS);
    late.id = TokenId::new(instant(1_000_000), [0; 10]);
    late.name = name("ci");
    scene.store.commit(vec![issue(late)]).await?;

    let run = carry_out(&scene, &preview.plan).await?;
    assert_eq!((run.revoked, run.passed_over), (TOKENS / 2, 0));
    let all = revoked(&scene).await?;
    assert_eq!(all.len(), meant().len());
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), meant());
    for id in meant() {
        let token = read(&scene.store, id).await?.record;
        assert_eq!(token.state(instant(0)), State::Revoked);
    }
    Ok(())
}

#[tokio::test]
async fn a_plan_that_was_cut_off_revokes_the_rest() -> Answer<()> {
    let scene = with_tokens().await?;
    let preview = scene.authority.preview(&ann(), &matching()).await?;
    for _ in 0..2 {
        let mut run = begin(&scene, &preview.plan).await?;
        let before = run.revoked;
        scene.authority.go_on(&ann(), &mut run, &reason()).await?;
        assert!(run.revoked > before);
    }
    for _ in 0..2 {
        let run = carry_out(&scene, &preview.plan).await?;
        assert_eq!((run.revoked, run.passed_over), (TOKENS / 2, 0));
    }
    let all = revoked(&scene).await?;
    assert_eq!(all.len(), meant().len());
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), meant());
    Ok(())
}

#[tokio::test]
async fn another_number_than_was_told_revokes_nothing() -> Answer<()> {
    let scene = with_tokens().await?;
    let preview = scene.authority.preview(&ann(), &matching()).await?;
    for expected in [TOKENS / 2 - 1, TOKENS / 2 + 1, 0] {
        let refused = scene
            .authority
            .begin(&ann(), &matching(), &preview.plan, expected)
            .await;
        let Err(AuthorityError::CountMismatch {
            expected: told,
            found,
        }) = refused
        else {
            return Err(format!("{refused:?}").into());
        };
        assert_eq!((told, found), (expected, TOKENS / 2));
    }
    assert_eq!(revoked(&scene).await?, []);
    // What another has revoked is not the plan's.
    change(
        &scene.store,
        token(0).id,
        TokenChange::Revoked(withdrawal(instant(0))),
    )
    .await?;
    let refused = scene
        .authority
        .begin(&ann(), &matching(), &preview.plan, TOKENS / 2)
        .await;
    assert!(
        matches!(refused, Err(AuthorityError::CountMismatch { .. })),
        "{refused:?}"
    );
    assert_eq!(revoked(&scene).await?, [token(0).id]);
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_changed_on_the_way_is_decided_on_again() -> Answer<()> {
    let scene = with_tokens().await?;
    let preview = scene.authority.preview(&ann(), &matching()).await?;
    let mut run = begin(&scene, &preview.plan).await?;
    scene.authority.go_on(&ann(), &mut run, &reason()).await?;
    // They were read, and not sent to the writer yet.
    let [first, second] = [TOKENS - 2, TOKENS - 4].map(|number| token(number).id);
    change(
        &scene.store,
        first,
        TokenChange::Suspended(withdrawal(instant(0))),
    )
    .await?;
    change(&scene.store, second, TokenChange::Revoked(withdrawal(instant(0)))).await?;
    while scene.authority.go_on(&ann(), &mut run, &reason()).await? {}
    assert_eq!((run.revoked, run.passed_over), (TOKENS / 2 - 1, 1));
    assert_eq!(revoked(&scene).await?.len(), meant().len());
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_decided_on_again_is_under_its_subject() -> Answer<()> {
    let scene = with_tokens().await?;
    let preview = scene.authority.preview(&ann(), &matching()).await?;
    let mut run = begin(&scene, &preview.plan).await?;
    scene.authority.go_on(&ann(), &mut run, &reason()).await?;
    // It was read, and not sent to the writer yet.
    let changed = token(TOKENS - 2).id;
    change(
        &scene.store,
        changed,
        TokenChange::Suspended(withdrawal(instant(0))),
    )
    .await?;
    let dead = SubjectChange::IssuedRevoked(withdrawal(instant(0)));
    let name = (slug("notes"), subject("ann"));
    write(&scene.store, Draft::of_subject(origin(), None, name, dead)?).await?;
    while scene.authority.go_on(&ann(), &mut run, &reason()).await? {}
    assert_eq!((run.revoked, run.passed_over), (TOKENS / 2 - 1, 1));
    assert!(!revoked(&scene).await?.contains(&changed));
    // All are dead by now.
    assert_eq!(scene.authority.preview(&ann(), &matching()).await?.tokens, 0);
    Ok(())
}

#[tokio::test]
async fn a_plan_is_good_for_an_hour_and_for_whoever_made_it() -> Answer<()> {
    let scene = with_tokens().await?;
    let preview = scene.authority.preview(&ann(), &matching()).await?;
    let wider = Matching {
        selector: Selector::default(),
        ..matching()
    };
    let bob = Caller::certificate(Actor::try_from("bob".to_owned())?, Arc::new(scopes(&["*"])));
    for (caller, of, plan) in [
        (ann(), wider, preview.plan.as_str()),
        (bob, matching(), &preview.plan),
        (ann(), matching(), ""),
        (ann(), matching(), &preview.plan[1..]),
    ] {
        let refused = scene.authority.begin(&caller, &of, plan, TOKENS / 2).await;
        assert!(matches!(refused, Err(AuthorityError::PlanInvalid)), "{refused:?}");
    }
    scene.clock.advance(PLAN_KEPT);
    let refused = scene
        .authority
        .begin(&ann(), &matching(), &preview.plan, TOKENS / 2)
        .await;
    assert!(matches!(refused, Err(AuthorityError::PlanExpired)), "{refused:?}");
    assert_eq!(revoked(&scene).await?, []);
    Ok(())
}

#[tokio::test]
async fn ids_alone_mean_what_the_caller_may_revoke() -> Answer<()> {
    let scene = with_tokens().await?;
    let of = Matching {
        namespace: None,
        selector: Selector {
            ids: (0..5).map(|number| token(number).id).collect(),
            ..Selector::default()
        },
    };
    let caller = |permissions: &[&str]| Caller::certificate(ann().actor(), Arc::new(scopes(permissions)));
    for (permissions, count) in [
        (&["tokens.list:notes", "tokens.revoke:notes"][..], 5),
        (&["tokens.revoke:notes"], 0),
        (&["tokens.list:tasks", "tokens.revoke:tasks"], 0),
    ] {
        let caller = caller(permissions);
        let preview = scene.authority.preview(&caller, &of).await?;
        assert_eq!((preview.tokens, preview.sample.len()), (count, count as usize));
        let mut run = scene.authority.begin(&caller, &of, &preview.plan, count).await?;
        while scene.authority.go_on(&caller, &mut run, &reason()).await? {}
        assert_eq!(run.revoked, count);
    }
    assert_eq!(revoked(&scene).await?.len(), 5);
    Ok(())
}

#[tokio::test]
async fn only_so_many_are_under_way_at_once() -> Answer<()> {
    let scene = with_tokens().await?;
    let preview = scene.authority.preview(&ann(), &matching()).await?;
    let mut runs = Vec::new();
    for _ in 0..MATCHING_MAX {
        runs.push(begin(&scene, &preview.plan).await?);
    }
    let refused = scene.authority.preview(&ann(), &matching()).await;
    assert!(matches!(refused, Err(AuthorityError::Overloaded)), "{refused:?}");
    runs.pop();
    assert!(scene.authority.preview(&ann(), &matching()).await.is_ok());
    Ok(())
}

/// The call that was cut off may still be writing when the same call is made again.
#[tokio::test]
async fn a_plan_that_is_still_being_written_is_gone_on_with() -> Answer<()> {
    for held in [Call::Entries, Call::Count] {
        let scene = with_tokens().await?;
        let preview = scene.authority.preview(&ann(), &matching()).await?;
        let mut before = begin(&scene, &preview.plan).await?;
        let gate = scene.faulty.hold(held);
        let (authority, plan) = (Arc::clone(&scene.authority), preview.plan.clone());
        let beginning =
            tokio::spawn(async move { authority.begin(&ann(), &matching(), &plan, TOKENS / 2).await });
        gate.arrived().await;
        scene.authority.go_on(&ann(), &mut before, &reason()).await?;
        gate.open();
        let mut run = beginning.await??;
        while scene.authority.go_on(&ann(), &mut run, &reason()).await? {}
        scene.authority.settle(&mut run, &matching()).await?;
        assert_eq!((run.revoked, run.passed_over), (TOKENS / 2, 0), "{held:?}");
        assert_eq!(revoked(&scene).await?.len(), meant().len());
    }
    Ok(())
}
