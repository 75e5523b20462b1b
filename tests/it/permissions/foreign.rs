//! What is none of a caller's business looks as if it were not there.

use tokenward::proto::v1::{self, Verdict};
use tonic::Status;
use tonic_types::StatusExt;

use super::calls::{About, call};
use super::{Scene, described, method};
use crate::server::Outcome;

/// A UUIDv7 that no server made.
const NOBODY: &str = "019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b";

/// All that a caller is told, with what it asked for blotted out.
fn told(status: &Status, asked: &[&str]) -> String {
    let info = status.get_details_error_info();
    let mut metadata: Vec<_> = info.iter().flat_map(|info| &info.metadata).collect();
    metadata.sort();
    let reason = info.as_ref().map(|info| &info.reason);
    let told = format!(
        "{:?} {} {reason:?} {metadata:?} {:?}",
        status.code(),
        status.message(),
        status.get_details_bad_request()
    );
    asked.iter().fold(told, |told, asked| told.replace(asked, "IT"))
}

#[tokio::test]
async fn a_foreign_namespace_and_none_are_told_in_the_same_words() -> Outcome {
    let mut scene = Scene::start().await?;
    let all: Vec<_> = [
        "tokens.issue",
        "tokens.list",
        "tokens.revoke",
        "tokens.revoke_leaked",
        "tokens.rotate",
        "tokens.update",
        "tokens.verify",
        "tokens.verify.reason",
        "revocations.watch",
        "namespaces.list",
        "audit.read",
        "tokens.import",
        "tokens.grant",
        "subjects.list",
        "subjects.manage",
        "webhooks.list",
        "webhooks.manage",
    ]
    .iter()
    .map(|right| match *right {
        "tokens.grant" => "tokens.grant:notes:*".to_owned(),
        right => format!("{right}:notes"),
    })
    .collect();
    let (_, mut caller) = scene.caller(&all).await?;
    let (foreign, _) = scene.admin.issue("tasks", &["read"]).await?;
    let mut compared = 0;
    for path in described()? {
        let mut answers = Vec::new();
        for (namespace, token_id) in [
            ("tasks", foreign.id.as_str()),
            ("nowhere", NOBODY),
            ("system", NOBODY),
        ] {
            let about = About {
                namespace: namespace.to_owned(),
                token_id: token_id.to_owned(),
                fresh: "fresh".to_owned(),
            };
            let answer = call(&mut caller, &path, &about).await;
            answers.push(answer.err().map(|status| told(&status, &[namespace, token_id])));
        }
        assert_eq!(answers[0], answers[1], "{path}");
        assert_eq!(answers[0], answers[2], "{path}");
        let names_nothing = [
            "GetCaller",
            "GetHead",
            "GetCheckpoint",
            "ListCheckpoints",
            "ListNamespaces",
            "RevokeLeaked",
        ]
        .contains(&method(&path));
        assert_eq!(answers[0].is_none(), names_nothing, "{path}: {answers:?}");
        compared += usize::from(!names_nothing);
    }
    assert_eq!(compared, 37);
    let listed = caller
        .namespaces
        .list_namespaces(v1::ListNamespacesRequest::default())
        .await?
        .into_inner();
    let slugs: Vec<_> = listed
        .namespaces
        .into_iter()
        .map(|namespace| namespace.slug)
        .collect();
    assert_eq!(slugs, ["notes"]);
    scene.server.stop().await
}

#[tokio::test]
async fn the_tokens_of_a_foreign_namespace_are_no_tokens() -> Outcome {
    let mut scene = Scene::start().await?;
    let reasons = |right: &str| format!("{right}:notes");
    let (_, mut caller) = scene
        .caller(&[reasons("tokens.verify"), reasons("tokens.verify.reason")])
        .await?;
    let (_, own) = scene.admin.issue("notes", &[]).await?;
    let (token, foreign) = scene.admin.issue("tasks", &[]).await?;
    let (_, credential) = scene.admin.issue("system", &["tokens.verify:notes"]).await?;
    assert_eq!(caller.verdict(&own).await?, Verdict::Accepted);
    let garbage = caller.verify("garbage", &[]).await?;
    assert_eq!(garbage.verdict(), Verdict::Malformed);
    for secret in [foreign.as_str(), "kt_garbage", &credential, "tokenward_garbage"] {
        assert_eq!(caller.verify(secret, &[]).await?, garbage, "{secret:.8}");
    }
    scene.admin.revoke(&token.id).await?;
    let after = caller.verify(&foreign, &[]).await?;
    assert_eq!((after.verdict(), after.token), (Verdict::Malformed, None));
    scene.server.stop().await
}

#[tokio::test]
async fn why_a_token_is_refused_is_told_to_those_who_may_know() -> Outcome {
    let mut scene = Scene::start().await?;
    let verify = "tokens.verify:notes".to_owned();
    let (_, mut plain) = scene.caller(std::slice::from_ref(&verify)).await?;
    let (_, mut knowing) = scene
        .caller(&[verify, "tokens.verify.reason:notes".to_owned()])
        .await?;
    let (revoked, revoked_secret) = scene.admin.issue("notes", &["read"]).await?;
    scene.admin.revoke(&revoked.id).await?;
    let (_, good) = scene.admin.issue("notes", &["read"]).await?;
    let unknown = "kn_0123456789abcdef0123456789abcdef01234567";
    for (secret, reason) in [
        (revoked_secret.as_str(), Verdict::Revoked),
        (unknown, Verdict::Unknown),
        ("kn_garbage", Verdict::Malformed),
        ("garbage", Verdict::Malformed),
    ] {
        assert_eq!(knowing.verdict(secret).await?, reason, "{secret:.8}");
        let told = plain.verify(secret, &[]).await?;
        assert_eq!(told.verdict(), Verdict::Refused, "{secret:.8}");
        assert_eq!(
            (told.token, told.cache_ttl, told.missing_scopes.len()),
            (None, None, 0)
        );
    }
    // 403 is not 401: who it is has been found out.
    for client in [&mut plain, &mut knowing] {
        assert_eq!(client.verdict(&good).await?, Verdict::Accepted);
        let lacking = client.verify(&good, &["write"]).await?;
        assert_eq!(lacking.verdict(), Verdict::InsufficientScope);
        assert_eq!(lacking.missing_scopes, ["write"]);
    }
    scene.server.stop().await
}
