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
            lifetime: Lifetime::ByPolicy,
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
    answers.push(authority.rotate(&asked, id, overlap_of(HOUR)).await.map(|_| ()));
    answers.push(authority.revoke(&asked, id, reason("")).await.map(|_| ()));
    answers.push(
        authority
            .issue(&stranger(&asked), for_an_hour.clone())
            .await
            .map(|_| ()),
    );

    let (rotating, other) = (request(), scene.issue().await?.record.token.id);
    let (one, two) = (overlap_of(HOUR), overlap_of(HOUR * 2));
    authority.rotate(&rotating, id, one).await?;
    answers.push(authority.rotate(&rotating, id, two).await.map(|_| ()));
    answers.push(authority.rotate(&rotating, other, one).await.map(|_| ()));
    let stranger_rotates = authority.rotate(&stranger(&rotating), id, one).await;
    answers.push(stranger_rotates.map(|_| ()));

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

/// What a namespace is to be: its slug, its name, its prefix, and who may manage its tokens.
type Wanted = (&'static str, &'static str, &'static str, SelfManagement);

const TASKS: Wanted = ("tasks", "Tasks", "kt_", SelfManagement::Off);

fn rules(self_management: SelfManagement) -> Policy {
    Policy {
        self_management,
        ..Policy::default()
    }
}

impl Scene {
    async fn creates(&self, ask: &Ask, wanted: Wanted) -> Result<Changed<Namespace>, AuthorityError> {
        let (slug_text, name_text, prefix_text, self_management) = wanted;
        let format = namespace(slug_text, prefix_text).format;
        let policy = rules(self_management);
        self.authority
            .create_namespace(ask, slug(slug_text), name(name_text), format, policy)
            .await
    }

    async fn updates(&self, ask: &Ask, wanted: Wanted) -> Result<Changed<Namespace>, AuthorityError> {
        let (slug_text, name_text, _, self_management) = wanted;
        let policy = Some(crate::token::policy::PolicyUpdate::whole(rules(self_management)));
        self.authority
            .update_namespace(ask, slug(slug_text), None, Some(name(name_text)), policy)
            .await
    }
}

#[tokio::test(start_paused = true)]
async fn the_id_of_a_change_to_a_namespace_is_good_for_that_change() -> Answer<()> {
    let scene = Scene::start().await?;
    let (creating, updating) = (request(), request());
    let created = scene.creates(&creating, TASKS).await?;
    let updated = scene.updates(&updating, TASKS).await?;
    let answers = [
        scene
            .creates(&creating, ("task", TASKS.1, TASKS.2, TASKS.3))
            .await,
        scene
            .creates(&creating, (TASKS.0, "Work", TASKS.2, TASKS.3))
            .await,
        scene.creates(&creating, (TASKS.0, TASKS.1, "ku_", TASKS.3)).await,
        scene
            .creates(&creating, (TASKS.0, TASKS.1, TASKS.2, SelfManagement::Own))
            .await,
        scene.creates(&stranger(&creating), TASKS).await,
        // Neither is the other, even where all they have in common is the same.
        scene.creates(&updating, TASKS).await,
        scene.updates(&creating, TASKS).await,
        scene
            .updates(&updating, ("notes", TASKS.1, TASKS.2, TASKS.3))
            .await,
        scene
            .updates(&updating, (TASKS.0, "Work", TASKS.2, TASKS.3))
            .await,
        scene
            .updates(&updating, (TASKS.0, TASKS.1, TASKS.2, SelfManagement::Own))
            .await,
        scene.updates(&stranger(&updating), TASKS).await,
    ];
    for (n, answer) in answers.iter().enumerate() {
        assert!(
            matches!(answer, Err(AuthorityError::RequestIdReused)),
            "{n}: {answer:?}"
        );
    }
    let again = scene.creates(&creating, TASKS).await?;
    assert_eq!((again.record, again.cursor), (created.record, created.cursor));
    let again = scene.updates(&updating, TASKS).await?;
    assert_eq!((again.record, again.cursor), (updated.record, updated.cursor));
    Ok(())
}

/// Who asks again may have been stripped of a permission: the secret is not theirs any more.
#[tokio::test(start_paused = true)]
async fn a_secret_is_not_shown_again_to_who_may_not_have_it_any_more() -> Answer<()> {
    let scene = Scene::start().await?;
    let (issuing, rotating) = (request(), request());
    let id = scene.authority.issue(&issuing, laptop()).await?.record.token.id;
    scene.authority.rotate(&rotating, id, overlap_of(HOUR)).await?;
    let less = |ask: &Ask, permissions: &[&str]| Ask {
        caller: Caller::certificate(ask.caller.actor(), Arc::new(scopes(permissions))),
        ..ask.clone()
    };
    let may_not_grant = less(&issuing, &["tokens.issue:notes"]);
    let refused = scene.authority.issue(&may_not_grant, laptop()).await.map(|_| ());
    assert!(
        matches!(refused, Err(AuthorityError::NotGrantable(_))),
        "{refused:?}"
    );
    let may_not_rotate = less(&rotating, &["tokens.list:notes"]);
    let refused = scene
        .authority
        .rotate(&may_not_rotate, id, overlap_of(HOUR))
        .await
        .map(|_| ());
    assert!(
        matches!(refused, Err(AuthorityError::TokenNotFound(_))),
        "{refused:?}"
    );
    Ok(())
}
