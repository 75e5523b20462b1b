//! Endpoints and how far each has come; and who sees to them.

use std::sync::Arc;

use super::{Law, write};
use crate::journal::samples::origin;
use crate::journal::{Draft, Revision, Stored};
use crate::store::lease::Duty;
use crate::store::member::MemberId;
use crate::store::samples::Answer;
use crate::store::webhooks::{Delivery, Progress, Step};
use crate::store::{Outcome, Store};
use crate::token::samples::{endpoint, instant, name, slug};
use crate::token::secret::PepperId;
use crate::token::time::{Span, Timestamp};
use crate::token::webhook::event::EventKind;
use crate::token::webhook::signing::SealedSigning;
use crate::token::webhook::{Endpoint, EndpointId, EndpointUpdate, WebhookChange};

fn duty(holder: u8) -> Duty {
    Duty {
        name: "webhooks",
        holder: MemberId::new([holder; 16]),
    }
}

fn signing(version: u32) -> SealedSigning {
    SealedSigning {
        version,
        pepper: PepperId(1),
        sealed: vec![u8::try_from(version).unwrap(); 72],
    }
}

fn created(endpoint: Endpoint) -> Draft {
    let change = WebhookChange::Created(endpoint);
    Draft::of_webhook(origin(), Revision::ZERO, change).with_signing(signing(1))
}

pub(super) async fn create(store: &Arc<dyn Store>, number: u8) -> Answer<Stored<Endpoint>> {
    let record = endpoint(number);
    let version = write(store, created(record.clone())).await?.revision;
    Ok(Stored { record, version })
}

fn renamed(endpoint: &Endpoint, to: &str) -> Endpoint {
    let update = EndpointUpdate {
        description: Some(name(to)),
        ..EndpointUpdate::default()
    };
    endpoint.updated(&update, instant(5)).unwrap()
}

fn delivery(revision: u64, last_time: Timestamp) -> Delivery {
    Delivery {
        revision: Revision::new(revision),
        event_id: format!("evt_{revision}"),
        kind: EventKind::TokenRevoked,
        attempts: 1,
        first_time: instant(0),
        last_time,
        status: Some(200),
        error: None,
        next_time: None,
    }
}

fn step(from: Revision, to: u64, deliveries: Vec<Delivery>) -> Step {
    Step {
        from,
        to: Progress {
            revision: Revision::new(to),
            ..Progress::default()
        },
        deliveries,
    }
}

pub(super) async fn an_endpoint_is_what_was_written(store: Arc<dyn Store>) -> Law {
    let (first, second) = (create(&store, 1).await?, create(&store, 2).await?);
    assert_eq!(store.endpoint(first.record.id).await?, Some(first.clone()));
    assert_eq!(store.signing(first.record.id).await?, [signing(1)]);
    let progress = store.progress(first.record.id).await?;
    assert_eq!(progress.map(|at| at.revision), Some(first.version));
    let stranger = endpoint(9).id;
    assert_eq!(store.endpoint(stranger).await?, None);
    assert_eq!(store.progress(stranger).await?, None);
    let both = [Ok(first.clone()), Ok(second.clone())];
    for namespace in [None, Some(slug("notes"))] {
        let all = store
            .endpoints(namespace.clone(), EndpointId::BEFORE_ALL, 9)
            .await?;
        assert_eq!(all, both);
        let one = store
            .endpoints(namespace.clone(), EndpointId::BEFORE_ALL, 1)
            .await?;
        assert_eq!(one, both[..1]);
        assert_eq!(store.endpoints(namespace, first.record.id, 9).await?, both[1..]);
    }
    let elsewhere = store
        .endpoints(Some(slug("tasks")), EndpointId::BEFORE_ALL, 9)
        .await?;
    assert_eq!(elsewhere, []);
    let paused = WebhookChange::Paused(renamed(&first.record, "é 🦀"));
    let entry = write(&store, Draft::of_webhook(origin(), first.version, paused.clone())).await?;
    let after = Stored {
        record: paused.endpoint().clone(),
        version: entry.revision,
    };
    assert_eq!(store.endpoint(first.record.id).await?, Some(after));
    // Where it was it stays, and so does its secret.
    assert_eq!(store.progress(first.record.id).await?, progress);
    assert_eq!(store.signing(first.record.id).await?, [signing(1)]);
    Ok(())
}

