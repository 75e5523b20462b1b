//! knowmind: `kmt_` and 48 base64url characters, kept as scrypt with a salt; scopes that are edited in place.

use super::*;

/// What a user holds, and what was kept of it: made with Python's hashlib.scrypt.
const HELD: &str = "kmt_aBcDeFgHiJkLmNoPqRsTuVwX-z0123456789_bCdEfGhIjKl";
const KEPT: &str = "$scrypt$ln=12,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$82goq8DN3gKLFL+OgLIiv77nVMZdfUz+XUTwCFQqeHI";

fn phone_label() -> std::collections::HashMap<String, String> {
    [("device".to_owned(), "phone".to_owned())].into()
}

#[expect(
    clippy::too_many_lines,
    reason = "one product, from its first promise to its last"
)]
async fn walk(place: Place) -> Outcome {
    let often = |options: &mut Options| {
        options.lifecycle.interval = std::time::Duration::from_secs(1);
    };
    let mut scene = Scene::start_with(place, often).await?;
    let policy = v1::NamespacePolicy {
        scope_catalogue: ["read", "write", "admin"].map(str::to_owned).to_vec(),
        rotation_due_after: Some(days(90)),
        entitled_plans: vec!["business".to_owned()],
        access_log: v1::AccessLog::All.into(),
        access_log_full: v1::AccessLogFull::Refuse.into(),
        access_log_whole_addresses: true,
        ..Default::default()
    };
    let base64url = Body::Base64url(v1::Base64UrlBody { length: 48 });
    scene.create("knowmind", "kmt_", base64url, policy).await?;

    // KM2: the salted hash is enough: the text works unchanged, and from then on without a slow hash.
    let kept = v1::ImportRow {
        scopes: vec!["read".to_owned()],
        create_time: Some(prost_types::Timestamp {
            seconds: 1_600_000_000,
            nanos: 0,
        }),
        ..row("1", "ada", "Laptop", Digest::Phc(KEPT.to_owned()), &HELD[..8])
    };
    scene.import("knowmind", vec![kept]).await?;
    let wrong = format!("{}A", &HELD[..HELD.len() - 1]);
    assert_eq!(scene.client.verdict(&wrong).await?, Verdict::Unknown, "KM2");
    let judged = scene.client.verify(HELD, &["read"]).await?;
    assert_eq!(judged.verdict(), Verdict::Accepted, "KM2");
    let imported = judged.token.unwrap_or_default().id;

    // KM22: who may not have tokens gets none.
    let asked = |name: &str, scopes: &[&str]| v1::IssueRequest {
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..issue("knowmind", "ada", name)
    };
    let refused = scene.issue(asked("CI", &["read"])).await.err().ok_or("KM22")?;
    assert_eq!(reason(&refused), "NOT_ENTITLED", "KM22");
    scene.plan("knowmind", "ada", "business").await?;

    // KM1: the shape. KM3: how it is shown in lists, and all that is kept of it. KM20: a dump of that opens nothing.
    let (token, secret) = scene.issue(asked("CI of Möbius", &["read"])).await?;
    let random = secret.strip_prefix("kmt_").ok_or("KM1")?;
    let base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    assert!(random.len() == 48 && random.bytes().all(base64url), "KM1");
    assert_eq!(token.secrets[0].hint, format!("{}…", &secret[..8]), "KM3");
    assert!(!scene.journal().await?.contains(&secret[12..]), "KM3, KM20");

    // KM4: read, write and admin, and nothing else. KM5: only what is needed.
    let refused = scene.issue(asked("CI", &["delete"])).await.err().ok_or("KM4")?;
    assert!(format!("{refused:?}").contains("delete"), "KM4: {refused:?}");
    assert_eq!(token.scopes, ["read"], "KM5");

    // KM13: what is missing is named, and it is no 401.
    let judged = scene.client.verify(&secret, &["write"]).await?;
    assert_eq!(
        (judged.verdict(), judged.missing_scopes),
        (Verdict::InsufficientScope, vec!["write".to_owned()]),
        "KM13"
    );
    assert_eq!(
        scene.client.verdict(&secret).await?,
        Verdict::Accepted,
        "KM13, KM24"
    );

    // KM14: edited in place, in force with the answer, and on record as it was and as it is.
    scene.rescope(&token.id, &["read", "write"]).await?;
    assert_eq!(
        scene.client.verify(&secret, &["write"]).await?.verdict(),
        Verdict::Accepted,
        "KM14"
    );
    let mut watch = scene.watch().await?;
    scene.rescope(&token.id, &["read"]).await?;
    assert_eq!(
        scene.client.verify(&secret, &["write"]).await?.verdict(),
        Verdict::InsufficientScope,
        "KM14"
    );
    assert!(
        matches!(watch.next().await?, Event::Narrowed(event) if event.token_id == token.id),
        "KM14"
    );

    // KM6: an end, where one is set.
    let ended = v1::IssueRequest {
        expiration: Some(v1::issue_request::Expiration::Ttl(seconds(1))),
        ..asked("Visitor", &["read"])
    };
    let (_, visitor) = scene.issue(ended).await?;
    scene.until_verdict(&visitor, Verdict::Expired).await?;

    // KM7: names, scopes; by label. KM15: one a device, told apart and ended by that.
    let phone = v1::IssueRequest {
        labels: phone_label(),
        ..asked("Phone", &["read", "write"])
    };
    let (phone, phone_secret) = scene.issue(phone).await?;
    let listed = scene
        .list(matching(
            "knowmind",
            v1::TokenFilter {
                labels: phone_label(),
                ..Default::default()
            },
        ))
        .await?;
    assert_eq!(
        listed.iter().map(|token| &token.id).collect::<Vec<_>>(),
        [&phone.id],
        "KM7, KM15"
    );
    assert_eq!(
        (listed[0].name.as_str(), &listed[0].scopes),
        ("Phone", &phone.scopes),
        "KM7"
    );

    // KM7, KM8: last used, by the clock of the server and well within the minute that knowmind promises.
    assert_eq!(
        scene.client.verdict(&phone_secret).await?,
        Verdict::Accepted,
        "KM8"
    );
    let used = scene
        .until(&phone.id, |token| token.last_use_time.is_some())
        .await?;
    assert!(
        used.use_count > 0 && used.secrets[0].last_use_time == used.last_use_time,
        "KM7, KM8"
    );

    // KM9, KM10, KM11: each call, which app it was, and from where it did what.
    scene.call_from(&phone_secret, "192.0.2.77", "/notes/1").await?;
    let calls = scene.until_called(&phone.id, 2).await?;
    assert!(
        calls
            .iter()
            .all(|call| call.verdict() == Verdict::Accepted && call.subject == "ada"),
        "KM9, KM10"
    );
    let told = [&calls[0].client_address, &calls[0].method, &calls[0].path];
    assert_eq!(told, ["192.0.2.77", "GET", "/notes/1"], "KM11");

    // KM16, KM17: a new secret, all else as it was; the old one goes when the new one has arrived. KM18: and every 90
    // days it is time, which is told.
    let (rotated, new) = scene.rotate(&phone.id, at_first_use()).await?;
    assert_eq!(
        (&rotated.name, &rotated.scopes, &rotated.labels),
        (&phone.name, &phone.scopes, &phone.labels),
        "KM16"
    );
    assert_eq!(
        scene.client.verdict(&phone_secret).await?,
        Verdict::Accepted,
        "KM17"
    );
    assert_eq!(scene.client.verdict(&new).await?, Verdict::Accepted, "KM17");
    scene
        .until(&phone.id, |token| token.secrets[1].first_use_time.is_some())
        .await?;
    assert_eq!(
        scene.client.verdict(&phone_secret).await?,
        Verdict::SecretRetired,
        "KM17"
    );

    // KM19: at once.
    scene.revoke(&phone.id, "stolen").await?;
    assert_eq!(scene.client.verdict(&new).await?, Verdict::Revoked, "KM19");

    // KM12: each with its instant. KM10: and with who did it.
    let entries = scene.entries(&phone.id).await?;
    let kinds: Vec<_> = entries.iter().map(v1::Entry::kind).collect();
    let story = [
        EntryKind::TokenIssued,
        EntryKind::TokenRotated,
        EntryKind::TokenFirstUsed,
        EntryKind::TokenRevoked,
    ];
    assert_eq!(kinds, story, "KM12");
    assert!(
        entries
            .iter()
            .all(|entry| entry.time.is_some() && !entry.actor.is_empty()),
        "KM10, KM12"
    );
    assert!(
        scene.story(&imported).await?.contains(&EntryKind::TokenImported),
        "KM12"
    );

    // KM18: more often, where that is asked for. One that is older is due, by itself and on record; a younger one is not.
    scene.rotate_after("knowmind", days(60)).await?;
    scene.until_told(&imported, EntryKind::TokenRotationDue).await?;
    let young = scene.story(&token.id).await?;
    assert!(!young.contains(&EntryKind::TokenRotationDue), "KM18");

    // KM21: the incident file has who did what when, and what the journal was found to be.
    let address = format!("http://{}", scene.running.address());
    let said = crate::cli::tokenward(&["--address", &address, "audit", "report", &phone.id], "")?;
    assert_eq!(said.code, Some(0), "KM21: {said:?}");
    for told in [
        &format!("# Token {}", phone.id),
        "- revoked because: stolen",
        "**token.rotated** by token:",
        "**token.first_used** by tokenward",
        "- intact: the links of",
    ] {
        assert!(said.out.contains(told), "KM21: {told}: {}", said.out);
    }
    scene.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn knowmind_moves_in_on_sqlite() -> Outcome {
    walk(Place::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn knowmind_moves_in_on_postgres() -> Outcome {
    walk(Place::postgres().await?).await
}
