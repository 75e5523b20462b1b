//! What an update needs, and what it leaves as it is.

use std::sync::Arc;

use super::super::samples::{Scene, ask, laptop, request};
use super::*;
use crate::journal::{Change, Draft};
use crate::store::faulty::Call;
use crate::store::samples::{Answer, change, write};
use crate::token::breach::Breach;
use crate::token::caller::Caller;
use crate::token::change::Refused;
use crate::token::samples::{instant, name, namespace, scopes, withdrawal};
use crate::token::scope::{Scope, Scopes};
use crate::token::text::Actor;
use crate::token::time::Span;
use crate::token::update::To;

fn named(text: &str) -> Update {
    Update {
        name: Some(name(text)),
        ..Update::default()
    }
}

fn carrying(names: &[&str]) -> Update {
    Update {
        scopes: Some(scopes(names)),
        ..Update::default()
    }
}

/// Somebody with these permissions.
fn with(permissions: &[&str]) -> Ask {
    let actor = Actor::try_from("bob".to_owned()).unwrap();
    Ask {
        caller: Caller::certificate(actor, Arc::new(scopes(permissions))),
        request_id: None,
    }
}

fn scope(text: &str) -> Scope {
    Scope::try_from(text.to_owned()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_journal_says_what_each_field_was_and_is() -> Answer<()> {
    let scene = Scene::start().await?;
    let before = scene.issue().await?.record.token;
    let asked = Update {
        name: Some(name("Phone")),
        expire_time: Some(To(Some(instant(5)))),
        ..carrying(&["read"])
    };
    let updated = scene
        .authority
        .update(&request(), before.id, Some(before.etag()), asked)
        .await?;
    let wanted = Token {
        name: name("Phone"),
        expire_time: Some(instant(5)),
        ..before.clone()
    };
    assert_eq!(updated.record, wanted);
    assert_eq!(scene.authority.token(&ask().caller, before.id).await?, wanted);
    let journal = scene.journal().await?;
    let Some(Change::Token {
        change: TokenChange::Updated(fields),
        ..
    }) = journal.last().map(|entry| &entry.change)
    else {
        return Err(format!("{journal:?}").into());
    };
    let named = fields.name.as_ref().ok_or("the name is missing")?;
    assert_eq!((named.from.as_str(), named.to.as_str()), ("Laptop", "Phone"));
    let ends = fields.expire_time.as_ref().ok_or("the end is missing")?;
    assert_eq!((ends.from, ends.to), (None, Some(instant(5))));
    assert!(fields.narrows());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_so_already_is_answered_and_not_written() -> Answer<()> {
    let scene = Scene::start().await?;
    let issued = scene.issue().await?;
    let token = issued.record.token;
    let updated = scene
        .authority
        .update(&ask(), token.id, None, named("Laptop"))
        .await?;
    assert_eq!((updated.record, updated.cursor), (token, issued.cursor));
    assert_eq!(scene.journal().await?.len(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_etag_that_is_not_the_present_one_changes_nothing() -> Answer<()> {
    let scene = Scene::start().await?;
    let token = scene.issue().await?.record.token;
    let first = request();
    let update = |ask: Ask, text| {
        let authority = Arc::clone(&scene.authority);
        let etag = Some(token.etag());
        async move { authority.update(&ask, token.id, etag, named(text)).await }
    };
    let phone = update(first.clone(), "Phone").await?;
    let stale = update(request(), "Tablet").await;
    assert!(matches!(stale, Err(AuthorityError::EtagMismatch)), "{stale:?}");
    // The same request is not a second one.
    assert_eq!(update(first.clone(), "Phone").await?.cursor, phone.cursor);
    let other = update(first, "Tablet").await;
    assert!(matches!(other, Err(AuthorityError::RequestIdReused)), "{other:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_etag_is_compared_with_what_is_written_over() -> Answer<()> {
    let scene = Scene::start().await?;
    let token = scene.issue().await?.record.token;
    let gate = scene.faulty.hold(Call::Token);
    let (authority, etag) = (Arc::clone(&scene.authority), Some(token.etag()));
    let late = tokio::spawn(async move { authority.update(&ask(), token.id, etag, named("Tablet")).await });
    gate.arrived().await;
    change(
        &scene.store,
        token.id,
        TokenChange::Suspended(withdrawal(instant(1))),
    )
    .await?;
    gate.open();
    let refused = late.await?;
    assert!(
        matches!(refused, Err(AuthorityError::EtagMismatch)),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn whoever_adds_to_a_token_must_be_able_to_issue_what_comes_of_it() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = scene.issue().await?.record.token.id;
    let admin = ask();
    let reader = with(&["tokens.update:notes", "tokens.grant:notes:read"]);
    let update = |ask, asked| scene.authority.update(ask, id, None, asked);
    let refused = update(&reader, carrying(&["admin", "read"])).await;
    assert!(
        matches!(&refused, Err(AuthorityError::NotGrantable(beyond)) if *beyond == scope("admin")),
        "{refused:?}"
    );
    // Less needs no more than to update at all; and an end that is moved away counts like a scope.
    update(&reader, named("Phone")).await?;
    update(&admin, carrying(&["admin", "read"])).await?;
    let ending = |micros| Update {
        expire_time: Some(To(Some(instant(micros)))),
        ..Update::default()
    };
    update(&reader, ending(5)).await?;
    let refused = update(&reader, ending(6)).await;
    assert!(
        matches!(refused, Err(AuthorityError::NotGrantable(_))),
        "{refused:?}"
    );
    update(&reader, carrying(&["read"])).await?;
    update(&reader, ending(6)).await?;
    // Without the right it is not there.
    let stranger = with(&["tokens.revoke:notes", "tokens.issue:notes", "tokens.update:tasks"]);
    for refused in [
        update(&stranger, named("x")).await,
        scene
            .authority
            .suspend(&stranger, id, withdrawal(instant(0)).reason)
            .await,
        scene.authority.resume(&stranger, id).await,
    ] {
        assert!(
            matches!(refused, Err(AuthorityError::TokenNotFound(_))),
            "{refused:?}"
        );
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_the_namespace_hold_for_what_is_changed() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = scene.issue().await?.record.token.id;
    let mut notes = namespace("notes", "kn_");
    notes.policy = Policy {
        scope_catalogue: scopes(&["read", "write"]),
        lifetime_max: Some(Span::seconds(60)),
        ..Policy::default()
    };
    let newest = scene.store.directory().await?.version;
    write(
        &scene.store,
        Draft::of_namespace(crate::journal::samples::origin(), newest, notes),
    )
    .await?;
    let admin = ask();
    let update = |asked| scene.authority.update(&admin, id, None, asked);
    let refused = update(carrying(&["admin", "read"])).await;
    assert!(
        matches!(&refused, Err(AuthorityError::Breach(Breach::UnknownScopes { scopes: unknown, .. })) if *unknown == scopes(&["admin"])),
        "{refused:?}"
    );
    update(carrying(&["read", "write"])).await?;
    update(named("")).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_suspension_can_be_taken_back_and_repeated_and_its_id_serves_no_other() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = scene.issue().await?.record.token.id;
    let other = scene.issue().await?.record.token.id;
    let (pausing, resuming) = (request(), request());
    let reason = withdrawal(instant(0)).reason;
    let authority = &scene.authority;
    let suspended = authority.suspend(&pausing, id, reason.clone()).await?;
    assert_eq!(suspended.record.suspension, Some(withdrawal(instant(0))));
    let again = authority.suspend(&pausing, id, reason.clone()).await?;
    assert_eq!((again.record, again.cursor), (suspended.record, suspended.cursor));
    let resumed = authority.resume(&resuming, id).await?;
    assert_eq!(resumed.record.suspension, None);
    // Late, and of no effect.
    let late = authority.suspend(&pausing, id, reason.clone()).await?;
    assert_eq!((late.record.suspension, late.cursor), (None, suspended.cursor));
    assert_eq!(authority.resume(&resuming, id).await?.cursor, resumed.cursor);
    let differently = crate::token::text::Reason::try_from("other".to_owned())?;
    for refused in [
        authority.suspend(&pausing, id, differently).await,
        authority.suspend(&pausing, other, reason.clone()).await,
        authority.suspend(&resuming, id, reason.clone()).await,
        authority.resume(&resuming, other).await,
        authority.resume(&pausing, id).await,
        authority.update(&pausing, id, None, named("x")).await,
    ] {
        assert!(
            matches!(refused, Err(AuthorityError::RequestIdReused)),
            "{refused:?}"
        );
    }
    authority.revoke(&ask(), id, reason.clone()).await?;
    for refused in [
        authority.suspend(&ask(), id, reason).await,
        authority.resume(&ask(), id).await,
        authority.update(&ask(), id, None, named("x")).await,
    ] {
        assert!(
            matches!(
                refused,
                Err(AuthorityError::Refused {
                    refused: Refused::Revoked,
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    assert_eq!(scene.journal().await?.len(), 1 + 2 + 3);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_the_same_request_only_with_all_of_its_fields() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = scene.issue().await?.record.token.id;
    let asked = request();
    // One of the two is so already.
    let both = Update {
        scopes: Some(laptop().scopes),
        ..named("Phone")
    };
    let updated = scene.authority.update(&asked, id, None, both.clone()).await?;
    assert_eq!(
        scene.authority.update(&asked, id, None, both).await?.cursor,
        updated.cursor
    );
    for other in [
        named("Phone"),
        Update {
            scopes: Some(Scopes::default()),
            ..named("Phone")
        },
    ] {
        let refused = scene.authority.update(&asked, id, None, other).await;
        assert!(
            matches!(refused, Err(AuthorityError::RequestIdReused)),
            "{refused:?}"
        );
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_retry_shows_what_is_said_of_the_subject_by_now() -> Answer<()> {
    let scene = Scene::start().await?;
    let token = scene.issue().await?.record.token;
    let asked = request();
    let update = || scene.authority.update(&asked, token.id, None, named("Phone"));
    assert_eq!(update().await?.record.suspension, None);
    let subject = (token.namespace.clone(), token.subject.clone());
    let reason = withdrawal(instant(0)).reason;
    scene.authority.suspend_subject(&ask(), subject, reason).await?;
    let again = update().await?.record;
    assert_eq!(again.suspension, Some(withdrawal(instant(0))));
    assert_eq!(again, scene.authority.token(&ask().caller, token.id).await?);
    Ok(())
}
