//! Input that no honest client sends: each is refused with the documented reason, and nothing changes.

#![expect(
    clippy::assigning_clones,
    reason = "a row says what is wrong, not how it is copied"
)]

mod ground;
mod issue;
mod namespaces;
mod reads;
mod tokens;
mod updates;

use tokenward::proto::v1;
use tonic::{Code, Status};

use crate::refusal::{Refusal, refused};
use crate::server::{Client, Outcome, Server};
use ground::Ground;

/// A request to any of the calls.
pub(crate) enum Call {
    Issue(v1::IssueRequest),
    Get(v1::GetRequest),
    List(v1::ListRequest),
    Revoke(v1::RevokeRequest),
    Rotate(v1::RotateRequest),
    Update(Box<v1::UpdateRequest>),
    Suspend(v1::SuspendRequest),
    Resume(v1::ResumeRequest),
    Verify(v1::VerifyRequest),
    BatchVerify(v1::BatchVerifyRequest),
    Watch(v1::WatchRevocationsRequest),
    CreateNamespace(v1::CreateNamespaceRequest),
    GetNamespace(v1::GetNamespaceRequest),
    ListNamespaces(v1::ListNamespacesRequest),
    UpdateNamespace(v1::UpdateNamespaceRequest),
    ListEntries(v1::ListEntriesRequest),
}

/// How a call has to fail.
pub(crate) enum Expected {
    /// INVALID_FIELD, for exactly these.
    Fields(&'static [&'static str]),
    Reason(Code, &'static str),
    /// Refused before the service has seen it, so without a reason of its own.
    Unread(Code),
}

/// A call that has to fail.
pub(crate) type Row = (&'static str, Call, Expected);

impl Call {
    async fn send(self, client: &mut Client) -> Result<(), Status> {
        match self {
            Call::Issue(request) => client.tokens.issue(request).await.map(drop),
            Call::Get(request) => client.tokens.get(request).await.map(drop),
            Call::List(request) => client.tokens.list(request).await.map(drop),
            Call::Revoke(request) => client.tokens.revoke(request).await.map(drop),
            Call::Rotate(request) => client.tokens.rotate(request).await.map(drop),
            Call::Update(request) => client.tokens.update(*request).await.map(drop),
            Call::Suspend(request) => client.tokens.suspend(request).await.map(drop),
            Call::Resume(request) => client.tokens.resume(request).await.map(drop),
            Call::Verify(request) => client.verification.verify(request).await.map(drop),
            Call::BatchVerify(request) => client.verification.batch_verify(request).await.map(drop),
            Call::Watch(request) => client.revocations.watch_revocations(request).await.map(drop),
            Call::CreateNamespace(request) => client.namespaces.create_namespace(request).await.map(drop),
            Call::GetNamespace(request) => client.namespaces.get_namespace(request).await.map(drop),
            Call::ListNamespaces(request) => client.namespaces.list_namespaces(request).await.map(drop),
            Call::UpdateNamespace(request) => client.namespaces.update_namespace(request).await.map(drop),
            Call::ListEntries(request) => client.audit.list_entries(request).await.map(drop),
        }
    }
}

/// What is wrong with the answer, if anything is.
fn fault(answer: Result<(), Status>, expected: &Expected) -> Option<String> {
    let refusal = match refused(answer) {
        Ok(refusal) => refusal,
        Err(answered) => return Some(answered.to_owned()),
    };
    let right = match expected {
        Expected::Fields(fields) => {
            (refusal.code, refusal.reason.as_str()) == (Code::InvalidArgument, "INVALID_FIELD")
                && refusal.domain == "tokenward.v1"
                && refusal.fields == *fields
        }
        Expected::Reason(code, reason) => {
            (refusal.code, refusal.reason.as_str()) == (*code, *reason)
                && refusal.domain == "tokenward.v1"
                && refusal.fields.is_empty()
        }
        Expected::Unread(code) => refusal.code == *code && refusal.reason.is_empty(),
    };
    (!right).then(|| format!("{refusal:?}"))
}

#[tokio::test]
async fn every_malformed_request_is_refused_by_its_reason_and_changes_nothing() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    let ground = Ground::prepare(&mut client).await?;
    let before = client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
    let rows = [
        issue::issue_rows(),
        issue::expiry_rows(),
        ground.list_rows(),
        ground.revoke_rows(),
        ground.rotate_rows(),
        ground.update_rows(),
        ground.value_rows(),
        ground.suspend_rows(),
        reads::verify_rows(),
        ground.watch_rows(),
        ground.entry_rows(),
        namespaces::creation_rows(),
        ground.namespace_rows(),
    ];
    let mut faults = Vec::new();
    for (name, call, expected) in rows.into_iter().flatten() {
        if let Some(fault) = fault(call.send(&mut client).await, &expected) {
            faults.push(format!("{name}: {fault}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let after = client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
    assert_eq!(after, before);
    server.stop().await
}

/// Garbage is a verdict: whoever asks is not at fault for what its own client sent.
#[tokio::test]
async fn an_ill_formed_secret_is_refused_by_a_verdict_not_by_an_error() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client
        .create_namespace("notes", "kn_", crate::server::hex(40))
        .await?;
    let zeros = "0".repeat(40);
    for garbage in [
        "",
        "kn_",
        "Bearer kn_",
        "\0",
        "🦀",
        &format!(" kn_{zeros}"),
        &format!("kn_{zeros}0"),
        &format!("kt_{zeros}"),
        &format!("kn_{}", "A".repeat(40)),
        &"k".repeat(256),
        &"k".repeat(60_000),
    ] {
        assert_eq!(
            client.verdict(garbage).await?,
            v1::Verdict::Malformed,
            "{garbage:.50?}"
        );
    }
    assert_eq!(
        client.verdict(&format!("kn_{zeros}")).await?,
        v1::Verdict::Unknown
    );
    server.stop().await
}

/// A client takes no more than some kilobytes of headers, and an error travels in those.
#[tokio::test]
async fn an_error_stays_small_however_much_is_wrong() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    let bad = v1::VerifyRequest {
        required_scopes: vec!["A".to_owned(); 64],
        ..Default::default()
    };
    let batch = v1::BatchVerifyRequest {
        requests: vec![bad; 100],
    };
    let labels = (0..32).map(|n| (format!("{n}{}", "k".repeat(1500)), String::new()));
    let long_keys = v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: "ada".to_owned(),
        labels: labels.collect(),
        ..Default::default()
    };
    let mask = v1::UpdateNamespaceRequest {
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["slug".to_owned(); 9000],
        }),
        ..Default::default()
    };
    for call in [
        Call::BatchVerify(batch),
        Call::Issue(long_keys),
        Call::UpdateNamespace(mask),
    ] {
        let status = call.send(&mut client).await.err().ok_or("answered")?;
        assert!(status.message().len() + status.details().len() < 4096, "{status}");
        let refusal = Refusal::from(status);
        assert_eq!(refusal.reason, "INVALID_FIELD");
        assert!(!refusal.fields.is_empty());
    }
    server.stop().await
}