pub(super) async fn a_namespace_is_believed_whatever_becomes_of_its_endpoints(store: Arc<dyn Store>) -> Law {
    let before = store.directory().await?;
    create(&store, 1).await?;
    let after = store.directory().await?;
    assert_eq!(before.version, after.version);
    assert!(after.record.get(&slug("notes")).is_some());
    Ok(())
}

pub(super) async fn an_endpoint_is_guarded_by_its_last_change(store: Arc<dyn Store>) -> Law {
    let first = create(&store, 1).await?;
    let renaming = |version, to| {
        let change = WebhookChange::Updated(renamed(&first.record, to));
        Draft::of_webhook(origin(), version, change)
    };
    let entry = write(&store, renaming(first.version, "a")).await?;
    let twice = vec![
        renaming(first.version, "stale"),
        renaming(entry.revision, "b"),
        renaming(entry.revision, "c"),
        created(first.record.clone()),
    ];
    let outcomes = store.commit(twice).await?;
    let written = |outcome: &Outcome| matches!(outcome, Outcome::Written(_));
    let written: Vec<_> = outcomes.iter().map(written).collect();
    assert_eq!(written, [false, true, false, false]);
    let kept = store.endpoint(first.record.id).await?.ok_or("it is gone")?;
    assert_eq!(kept.record.description, name("b"));
    Ok(())
}

pub(super) async fn a_namespace_has_room_for_so_many_endpoints(store: Arc<dyn Store>) -> Law {
    let max = u8::try_from(Endpoint::COUNT_MAX)?;
    for number in 1..max {
        create(&store, number).await?;
    }
    // Two for the last place, at once and in one batch.
    let last = [max, max + 1].map(|number| created(endpoint(number)));
    let outcomes = store.commit(last.to_vec()).await?;
    assert!(
        matches!(outcomes[..], [Outcome::Written(_), Outcome::Conflict]),
        "{outcomes:?}"
    );
    let outcomes = store.commit(vec![created(endpoint(max + 2))]).await?;
    assert_eq!(outcomes, [Outcome::Conflict]);
    Ok(())
}

pub(super) async fn a_rotation_keeps_the_secret_before_and_no_older_one(store: Arc<dyn Store>) -> Law {
    let mut stored = create(&store, 1).await?;
    let id = stored.record.id;
    for (version, kept) in [(2, vec![1, 2]), (3, vec![2, 3])] {
        let record = stored.record.rotated(Span::seconds(60), instant(9));
        assert_eq!(record.next_version(), version + 1);
        let change = WebhookChange::SecretRotated(record.clone());
        let draft = Draft::of_webhook(origin(), stored.version, change).with_signing(signing(version));
        let version = write(&store, draft).await?.revision;
        stored = Stored { record, version };
        let kept: Vec<_> = kept.into_iter().map(signing).collect();
        assert_eq!(store.signing(id).await?, kept);
    }
    let later = SealedSigning {
        pepper: PepperId(2),
        ..signing(3)
    };
    assert!(store.reseal(id, PepperId(1), later.clone()).await?);
    // It is not under that one any more: who was slower undoes nothing.
    assert!(!store.reseal(id, PepperId(1), signing(3)).await?);
    assert_eq!(store.signing(id).await?, [signing(2), later]);
    Ok(())
}

pub(super) async fn an_endpoint_moves_from_where_it_is_by_whoever_has_the_duty(store: Arc<dyn Store>) -> Law {
    let first = create(&store, 1).await?;
    let (id, from) = (first.record.id, first.version);
    let forward = || step(from, 7, vec![delivery(7, instant(1))]);
    assert!(
        !store.advance(duty(1), id, forward()).await?,
        "nobody has the duty"
    );
    assert!(store.take_duty(duty(1), instant(9), instant(0)).await?);
    assert!(
        !store.advance(duty(2), id, forward()).await?,
        "another one has it"
    );
    assert_eq!(store.deliveries(id, None, 9).await?, []);
    assert!(store.advance(duty(1), id, forward()).await?);
    // The late one would take it back to where it was.
    assert!(!store.advance(duty(1), id, step(from, 5, Vec::new())).await?);
    assert!(store.take_duty(duty(2), instant(30), instant(9)).await?);
    assert!(
        !store
            .advance(duty(1), id, step(Revision::new(7), 8, Vec::new()))
            .await?
    );
    let failing = Progress {
        revision: Revision::new(7),
        failures: 3,
        failing_since: Some(instant(4)),
        next_time: Some(instant(8)),
    };
    let step = Step {
        from: Revision::new(7),
        to: failing,
        deliveries: Vec::new(),
    };
    assert!(store.advance(duty(2), id, step.clone()).await?);
    assert_eq!(store.progress(id).await?, Some(failing));
    assert!(
        !store.advance(duty(2), endpoint(9).id, step).await?,
        "there is none"
    );
    Ok(())
}

