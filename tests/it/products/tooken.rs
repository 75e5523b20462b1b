//! Tooken: live and test tokens, a rotation that keeps the id, search, revocation in bulk, and tokens that may manage tokens.

use super::*;
use crate::receiver::{Mood, Received, Receiver};

#[expect(
    clippy::too_many_lines,
    reason = "one product, from its first promise to its last"
)]
async fn walk(place: Place) -> Outcome {
    let mut scene = Scene::start_with(place, crate::webhooks::to_loopback).await?;
    // TK1: two environments of one product, which no text can be of both. TK13: here tokens may manage tokens.
    let policy = || v1::NamespacePolicy {
        self_management: v1::SelfManagement::ByScope.into(),
        ..Default::default()
    };
    scene
        .create("tooken-live", "tok_live_", native(), policy())
        .await?;
    scene
        .create("tooken-test", "tok_test_", native(), policy())
        .await?;
    // TK8, TK9: their own service is told by a webhook.
    let receiver = Receiver::start(|| Mood::Take).await?;
    let request = v1::CreateEndpointRequest {
        namespace: "tooken-live".to_owned(),
        url: receiver.url(),
        events: vec!["token.revoked".to_owned()],
        ..Default::default()
    };
    let created = scene.client.webhooks.create_endpoint(request).await?;
    let signing = created.into_inner().secret;
    let asked = |namespace: &str, subject: &str, name: &str, scopes: &[&str]| v1::IssueRequest {
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..issue(namespace, subject, name)
    };
    let (_, tested) = scene
        .issue(asked("tooken-test", "billing", "billing-worker", &[]))
        .await?;
    assert!(tested.starts_with("tok_test_"), "TK1");

    // TK16: scopes and an end, as the service needs them.
    let mut billing = Vec::new();
    for name in ["billing-api", "billing-worker", "billing-cron"] {
        let request = v1::IssueRequest {
            expiration: Some(v1::issue_request::Expiration::Ttl(seconds(3600))),
            ..asked("tooken-live", "billing", name, &["invoices:read"])
        };
        billing.push(scene.issue(request).await?);
    }
    assert!(
        billing.iter().all(|(token, _)| token.expire_time.is_some()),
        "TK16"
    );
    let (shop, shop_secret) = scene
        .issue(asked("tooken-live", "shop", "shop-api", &["orders:write"]))
        .await?;
    let manager = ["tokenward:list", "tokenward:revoke", "tokenward:rotate"];
    let (_, manager) = scene.issue(asked("tooken-live", "ops", "ops", &manager)).await?;

    // TK5: found by a part of the name, or its beginning. TK6, TK11: with all that is known of it, by state.
    let found = scene
        .list(matching(
            "tooken-live",
            v1::TokenFilter {
                name_contains: "work".to_owned(),
                ..Default::default()
            },
        ))
        .await?;
    assert_eq!(
        found.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(),
        ["billing-worker"],
        "TK5"
    );
    let found = scene
        .list(matching(
            "tooken-live",
            v1::TokenFilter {
                name_prefix: "billing-".to_owned(),
                ..Default::default()
            },
        ))
        .await?;
    assert_eq!(found.len(), 3, "TK5");
    assert_eq!(scene.get(&shop.id).await?, shop, "TK6");
    let mut holder = scene.holder(&manager)?;
    let listed = holder
        .tokens
        .list(active("tooken-live"))
        .await?
        .into_inner()
        .tokens;
    assert_eq!(listed.len(), 5, "TK11, TK13");

    // TK15: a new secret, the same id and scopes. TK13: by a token that may.
    let request = v1::RotateRequest {
        token_id: billing[0].0.id.clone(),
        ..Default::default()
    };
    let refused = code(holder.tokens.rotate(request.clone()).await);
    assert_eq!(
        refused,
        Code::PermissionDenied,
        "TK13: it lacks the scope that it would get hold of"
    );
    let rotated = scene.client.tokens.rotate(request).await?.into_inner();
    let token = rotated.token.unwrap_or_default();
    assert_eq!(
        (&token.id, &token.scopes),
        (&billing[0].0.id, &billing[0].0.scopes),
        "TK15"
    );
    assert_eq!(
        scene.client.verdict(&rotated.secret).await?,
        Verdict::Accepted,
        "TK15"
    );

    // TK2, TK3, TK4, TK7: at once, for ever, and it says what it is from then on. TK12: by id, again and again.
    let mut watch = scene.watch().await?;
    assert_eq!(scene.client.verdict(&shop_secret).await?, Verdict::Accepted);
    let request = v1::RevokeRequest {
        token_id: shop.id.clone(),
        reason: "employee left".to_owned(),
        ..Default::default()
    };
    let first = holder
        .tokens
        .revoke(request.clone())
        .await?
        .into_inner()
        .token
        .unwrap_or_default();
    assert_eq!(
        scene.client.verdict(&shop_secret).await?,
        Verdict::Revoked,
        "TK2, TK4"
    );
    assert_eq!(
        holder.tokens.revoke(request).await?.into_inner().token,
        Some(first),
        "TK12"
    );
    assert_eq!(
        code(scene.resume(&shop.id).await),
        Code::FailedPrecondition,
        "TK3"
    );
    let revoked = v1::ListRequest {
        state: v1::TokenState::Revoked.into(),
        ..active("tooken-live")
    };
    assert_eq!(scene.list(revoked).await?.len(), 1, "TK7");
    // TK8, TK9: whoever watches hears of it, with the reason and without the secret.
    let event = watch.next().await?;
    assert!(!format!("{event:?}").contains(&shop_secret[15..]), "TK9");
    assert!(
        matches!(event, Event::Revoked(event) if event.token_id == shop.id && event.reason == "employee left"),
        "TK8, TK9"
    );
    // TK8, TK9: so does their own service, by a signed webhook with all it takes to clean up.
    let told = |all: &Vec<Received>| all.iter().any(|one| one.json()["data"]["id"] == shop.id.as_str());
    let hook = receiver
        .once(told)
        .await?
        .into_iter()
        .find(|one| told(&vec![one.clone()]));
    let hook = hook.ok_or("TK8: no webhook")?;
    assert!(hook.is_signed_with(&signing), "TK8");
    let message = hook.json();
    assert_eq!(message["type"], "token.revoked", "TK8");
    let data = &message["data"];
    assert_eq!(data["namespace"], "tooken-live", "TK9");
    assert_eq!(data["reason"], "employee left", "TK9");
    assert_eq!(
        (&data["name"], &data["subject"]),
        (&shop.name.as_str().into(), &shop.subject.as_str().into()),
        "TK9"
    );
    assert_eq!(data["scopes"], serde_json::json!(shop.scopes), "TK9");
    for field in ["actor", "time", "revision", "labels"] {
        assert!(!data[field].is_null(), "TK9: {field}");
    }
    assert!(!hook.body.contains(&shop_secret[15..]), "TK9");

    // TK10, TK14: all of a service, by how their names begin: looked at first, and not one more than was seen.
    let plan = scene.preview("tooken-live", "billing-").await?;
    assert_eq!((plan.count, plan.sample.len()), (3, 3), "TK14");
    let (_, late) = scene
        .issue(asked("tooken-live", "billing", "billing-late", &[]))
        .await?;
    assert_eq!(
        code(
            scene
                .carry_out(named("tooken-live", "billing-"), &plan.plan_token, 4)
                .await
                .map(drop)
        ),
        Code::FailedPrecondition,
        "TK14"
    );
    assert_eq!(
        scene.client.verdict(&billing[1].1).await?,
        Verdict::Accepted,
        "TK14: nothing was done"
    );
    assert_eq!(
        scene
            .carry_out(named("tooken-live", "billing-"), &plan.plan_token, 3)
            .await?,
        3,
        "TK10"
    );
    for (_, secret) in &billing[1..] {
        assert_eq!(scene.client.verdict(secret).await?, Verdict::Revoked, "TK10");
    }
    assert_eq!(
        scene.client.verdict(&late).await?,
        Verdict::Accepted,
        "TK10: it came later"
    );
    assert_eq!(
        scene.client.verdict(&tested).await?,
        Verdict::Accepted,
        "TK10: another environment"
    );

    // TK18: what nobody uses is found, looked at and revoked; what is in use is not among it.
    let (_, busy) = scene
        .issue(asked("tooken-live", "attic", "attic-busy", &[]))
        .await?;
    let (old, _) = scene
        .issue(asked("tooken-live", "attic", "attic-old", &[]))
        .await?;
    assert_eq!(scene.client.verdict(&busy).await?, Verdict::Accepted, "TK18");
    let used = v1::TokenFilter {
        name_prefix: "attic-busy".to_owned(),
        ..Default::default()
    };
    let since = loop {
        let listed = scene.list(matching("tooken-live", used.clone())).await?;
        if let Some(time) = listed.first().and_then(|token| token.last_use_time) {
            break time;
        }
        tokio::task::yield_now().await;
    };
    let mut unused = named("tooken-live", "attic-");
    if let Some(filter) = &mut unused.filter {
        filter.unused_since = Some(since);
    }
    let request = v1::RevokeMatchingRequest {
        selector: Some(unused.clone()),
        validate_only: true,
        ..Default::default()
    };
    let mut events = scene.client.tokens.revoke_matching(request).await?.into_inner();
    let Some(Matching::Preview(plan)) = events.message().await?.and_then(|message| message.event) else {
        return Err("no preview".into());
    };
    assert_eq!(
        (plan.count, plan.sample[0].id.as_str()),
        (1, old.id.as_str()),
        "TK18"
    );
    assert_eq!(scene.carry_out(unused, &plan.plan_token, 1).await?, 1, "TK18");
    assert_eq!(scene.client.verdict(&busy).await?, Verdict::Accepted, "TK18");

    // TK20: many at once; each answers for itself.
    let mut calls = tokio::task::JoinSet::new();
    let mut secrets = Vec::new();
    for number in 0..20 {
        let (token, secret) = scene
            .issue(asked("tooken-live", "shop", &format!("shop-{number}"), &[]))
            .await?;
        secrets.push(secret);
        let mut client = scene.client.clone();
        calls.spawn(async move { client.revoke(&token.id).await.map(drop) });
    }
    let mut unknown = scene.client.clone();
    calls.spawn(async move {
        unknown
            .revoke("0199a1b2-0000-7000-8000-000000000000")
            .await
            .map(drop)
    });
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 20, "TK20");
    for secret in &secrets {
        assert_eq!(scene.client.verdict(secret).await?, Verdict::Revoked, "TK20");
    }

    // TK17: someone leaves: all that was issued to them.
    let (_, of_ops) = scene.issue(asked("tooken-live", "dana", "laptop", &[])).await?;
    scene.revoke_issued("tooken-live", "dana").await?;
    assert_eq!(scene.client.verdict(&of_ops).await?, Verdict::Revoked, "TK17");

    // TK19: found in a log: the text itself is enough, and whether it was one is not told.
    let known = scene.leaked(&late).await?;
    let unknown = scene.leaked(&tested.replace("tok_test_", "tok_live_")).await?;
    assert_eq!(known, unknown, "TK19");
    assert_eq!(scene.client.verdict(&late).await?, Verdict::Revoked, "TK19");
    scene.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tooken_moves_in_on_sqlite() -> Outcome {
    walk(Place::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tooken_moves_in_on_postgres() -> Outcome {
    walk(Place::postgres().await?).await
}
