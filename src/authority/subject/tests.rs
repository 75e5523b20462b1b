//! What is said of subjects and namespaces, and what may be issued then.

use std::sync::Arc;

use super::*;
use crate::authority::samples::{Scene, ask, laptop, request};
use crate::authority::{Issue, Lifetime};
use crate::journal::Kind;
use crate::store::samples::Answer;
use crate::token::issuing::NotIssued;
use crate::token::order::Order;
use crate::token::policy::{Policy, PolicyUpdate};
use crate::token::samples::{instant, plan, scopes, slug, subject, withdrawal};
use crate::token::selector::Selector;
use crate::token::time::Timestamp;
use crate::token::{State, Token};

fn ann() -> SubjectName {
    (slug("notes"), subject("ann"))
}

fn reason() -> Reason {
    withdrawal(instant(0)).reason
}

impl Scene {
    async fn rules(&self, policy: Policy) -> Answer<()> {
        let update = Some(PolicyUpdate::whole(policy));
        self.authority
            .update_namespace(&ask(), slug("notes"), None, None, update)
            .await?;
        Ok(())
    }

    /// The token as Get shows it.
    async fn get(&self, token: &Token) -> Answer<Token> {
        Ok(self.authority.token(&ask().caller, token.id).await?)
    }

    async fn kinds(&self) -> Answer<Vec<Kind>> {
        Ok(self
            .journal()
            .await?
            .iter()
            .map(|entry| entry.change.kind())
            .collect())
    }
}

#[tokio::test(start_paused = true)]
async fn a_subject_is_suspended_and_resumed_with_one_entry_each() -> Answer<()> {
    let scene = Scene::start().await?;
    let token = scene.issue().await?.record.token;
    let first = scene.authority.suspend_subject(&ask(), ann(), reason()).await?;
    let again = scene
        .authority
        .suspend_subject(&ask(), ann(), Reason::try_from("another".to_owned())?)
        .await?;
    assert_eq!((again.cursor, &again.record), (first.cursor, &first.record));
    let shown = scene.get(&token).await?;
    assert_eq!(shown.state(instant(9)), State::Suspended);
    assert_eq!(shown.suspension.map(|it| it.reason), Some(reason()));
    let refused = scene.issue().await.err().ok_or("it was issued")?;
    assert!(refused.to_string().contains("suspended"), "{refused}");

    scene.authority.resume_subject(&ask(), ann()).await?;
    scene.authority.resume_subject(&ask(), ann()).await?;
    assert_eq!(scene.get(&token).await?.state(instant(9)), State::Active);
    scene.issue().await?;
    assert_eq!(
        scene.kinds().await?[1..],
        [
            Kind::TokenIssued,
            Kind::SubjectSuspended,
            Kind::SubjectResumed,
            Kind::TokenIssued
        ]
    );
    Ok(())
}

