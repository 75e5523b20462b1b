//! Krokanti Notes: `kn_` and 40 hexadecimal characters, SHA-256, and tokens that manage nothing.

use super::*;

/// What its users hold, with the SHA-256 that it kept of each: made with Python's hashlib.
const HELD: [(&str, &str); 2] = [
    (
        "kn_0f1e2d3c4b5a69788796a5b4c3d2e1f000112233",
        "ee0c0c74c67a34b2f351fb184869dc5a1c1c2250c7f41d348c0714cb54fa3897",
    ),
    (
        "kn_89abcdef0123456789abcdef0123456789abcdef",
        "fh7QB5CsqRJpQoz1OJwTSLFQqq/PPA7uGE+1D5wiiUM=",
    ),
];

#[expect(
    clippy::too_many_lines,
    reason = "one product, from its first promise to its last"
)]
async fn walk(place: Place) -> Outcome {
    let mut scene = Scene::start(place).await?;
    let policy = v1::NamespacePolicy {
        name_required: true,
        rate_limit_default: Some(per_minute(100)),
        ..Default::default()
    };
    scene.create("notes", "kn_", hex(40), policy).await?;

    // KN2: what it kept is enough, in either spelling, and what its users hold works unchanged.
    let rows = HELD.map(|(text, kept)| {
        let digest = Digest::Sha256(kept.to_owned());
        row(&text[3..7], "ada", "Home Server Script", digest, &text[..7])
    });
    scene.import("notes", rows.to_vec()).await?;
    for (text, _) in HELD {
        assert_eq!(scene.client.verdict(text).await?, Verdict::Accepted, "KN2");
    }

    // KN1: the shape, and nothing of any other shape.
    let asked = v1::IssueRequest {
        labels: [("client".to_owned(), "mcp".to_owned())].into(),
        ..issue("notes", "ada", "Claude Code MCP")
    };
    let (token, secret) = scene.issue(asked.clone()).await?;
    let random = secret.strip_prefix("kn_").ok_or("KN1")?;
    assert!(
        random.len() == 40 && random.bytes().all(|b| b"0123456789abcdef".contains(&b)),
        "KN1"
    );
    for text in [
        "kn_",
        "kn_0f1e",
        &secret[..42],
        &secret.to_uppercase(),
        &format!("{secret}0"),
    ] {
        assert_eq!(
            scene.client.verdict(text).await?,
            Verdict::Malformed,
            "KN1: {text:?}"
        );
    }

    // KN6: a name is free text, and need not be unique. KN11: several at once. KN17: without an end.
    let (second, second_secret) = scene.issue(asked).await?;
    assert_eq!(
        (token.name.as_str(), &token.name),
        ("Claude Code MCP", &second.name),
        "KN6"
    );
    assert_ne!(token.id, second.id, "KN6");
    let (third, third_secret) = scene.issue(issue("notes", "ada", "Überwachung 🦀")).await?;
    assert_eq!(third.expire_time, None, "KN17");
    for secret in [&secret, &second_secret, &third_secret] {
        assert_eq!(scene.client.verdict(secret).await?, Verdict::Accepted, "KN11");
    }

    // KN3, KN4: shown once. What can be read later holds neither the text nor a part that would do.
    let read = format!(
        "{:?} {:?} {}",
        scene.get(&token.id).await?,
        scene.list(active("notes")).await?,
        scene.journal().await?
    );
    assert!(
        !read.contains(&secret) && !read.contains(&secret[11..]),
        "KN3, KN4"
    );
    let hint = &scene.get(&token.id).await?.secrets[0].hint;
    assert_eq!(*hint, format!("{}…", &secret[..7]), "KN3");

    // KN5: names and dates of those that work. KN15, KN16: what they are for, and on which device.
    let listed = scene.list(active("notes")).await?;
    assert_eq!(listed.len(), 5, "KN5");
    assert!(
        listed
            .iter()
            .all(|token| !token.name.is_empty() && token.create_time.is_some()),
        "KN5"
    );
    assert_eq!(
        listed
            .iter()
            .filter(|token| token.labels.get("client").is_some_and(|kind| kind == "mcp"))
            .count(),
        2,
        "KN15, KN16"
    );

    // KN5: and when it was last used. KN16: those that never were show as well.
    assert_eq!(scene.client.verdict(&secret).await?, Verdict::Accepted, "KN5");
    let used = scene
        .until(&token.id, |token| token.last_use_time.is_some())
        .await?;
    let listed = scene.list(active("notes")).await?;
    let shown = listed.iter().find(|listed| listed.id == token.id);
    assert_eq!(
        shown.and_then(|shown| shown.last_use_time),
        used.last_use_time,
        "KN5"
    );
    let unused = v1::TokenFilter {
        unused_since: used.last_use_time,
        ..Default::default()
    };
    let unused = scene.list(matching("notes", unused)).await?;
    assert!(unused.iter().any(|unused| unused.id == third.id), "KN16");
    assert!(unused.iter().all(|unused| unused.id != token.id), "KN16");

    // KN12: a hundred a minute; how many are left is told with every verdict.
    let judged = scene.client.verify(&secret, &[]).await?;
    let told = judged.rate_limit.unwrap_or_default();
    assert_eq!(told.limit, Some(per_minute(100)), "KN12");
    let limited = scene.too_many(&second_secret).await?;
    assert_eq!(limited.limit, Some(per_minute(100)), "KN12");

    // KN13: its tokens can call nothing, not even about themselves.
    let mut holder = scene.holder(&secret)?;
    for refused in [
        holder.issue("notes", &[]).await.map(drop),
        holder.revoke(&third.id).await.map(drop),
        holder.revoke(&token.id).await.map(drop),
    ] {
        assert_eq!(code(refused), Code::Unauthenticated, "KN13");
    }

    // KN10: who revokes can look first. KN7, KN9: it is over with the answer, though it was in every cache a moment ago.
    assert_eq!(scene.get(&token.id).await?.name, "Claude Code MCP", "KN10");
    let mut watch = scene.watch().await?;
    assert_eq!(scene.client.verdict(&secret).await?, Verdict::Accepted);
    let revoked = scene.revoke(&token.id, "accidentally exposed").await?;
    assert_eq!(scene.client.verdict(&secret).await?, Verdict::Revoked, "KN7, KN9");
    assert!(
        matches!(watch.next().await?, Event::Revoked(event) if event.token_id == token.id),
        "KN9"
    );
    assert_eq!(revoked.revoke_reason, "accidentally exposed", "KN16");

    // KN8: nothing leads back.
    assert_eq!(
        code(scene.resume(&token.id).await),
        Code::FailedPrecondition,
        "KN8"
    );
    assert_eq!(scene.revoke(&token.id, "again").await?, revoked, "KN8");
    assert_eq!(scene.client.verdict(&secret).await?, Verdict::Revoked, "KN8");

    // KN11: a new one beside the old one, and a sign that it has arrived.
    let overlap = at_first_use();
    let rotated = scene.rotate(&third.id, overlap).await?;
    assert_eq!(
        scene.client.verdict(&third_secret).await?,
        Verdict::Accepted,
        "KN11"
    );
    assert_eq!(scene.client.verdict(&rotated.1).await?, Verdict::Accepted, "KN11");
    let used = scene
        .until(&third.id, |token| token.secrets[1].first_use_time.is_some())
        .await?;
    assert!(used.secrets[0].retire_time.is_some(), "KN11");
    assert_eq!(
        scene.client.verdict(&third_secret).await?,
        Verdict::SecretRetired,
        "KN11"
    );

    // KN14: each of it is on record.
    let story = [EntryKind::TokenIssued, EntryKind::TokenRevoked];
    assert_eq!(scene.story(&token.id).await?, story, "KN14");
    let story = [
        EntryKind::TokenIssued,
        EntryKind::TokenRotated,
        EntryKind::TokenFirstUsed,
    ];
    assert_eq!(scene.story(&third.id).await?, story, "KN14");

    // KN14: and what somebody tried who may not.
    let (other, credential) = scene.client.issue("system", &["tokens.revoke:tasks"]).await?;
    assert_eq!(
        code(scene.holder(&credential)?.revoke(&third.id).await),
        Code::NotFound,
        "KN14"
    );
    let refused = scene.until_refused("notes", &third.id).await?;
    let told = (refused[0].method.as_str(), refused[0].actor.as_str());
    assert_eq!(
        told,
        ("TokenService/Revoke", format!("token:{}", other.id).as_str()),
        "KN14"
    );
    scene.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn krokanti_notes_moves_in_on_sqlite() -> Outcome {
    Box::pin(walk(Place::sqlite()?)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn krokanti_notes_moves_in_on_postgres() -> Outcome {
    Box::pin(walk(Place::postgres().await?)).await
}