pub(super) async fn deliveries_are_listed_newest_first_and_swept(store: Arc<dyn Store>) -> Law {
    let first = create(&store, 1).await?;
    let other = create(&store, 2).await?;
    let id = first.record.id;
    assert!(store.take_duty(duty(1), instant(9), instant(0)).await?);
    let all: Vec<_> = (10..15)
        .map(|revision| delivery(revision, instant(revision.cast_signed())))
        .collect();
    assert!(
        store
            .advance(duty(1), id, step(first.version, 14, all.clone()))
            .await?
    );
    let others = step(other.version, 14, all[..1].to_vec());
    assert!(store.advance(duty(1), other.record.id, others).await?);
    // What became of it since.
    let again = Delivery {
        attempts: 2,
        error: Some("it answered 500".to_owned()),
        next_time: Some(instant(99)),
        ..all[4].clone()
    };
    let later = step(Revision::new(14), 15, vec![again.clone()]);
    assert!(store.advance(duty(1), id, later).await?);
    let mut newest: Vec<_> = all[..4].to_vec();
    newest.push(again);
    newest.reverse();
    assert_eq!(store.deliveries(id, None, 9).await?, newest);
    assert_eq!(store.deliveries(id, None, 2).await?, newest[..2]);
    assert_eq!(
        store.deliveries(id, Some(Revision::new(13)), 2).await?,
        newest[2..4]
    );
    assert_eq!(store.sweep_deliveries(id, 4, instant(0)).await?, 1);
    assert_eq!(store.sweep_deliveries(id, 4, instant(12)).await?, 2);
    assert_eq!(store.deliveries(id, None, 9).await?, newest[..2]);
    assert_eq!(store.deliveries(other.record.id, None, 9).await?, all[..1]);
    Ok(())
}

pub(super) async fn what_is_deleted_leaves_nothing_behind(store: Arc<dyn Store>) -> Law {
    let first = create(&store, 1).await?;
    let id = first.record.id;
    assert!(store.take_duty(duty(1), instant(9), instant(0)).await?);
    let taken = step(first.version, 9, vec![delivery(9, instant(1))]);
    assert!(store.advance(duty(1), id, taken).await?);
    let deleted = WebhookChange::Deleted(first.record.clone());
    let stale = Draft::of_webhook(origin(), first.version.next(), deleted.clone());
    assert_eq!(store.commit(vec![stale]).await?, [Outcome::Conflict]);
    write(&store, Draft::of_webhook(origin(), first.version, deleted)).await?;
    assert_eq!(store.endpoint(id).await?, None);
    assert_eq!(store.signing(id).await?, []);
    assert_eq!(store.progress(id).await?, None);
    assert_eq!(store.deliveries(id, None, 9).await?, []);
    assert!(
        !store
            .advance(duty(1), id, step(Revision::new(9), 10, Vec::new()))
            .await?
    );
    Ok(())
}

pub(super) async fn one_has_a_duty_until_it_ends_or_is_left(store: Arc<dyn Store>) -> Law {
    assert!(store.take_duty(duty(1), instant(10), instant(0)).await?);
    assert!(!store.take_duty(duty(2), instant(19), instant(9)).await?);
    assert!(
        store.take_duty(duty(1), instant(20), instant(10)).await?,
        "it keeps it"
    );
    assert!(!store.take_duty(duty(2), instant(29), instant(19)).await?);
    assert!(
        store.take_duty(duty(2), instant(30), instant(20)).await?,
        "it ended"
    );
    store.leave_duty(duty(1)).await?;
    assert!(
        !store.take_duty(duty(1), instant(31), instant(21)).await?,
        "it was not its to leave"
    );
    store.leave_duty(duty(2)).await?;
    assert!(store.take_duty(duty(1), instant(31), instant(21)).await?);
    let elsewhere = Duty {
        name: "lifecycle",
        ..duty(2)
    };
    assert!(store.take_duty(elsewhere, instant(40), instant(21)).await?);
    Ok(())
}
