//! What is handed over after a verdict is written once, and its failure ends nothing.

use std::time::Duration;

use super::super::samples::{Scene, ask};
use super::super::{Changed, Minted};
use super::*;
use crate::journal::{Draft, Kind};
use crate::store::faulty::{Call, Fault};
use crate::store::samples::{Answer, read, write};
use crate::token::KeptSecret;
use crate::token::id::TokenId;
use crate::token::overlap::Overlap;
use crate::token::policy::{Policy, RetiredUse};
use crate::token::samples::{instant, namespace, withdrawal};
use crate::token::time::Span;

const HOUR: Duration = Duration::from_hours(1);
const SPAN: Span = Span::seconds(3600);

fn used(token_id: TokenId, version: u32, of: Use, micros: i64) -> Used {
    Used {
        token_id,
        version,
        time: instant(micros),
        of,
    }
}

impl Scene {
    /// A token of `notes`, and its rotation with this overlap.
    async fn rotated(&self, overlap: Option<Overlap>) -> Answer<(TokenId, Changed<Minted>)> {
        let id = self.issue().await?.record.token.id;
        Ok((id, self.authority.rotate(&ask(), id, overlap).await?))
    }

    /// Hands all of these over, and returns when all that comes of it has.
    async fn note(&self, uses: &[Used]) -> Answer<()> {
        let (hand, handed) = mpsc::channel(uses.len());
        for used in uses {
            hand.send(*used).await?;
        }
        drop(hand);
        self.authority.note_uses(Actor::own(), handed).await;
        Ok(())
    }

    async fn kept(&self, id: TokenId) -> Answer<Vec<KeptSecret>> {
        Ok(read(&self.store, id).await?.record.secrets)
    }

    async fn count(&self, kind: Kind) -> Answer<usize> {
        let journal = self.journal().await?;
        Ok(journal.iter().filter(|entry| entry.change.kind() == kind).count())
    }

