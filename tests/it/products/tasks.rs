//! Krokanti Tasks: `kt_` and 40 hexadecimal characters beside Notes, for those who pay, and one token an integration.

use super::*;

#[expect(
    clippy::too_many_lines,
    reason = "one product, from its first promise to its last"
)]
async fn walk(place: Place) -> Outcome {
    let mut scene = Scene::start(place).await?;
    // KT1: beside another product, told apart by how they begin.
    scene
        .create("notes", "kn_", hex(40), v1::NamespacePolicy::default())
        .await?;
    let policy = v1::NamespacePolicy {
        name_required: true,
        entitled_plans: vec!["pro".to_owned(), "team".to_owned()],
        rate_limit_default: Some(per_minute(100)),
        rotation_due_after: Some(days(90)),
        scope_catalogue: ["GET:/api/tasks", "POST:/api/tasks", "DELETE:/api/tasks"]
            .map(str::to_lowercase)
            .to_vec(),
        ..Default::default()
    };
    scene.create("tasks", "kt_", hex(40), policy).await?;

    // KT2: who does not pay is told so, and not that the caller is nobody.
    let asked = |name: &str| v1::IssueRequest {
        scopes: vec!["get:/api/tasks".to_owned()],
        ..issue("tasks", "team-red", name)
    };
    for plan in [None, Some("free")] {
        if let Some(plan) = plan {
            scene.plan("tasks", "team-red", plan).await?;
        }
        let refused = scene.issue(asked("Zapier")).await.err().ok_or("KT2")?;
        assert_eq!(
            (refused.code(), reason(&refused)),
            (Code::FailedPrecondition, "NOT_ENTITLED".to_owned()),
            "KT2"
        );
    }
    scene.plan("tasks", "team-red", "pro").await?;

    // KT3: a name is required, by name.
    let refused = scene.issue(asked("")).await.err().ok_or("KT3")?;
    assert!(format!("{refused:?}").contains("name"), "KT3: {refused:?}");

    // KT4: see KN3. KT13: a resource and a method are a scope; one that the product does not have is refused by name.
    let (zapier, zapier_secret) = scene.issue(asked("Zapier")).await?;
    let (script, script_secret) = scene.issue(asked("Backup script")).await?;
    assert!(
        zapier_secret.starts_with("kt_") && zapier_secret.len() == 43,
        "KT1"
    );
    assert!(!scene.journal().await?.contains(&zapier_secret[10..]), "KT4");
    let judged = scene
        .client
        .verify(&zapier_secret, &["delete:/api/tasks"])
        .await?;
    assert_eq!(judged.verdict(), Verdict::InsufficientScope, "KT13");
    let unknown = v1::IssueRequest {
        scopes: vec!["patch:/api/tasks".to_owned()],
        ..asked("Patcher")
    };
    let refused = scene.issue(unknown).await.err().ok_or("KT13")?;
    assert!(
        format!("{refused:?}").contains("patch:/api/tasks"),
        "KT13: {refused:?}"
    );

    // KT5: the bare text is judged; a token of Notes is none of Tasks.
    let request = v1::VerifyRequest {
        secret: zapier_secret.clone(),
        namespace: "notes".to_owned(),
        ..Default::default()
    };
    let judged = scene.client.verification.verify(request).await?.into_inner();
    assert_eq!(judged.verdict(), Verdict::WrongNamespace, "KT1, KT5");

    // KT6: a limit of each token, not of its subject: what one uses up is not missing to the other.
    let limited = scene.too_many(&zapier_secret).await?;
    assert_eq!(limited.limit, Some(per_minute(100)), "KT6");
    assert_eq!(
        scene.client.verdict(&script_secret).await?,
        Verdict::Accepted,
        "KT6"
    );
    // KT7: what a 429 needs: when to come again, which is for this one call some 600 ms at most away.
    let wait = limited.retry_after.ok_or("KT7")?;
    let wait = std::time::Duration::try_from(wait)?;
    assert!(
        !wait.is_zero() && wait <= std::time::Duration::from_millis(600),
        "KT7"
    );

    // KT8, KT9, KT11: one goes, for ever, and no other with it.
    scene.revoke(&zapier.id, "not used any more").await?;
    assert_eq!(
        scene.client.verdict(&zapier_secret).await?,
        Verdict::Revoked,
        "KT8"
    );
    assert_eq!(
        scene.client.verdict(&script_secret).await?,
        Verdict::Accepted,
        "KT11"
    );
    assert_eq!(
        code(scene.resume(&zapier.id).await),
        Code::FailedPrecondition,
        "KT9"
    );
    assert_eq!(
        code(scene.rotate(&zapier.id, none()).await.map(drop)),
        Code::FailedPrecondition,
        "KT9"
    );

    // KT10: a lost one is replaced in one call, with all its settings, and the lost one is worth nothing.
    let (rotated, secret) = scene.rotate(&script.id, none()).await?;
    assert_eq!(
        (&rotated.id, &rotated.scopes, &rotated.name),
        (&script.id, &script.scopes, &script.name),
        "KT10"
    );
    assert_eq!(
        scene.client.verdict(&script_secret).await?,
        Verdict::SecretRetired,
        "KT10"
    );
    assert_eq!(scene.client.verdict(&secret).await?, Verdict::Accepted, "KT10");

    // KT12: a change of the team: everything that was issued for it goes with one call.
    let (_, other_secret) = {
        scene.plan("tasks", "team-blue", "team").await?;
        scene
            .issue(v1::IssueRequest {
                subject: "team-blue".to_owned(),
                ..asked("Zapier")
            })
            .await?
    };
    scene.revoke_issued("tasks", "team-red").await?;
    assert_eq!(scene.client.verdict(&secret).await?, Verdict::Revoked, "KT12");
    assert_eq!(
        scene.client.verdict(&other_secret).await?,
        Verdict::Accepted,
        "KT12"
    );
    scene.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn krokanti_tasks_moves_in_on_sqlite() -> Outcome {
    walk(Place::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn krokanti_tasks_moves_in_on_postgres() -> Outcome {
    walk(Place::postgres().await?).await
}