/// A token that is suspended itself stays so when its subject is resumed, and can be rotated and revoked meanwhile.
#[tokio::test(start_paused = true)]
async fn a_token_under_a_suspended_subject_is_still_its_own() -> Answer<()> {
    let scene = Scene::start().await?;
    let token = scene.issue().await?.record.token;
    scene.authority.suspend_subject(&ask(), ann(), reason()).await?;
    let rotated = scene.authority.rotate(&ask(), token.id, None).await?;
    assert_eq!(rotated.record.token.state(instant(9)), State::Suspended);
    scene.authority.revoke(&ask(), token.id, reason()).await?;
    scene.authority.resume_subject(&ask(), ann()).await?;
    assert_eq!(scene.get(&token).await?.state(instant(9)), State::Revoked);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_issued_is_revoked_and_what_is_issued_afterwards_is_good() -> Answer<()> {
    for whole in [false, true] {
        let scene = Scene::start().await?;
        let before = scene.issue().await?.record.token;
        // The clock stands still: what comes next has the same instant.
        let revoked = if whole {
            scene
                .authority
                .revoke_issued_in_namespace(&ask(), slug("notes"), reason())
                .await?
        } else {
            scene.authority.revoke_issued(&ask(), ann(), reason()).await?
        };
        let after = scene.issue().await?.record.token;
        assert!(after.create_time > revoked.record.time);
        let shown = scene.get(&before).await?;
        assert_eq!(shown.revocation, Some(revoked.record.clone()));
        assert_eq!(scene.get(&after).await?, after);
        // To rotate it is refused, and to revoke it is to find it revoked, by that.
        let rotated = scene.authority.rotate(&ask(), before.id, None).await;
        assert!(rotated.is_err_and(|error| error.to_string().contains("revoked")));
        let again = scene.authority.revoke(&ask(), before.id, reason()).await?;
        assert_eq!(again.record, shown);
        assert!(again.cursor.revision >= revoked.cursor.revision);
        let page = scene
            .authority
            .list(crate::authority::TokenQuery {
                namespace: slug("notes"),
                selector: Selector::default(),
                order: Order::default(),
                after: None,
                size: 10,
                with_total: false,
            })
            .await?;
        assert_eq!(page.tokens, [shown, after]);
        assert_eq!(scene.kinds().await?.len(), 4);
    }
    Ok(())
}

/// Whoever issued it had a clock that was an hour ahead, or has one now that is an hour behind.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_behind_spares_no_token_and_kills_no_later_one() -> Answer<()> {
    let hour = std::time::Duration::from_hours(1);
    for whole in [false, true] {
        let scene = Scene::start().await?;
        scene.clock.advance(hour);
        let ahead = scene.issue().await?.record.token;
        // This server's clock is where it was.
        let behind = scene.behind(instant(5));
        let revoked = if whole {
            behind
                .authority
                .revoke_issued_in_namespace(&ask(), slug("notes"), reason())
                .await?
        } else {
            behind.authority.revoke_issued(&ask(), ann(), reason()).await?
        };
        assert!(revoked.record.time >= ahead.create_time);
        assert_eq!(behind.get(&ahead).await?.state(instant(9)), State::Revoked);
        let later = behind.issue().await?.record.token;
        assert!(later.create_time > revoked.record.time);
        assert_eq!(behind.get(&later).await?.revocation, None);
        // Once more, and it goes on from there.
        let again = behind.authority.revoke_issued(&ask(), ann(), reason()).await?;
        assert!(again.record.time >= later.create_time);
        assert!(behind.get(&later).await?.revocation.is_some());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_request_id_is_good_for_one_change_to_one_subject() -> Answer<()> {
    let scene = Scene::start().await?;
    let authority = &scene.authority;
    let bob = (slug("notes"), subject("bob"));
    let (planning, revoking, whole) = (request(), request(), request());
    let pro = Some(plan("pro"));
    let planned = authority.set_plan(&planning, ann(), None, pro.clone()).await?;
    let revoked = authority.revoke_issued(&revoking, ann(), reason()).await?;
    let all = authority
        .revoke_issued_in_namespace(&whole, slug("notes"), reason())
        .await?;
    let head = scene.store.head().await?;
    // The same again is the same answer, whatever was said since.
    let again = authority.set_plan(&planning, ann(), None, pro.clone()).await?;
    assert_eq!(again.cursor, planned.cursor);
    let again = authority.revoke_issued(&revoking, ann(), reason()).await?;
    assert_eq!((again.record, again.cursor), (revoked.record, revoked.cursor));
    let again = authority
        .revoke_issued_in_namespace(&whole, slug("notes"), reason())
        .await?;
    assert_eq!((again.record, again.cursor), (all.record, all.cursor));
    let other = Reason::try_from("another".to_owned())?;
    let refused = [
        authority.set_plan(&planning, ann(), None, None).await.err(),
        authority.set_plan(&planning, bob.clone(), None, pro).await.err(),
        authority.suspend_subject(&planning, ann(), reason()).await.err(),
        authority.resume_subject(&revoking, ann()).await.err(),
        authority.revoke_issued(&revoking, bob, reason()).await.err(),
        authority.revoke_issued(&revoking, ann(), other).await.err(),
        authority.revoke_issued(&whole, ann(), reason()).await.err(),
        authority
            .revoke_issued_in_namespace(&revoking, slug("notes"), reason())
            .await
            .err(),
    ];
    for (n, error) in refused.iter().enumerate() {
        assert!(
            matches!(error, Some(AuthorityError::RequestIdReused)),
            "{n}: {error:?}"
        );
    }
    assert_eq!(scene.store.head().await?, head);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_set_under_its_etag() -> Answer<()> {
    let scene = Scene::start().await?;
    let set = |etag: Option<String>, name: &str| {
        let plan = Some(plan(name));
        let authority = Arc::clone(&scene.authority);
        async move { authority.set_plan(&ask(), ann(), etag, plan).await }
    };
    let first = set(None, "free").await?.record.ok_or("nothing")?;
    let second = set(Some(first.etag()), "pro").await?.record.ok_or("nothing")?;
    assert_ne!(first.etag(), second.etag());
    let stale = set(Some(first.etag()), "team").await;
    assert!(matches!(stale, Err(AuthorityError::EtagMismatch)), "{stale:?}");
    assert_eq!(scene.authority.subject(&ann()).await?, Some(second));
    let nowhere = (slug("nowhere"), subject("ann"));
    let missing = scene.authority.subject(&nowhere).await;
    assert!(matches!(missing, Err(AuthorityError::NamespaceNotFound(_))));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn rules_are_kept_from_the_next_issue_on() -> Answer<()> {
    let scene = Scene::start().await?;
    let day = std::time::Duration::from_hours(24);
    let rules = Policy {
        lifetime_default: Some(day.try_into()?),
        lifetime_max: Some((day * 2).try_into()?),
        scope_catalogue: scopes(&["read"]),
        entitled_plans: [plan("pro")].into(),
        ..Policy::default()
    };
    scene.rules(rules.clone()).await?;
    let issue = |change: fn(&mut Issue)| {
        let mut issue = laptop();
        change(&mut issue);
        let authority = Arc::clone(&scene.authority);
        async move {
            authority
                .issue(&ask(), issue)
                .await
                .map(|issued| issued.record.token)
        }
    };
    let refused = issue(|_| {}).await.err();
    let not_entitled = NotIssued::NotEntitled { plan: None };
    assert!(
        matches!(&refused, Some(AuthorityError::NotIssued { why, .. }) if *why == not_entitled),
        "{refused:?}"
    );
    scene
        .authority
        .set_plan(&ask(), ann(), None, Some(plan("pro")))
        .await?;
    let token = issue(|_| {}).await?;
    assert_eq!(token.expire_time, Some(instant(0).after(day)?));
    for broken in [
        issue(|issue| issue.scopes = scopes(&["read", "write"])).await,
        issue(|issue| issue.lifetime = Lifetime::Until(Timestamp::MAX)).await,
    ] {
        let refused = broken.err();
        let breaches = match &refused {
            Some(AuthorityError::NotIssued {
                why: NotIssued::Breaches(breaches),
                ..
            }) => breaches.len(),
            _ => 0,
        };
        assert_eq!(breaches, 1, "{refused:?}");
    }
    // One rule goes, the others stay.
    let fields = Policy::FIELDS
        .into_iter()
        .filter(|(name, _)| *name == "scope_catalogue");
    let update = PolicyUpdate {
        policy: Policy::default(),
        fields: fields.collect(),
    };
    let updated = scene
        .authority
        .update_namespace(&ask(), slug("notes"), None, None, Some(update))
        .await?;
    let without = Policy {
        scope_catalogue: scopes(&[]),
        ..rules
    };
    assert_eq!(updated.record.policy, without);
    issue(|issue| issue.scopes = scopes(&["write"])).await?;
    Ok(())
}

/// A retry is answered as the first was, though the end it was given is not the one that was asked for.
#[tokio::test(start_paused = true)]
async fn a_token_that_got_its_end_from_the_rules_is_shown_again() -> Answer<()> {
    let scene = Scene::start().await?;
    let hour = std::time::Duration::from_hours(1);
    let with = |hours: u32| {
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Policy {
            lifetime_default: Some((hour * hours).try_into()?),
            ..Policy::default()
        })
    };
    scene.rules(with(1)?).await?;
    scene.clock.advance(hour);
    let asked = request();
    let first = scene.authority.issue(&asked, laptop()).await?.record.token;
    scene.clock.advance(hour / 2);
    let again = scene.authority.issue(&asked, laptop()).await?.record.token;
    assert_eq!(again, first);
    let other = Issue {
        lifetime: Lifetime::For(hour * 2),
        ..laptop()
    };
    let reused = scene.authority.issue(&asked, other).await.err();
    assert!(
        matches!(reused, Some(AuthorityError::RequestIdReused)),
        "{reused:?}"
    );
    scene.rules(with(2)?).await?;
    assert_eq!(scene.authority.issue(&asked, laptop()).await?.record.token, first);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_many_that_race_for_the_last_places_as_many_are_issued_as_there_are() -> Answer<()> {
    let scene = Scene::start().await?;
    scene
        .rules(Policy {
            tokens_per_subject_max: std::num::NonZeroU32::new(3),
            ..Policy::default()
        })
        .await?;
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let authority = Arc::clone(&scene.authority);
        racing.spawn(async move {
            authority
                .issue(&ask(), laptop())
                .await
                .map(|issued| issued.record.token)
        });
    }
    let (mut issued, mut refused) = (Vec::new(), 0);
    while let Some(raced) = racing.join_next().await {
        match raced? {
            Ok(token) => issued.push(token),
            Err(AuthorityError::NotIssued {
                why: NotIssued::TooMany { max: 3 },
                ..
            }) => refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    assert_eq!((issued.len(), refused), (3, 17));
    // What is revoked, by itself or with all others, leaves its place.
    scene.authority.revoke(&ask(), issued[0].id, reason()).await?;
    scene.issue().await?;
    assert!(scene.issue().await.is_err());
    scene.authority.revoke_issued(&ask(), ann(), reason()).await?;
    for _ in 0..3 {
        scene.issue().await?;
    }
    assert!(scene.issue().await.is_err());
    Ok(())
}