    async fn rule(&self, policy: Policy) -> Answer<()> {
        let mut notes = namespace("notes", "kn_");
        notes.policy = policy;
        let newest = self.store.directory().await?.version;
        let draft = Draft::of_namespace(crate::journal::samples::origin(), newest, notes);
        write(&self.store, draft).await?;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn until_the_new_secret_is_used_both_are_good_and_after_it_the_old_one_ends() -> Answer<()> {
    let scene = Scene::start().await?;
    let (id, rotated) = scene.rotated(Some(Overlap::FromFirstUse(SPAN))).await?;
    assert_eq!(rotated.record.token.secrets[0].retire_time, None);
    assert_eq!(rotated.record.token.secrets[1].overlap, Some(SPAN));
    scene.clock.advance(HOUR * 1000);
    scene
        .note(&[used(id, 2, Use::First, 7), used(id, 2, Use::First, 9)])
        .await?;
    let kept = scene.kept(id).await?;
    assert_eq!(kept[0].retire_time, Some(instant(7).after(HOUR)?));
    assert_eq!(kept[1].first_use_time, Some(instant(7)));
    assert_eq!(scene.count(Kind::TokenFirstUsed).await?, 1);
    let journal = scene.journal().await?;
    assert_eq!(
        journal.last().map(|entry| entry.actor.clone()),
        Some(Actor::own())
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_first_use_is_told_of_every_secret_that_came_by_a_rotation() -> Answer<()> {
    let scene = Scene::start().await?;
    for overlap in [Overlap::None, Overlap::For(SPAN)] {
        let (id, rotated) = scene.rotated(Some(overlap)).await?;
        let end = rotated.record.token.secrets[0].retire_time;
        scene
            .note(&[used(id, 1, Use::First, 5), used(id, 2, Use::First, 5)])
            .await?;
        let kept = scene.kept(id).await?;
        assert_eq!((kept[0].first_use_time, kept[0].retire_time), (None, end));
        assert_eq!(kept[1].first_use_time, Some(instant(5)));
    }
    assert_eq!(scene.count(Kind::TokenFirstUsed).await?, 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_is_not_the_last() -> Answer<()> {
    let scene = Scene::start().await?;
    let (first, _) = scene.rotated(Some(Overlap::FromFirstUse(SPAN))).await?;
    let (revoked, _) = scene.rotated(Some(Overlap::FromFirstUse(SPAN))).await?;
    let (second, _) = scene.rotated(Some(Overlap::FromFirstUse(SPAN))).await?;
    scene
        .authority
        .revoke(&ask(), revoked, withdrawal(instant(0)).reason)
        .await?;
    scene.faulty.nth(1, Call::Token, Fault::Before);
    scene
        .note(&[first, revoked, second].map(|id| used(id, 2, Use::First, 5)))
        .await?;
    let journal = scene.journal().await?;
    let noted = |entry: &&crate::journal::Entry| entry.change.kind() == Kind::TokenFirstUsed;
    let ids: Vec<_> = journal
        .iter()
        .filter(noted)
        .map(|entry| entry.change.token_id())
        .collect();
    assert_eq!(ids, [Some(second)]);
    scene.note(&[used(first, 2, Use::First, 6)]).await?;
    assert_eq!(scene.kept(first).await?[1].first_use_time, Some(instant(6)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_use_of_a_retired_secret_is_ignored_or_told_or_suspends_as_the_namespace_says() -> Answer<()> {
    let scene = Scene::start().await?;
    let policy = |retired_use| Policy {
        retired_use,
        retired_tolerance: SPAN,
        ..Policy::default()
    };
    let late = SPAN.micros() + 1;
    for (retired_use, told, suspended) in [
        (RetiredUse::Ignore, 0, false),
        (RetiredUse::Report, 1, false),
        (RetiredUse::Suspend, 2, true),
    ] {
        scene.rule(policy(retired_use)).await?;
        let (id, _) = scene.rotated(Some(Overlap::None)).await?;
        let tolerated = used(id, 1, Use::AfterEnd, late - 2);
        scene
            .note(&[
                tolerated,
                used(id, 1, Use::AfterEnd, late),
                used(id, 1, Use::AfterEnd, late + 1),
            ])
            .await?;
        assert_eq!(
            scene.count(Kind::TokenRetiredSecretUsed).await?,
            told,
            "{retired_use:?}"
        );
        let token = read(&scene.store, id).await?.record;
        assert_eq!(token.suspension.is_some(), suspended, "{retired_use:?}");
        let wanted = (retired_use != RetiredUse::Ignore).then(|| instant(late));
        assert_eq!(token.secrets[0].reuse_time, wanted);
        if suspended {
            // Whoever resumes it knows of the old secret: once was enough.
            scene.authority.resume(&ask(), id).await?;
            scene.note(&[used(id, 1, Use::AfterEnd, late + 9)]).await?;
            assert_eq!(read(&scene.store, id).await?.record.suspension, None);
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_asks_for_no_overlap_gets_that_of_the_namespace_and_a_longer_one_is_refused()
-> Answer<()> {
    let scene = Scene::start().await?;
    scene
        .rule(Policy {
            overlap_default: Overlap::FromFirstUse(Span::days(7)),
            overlap_max: Some(SPAN),
            ..Policy::default()
        })
        .await?;
    let (id, rotated) = scene.rotated(None).await?;
    assert_eq!(
        rotated.record.token.secrets[1].overlap,
        Some(SPAN),
        "no longer than the longest"
    );
    for asked in [Overlap::For(Span::days(1)), Overlap::FromFirstUse(Span::days(1))] {
        let refused = scene.authority.rotate(&ask(), id, Some(asked)).await.map(|_| ());
        assert!(
            matches!(refused, Err(AuthorityError::OverlapTooLong { max, .. }) if max == SPAN),
            "{refused:?}"
        );
    }
    // A leak is a leak, whatever the namespace would have.
    let rotated = scene
        .authority
        .rotate(&ask(), id, Some(Overlap::None))
        .await?
        .record
        .token;
    let live: Vec<_> = rotated.secrets.iter().map(|kept| kept.live(instant(0))).collect();
    assert_eq!(live, [false, false, true]);
    Ok(())
}

/// What the namespace says may have changed by the time the answer is asked for again.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_shown_again_whatever_the_namespace_says_by_then() -> Answer<()> {
    let scene = Scene::start().await?;
    let rule = |overlap_default| Policy {
        overlap_default,
        ..Policy::default()
    };
    scene.rule(rule(Overlap::FromFirstUse(SPAN))).await?;
    let id = scene.issue().await?.record.token.id;
    let asked = super::super::samples::request();
    let first = scene.authority.rotate(&asked, id, None).await?;
    scene.rule(rule(Overlap::None)).await?;
    let again = scene.authority.rotate(&asked, id, None).await?;
    assert_eq!(again.cursor, first.cursor);
    assert_eq!(again.record.secret.expose(), first.record.secret.expose());
    for other in [
        Overlap::None,
        Overlap::For(SPAN),
        Overlap::FromFirstUse(Span::ZERO),
    ] {
        let refused = scene.authority.rotate(&asked, id, Some(other)).await.map(|_| ());
        assert!(
            matches!(refused, Err(AuthorityError::RequestIdReused)),
            "{other:?}: {refused:?}"
        );
    }
    Ok(())
}
