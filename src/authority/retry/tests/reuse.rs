//! An id that comes back with anything but its own request is refused.

use super::*;

/// Two ways to ask for each change that differ in one thing, under one id: the second is refused.
#[tokio::test(start_paused = true)]
async fn a_request_id_is_good_for_one_change_by_one_caller() -> Answer<()> {
    let scene = Scene::start().await?;
    let authority = &scene.authority;
    let (asked, ttl) = (request(), Lifetime::For(HOUR));
    let for_an_hour = Issue {
        lifetime: ttl,
        ..laptop()
    };
    let issued = authority.issue(&asked, for_an_hour.clone()).await?.record.token;
    let id = issued.id;
    let tags = [(
        LabelKey::try_from("k".to_owned())?,
        LabelValue::try_from("v".to_owned())?,
    )];
    let others = [
        Issue {
            namespace: slug("tasks"),
            ..for_an_hour.clone()
        },
        Issue {
            name: name("Phone"),
            ..for_an_hour.clone()
        },
        Issue {
            subject: Subject::try_from("bob".to_owned())?,
            ..for_an_hour.clone()
        },
        Issue {
            scopes: scopes(&["write"]),
            ..for_an_hour.clone()
        },
        Issue {
            labels: Labels::try_from(std::collections::BTreeMap::from(tags))?,
            ..for_an_hour.clone()
        },
        Issue {
            lifetime: Lifetime::Unlimited,
            ..for_an_hour.clone()
        },
        Issue {
            lifetime: Lifetime::For(HOUR + INSTANT),
            ..for_an_hour.clone()
        },
        Issue {
            lifetime: Lifetime::Until(instant(1)),
            ..for_an_hour.clone()
        },
    ];
    let mut answers = Vec::new();
    for other in others {
        answers.push(authority.issue(&asked, other).await.map(|_| ()));
    }
    answers.push(authority.rotate(&asked, id, HOUR).await.map(|_| ()));
    answers.push(authority.revoke(&asked, id, reason("")).await.map(|_| ()));
    answers.push(
        authority
            .issue(&stranger(&asked), for_an_hour.clone())
            .await
            .map(|_| ()),
    );

    let (rotating, other) = (request(), scene.issue().await?.record.token.id);
    authority.rotate(&rotating, id, HOUR).await?;
    answers.push(authority.rotate(&rotating, id, HOUR * 2).await.map(|_| ()));
    answers.push(authority.rotate(&rotating, other, HOUR).await.map(|_| ()));
    answers.push(authority.rotate(&stranger(&rotating), id, HOUR).await.map(|_| ()));

    let revoking = request();
    authority.revoke(&revoking, id, reason("lost")).await?;
    answers.push(authority.revoke(&revoking, id, reason("found")).await.map(|_| ()));
    answers.push(
        authority
            .revoke(&revoking, other, reason("lost"))
            .await
            .map(|_| ()),
    );
    answers.push(
        authority
            .revoke(&stranger(&revoking), id, reason("lost"))
            .await
            .map(|_| ()),
    );

    let head = scene.store.head().await?;
    for (n, answer) in answers.iter().enumerate() {
        assert!(
            matches!(answer, Err(AuthorityError::RequestIdReused)),
            "{n}: {answer:?}"
        );
    }
    // The instant that was meant may be said either way.
    let until = Lifetime::Until(instant(0).after(HOUR)?);
    scene.clock.advance(INSTANT);
    for lifetime in [ttl, until] {
        let again = Issue { lifetime, ..laptop() };
        assert_eq!(authority.issue(&asked, again).await?.record.token, issued);
    }
    assert_eq!(scene.store.head().await?, head);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_id_of_a_change_to_a_namespace_is_good_for_that_change() -> Answer<()> {
    let scene = Scene::start().await?;
    let authority = &scene.authority;
    let Namespace {
        slug: tasks,
        display_name,
        format,
        ..
    } = notes_like("tasks");
    let policy = Policy::default();
    let open = Policy {
        self_management: SelfManagement::Own,
    };
    let (creating, updating) = (request(), request());
    let created = authority
        .create_namespace(
            &creating,
            tasks.clone(),
            display_name.clone(),
            format.clone(),
            policy,
        )
        .await?;
    let updated = authority
        .update_namespace(
            &updating,
            tasks.clone(),
            None,
            Some(display_name.clone()),
            Some(policy),
        )
        .await?;
    let elsewhere = Format {
        prefix: prefix("ku_"),
        ..format.clone()
    };
    let create = |ask: Ask, slug, display_name, format, policy| async move {
        authority
            .create_namespace(&ask, slug, display_name, format, policy)
            .await
    };
    let update = |ask: Ask, slug, display_name, policy| async move {
        authority
            .update_namespace(&ask, slug, None, Some(display_name), Some(policy))
            .await
    };
    let answers = [
        create(
            creating.clone(),
            slug("task"),
            display_name.clone(),
            format.clone(),
            policy,
        )
        .await,
        create(
            creating.clone(),
            tasks.clone(),
            name("Tasks"),
            format.clone(),
            policy,
        )
        .await,
        create(
            creating.clone(),
            tasks.clone(),
            display_name.clone(),
            elsewhere,
            policy,
        )
        .await,
        create(
            stranger(&creating),
            tasks.clone(),
            display_name.clone(),
            format.clone(),
            policy,
        )
        .await,
        // Neither is the other, even where all they have in common is the same.
        create(
            updating.clone(),
            tasks.clone(),
            display_name.clone(),
            format.clone(),
            policy,
        )
        .await,
        update(creating.clone(), tasks.clone(), display_name.clone(), policy).await,
        update(updating.clone(), slug("notes"), display_name.clone(), policy).await,
        update(updating.clone(), tasks.clone(), name("Tasks"), policy).await,
        create(
            creating.clone(),
            tasks.clone(),
            display_name.clone(),
            format.clone(),
            open,
        )
        .await,
        update(updating.clone(), tasks.clone(), display_name.clone(), open).await,
        update(stranger(&updating), tasks.clone(), display_name.clone(), policy).await,
    ];
    for (n, answer) in answers.iter().enumerate() {
        assert!(
            matches!(answer, Err(AuthorityError::RequestIdReused)),
            "{n}: {answer:?}"
        );
    }
    let again = create(creating, tasks.clone(), display_name.clone(), format, policy).await?;
    assert_eq!((again.record, again.cursor), (created.record, created.cursor));
    let again = update(updating, tasks, display_name, policy).await?;
    assert_eq!((again.record, again.cursor), (updated.record, updated.cursor));
    Ok(())
}
