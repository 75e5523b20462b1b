//! One call of every RPC, about a given namespace and a given token.

use tokenward::proto::v1;
use tonic::Status;

use super::webhooks;
use crate::server::Client;

/// What the calls are about.
#[derive(Clone)]
pub(super) struct About {
    pub(super) namespace: String,
    pub(super) token_id: String,
    /// Each round creates its own.
    pub(super) fresh: String,
}

/// Calls the RPC at `path`; streams, until their first message.
#[expect(clippy::too_many_lines, reason = "an arm for each RPC there is")]
pub(super) async fn call(client: &mut Client, path: &str, about: &About) -> Result<(), Status> {
    let About {
        namespace,
        token_id,
        fresh,
    } = about.clone();
    let method = path.rsplit('/').next().unwrap_or_default();
    match method {
        "Verify" => {
            let request = verify(namespace);
            client.verification.verify(request).await.map(drop)
        }
        "BatchVerify" => {
            let requests = vec![verify(namespace)];
            let request = v1::BatchVerifyRequest { requests };
            client.verification.batch_verify(request).await.map(drop)
        }
        "Issue" => {
            let subject = "ada".to_owned();
            let request = v1::IssueRequest {
                namespace,
                subject,
                ..Default::default()
            };
            client.tokens.issue(request).await.map(drop)
        }
        "Get" => client.tokens.get(v1::GetRequest { token_id }).await.map(drop),
        "List" => {
            let request = v1::ListRequest {
                namespace,
                ..Default::default()
            };
            client.tokens.list(request).await.map(drop)
        }
        "Revoke" => client.revoke(&token_id).await.map(drop),
        "RevokeMatching" => {
            let selector = v1::TokenSelector {
                namespace,
                all_in_namespace: true,
                ..Default::default()
            };
            let request = v1::RevokeMatchingRequest {
                selector: Some(selector),
                validate_only: true,
                ..Default::default()
            };
            let stream = client.tokens.revoke_matching(request).await?;
            stream.into_inner().message().await.map(drop)
        }
        "RevokeLeaked" => {
            let request = v1::RevokeLeakedRequest {
                secret: verify(namespace).secret,
                ..Default::default()
            };
            client.tokens.revoke_leaked(request).await.map(drop)
        }
        "Rotate" => {
            let request = v1::RotateRequest {
                token_id,
                ..Default::default()
            };
            client.tokens.rotate(request).await.map(drop)
        }
        "Update" => {
            let token = v1::Token {
                id: token_id,
                name: "laptop".to_owned(),
                ..Default::default()
            };
            let request = v1::UpdateRequest {
                token: Some(token),
                ..Default::default()
            };
            client.tokens.update(request).await.map(drop)
        }
        "Suspend" => {
            let request = v1::SuspendRequest {
                token_id,
                ..Default::default()
            };
            client.tokens.suspend(request).await.map(drop)
        }
        "Resume" => {
            let request = v1::ResumeRequest {
                token_id,
                ..Default::default()
            };
            client.tokens.resume(request).await.map(drop)
        }
        "GetUsage" => {
            let request = v1::GetUsageRequest { token_id };
            client.tokens.get_usage(request).await.map(drop)
        }
        "EraseUsage" => {
            let request = v1::EraseUsageRequest {
                token_id,
                ..Default::default()
            };
            client.tokens.erase_usage(request).await.map(drop)
        }
        "WatchRevocations" => {
            let request = v1::WatchRevocationsRequest {
                namespaces: vec![namespace],
                ..Default::default()
            };
            let stream = client.revocations.watch_revocations(request).await?;
            stream.into_inner().message().await.map(drop)
        }
        "Import" => {
            let start = v1::ImportStart {
                namespace,
                import_id: "019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b".to_owned(),
                dry_run: false,
            };
            client.import(start, Vec::new()).await.map(drop)
        }
        "GetCaller" => client.caller.get_caller(v1::GetCallerRequest {}).await.map(drop),
        "ListEntries" => {
            let request = v1::ListEntriesRequest {
                namespace,
                ..Default::default()
            };
            client.audit.list_entries(request).await.map(drop)
        }
        "ListRefusedCalls" => {
            let request = v1::ListRefusedCallsRequest {
                namespace,
                ..Default::default()
            };
            client.audit.list_refused_calls(request).await.map(drop)
        }
        "ListAccess" => {
            let request = v1::ListAccessRequest {
                namespace,
                ..Default::default()
            };
            client.audit.list_access(request).await.map(drop)
        }
        "EraseAccess" => {
            let request = v1::EraseAccessRequest {
                namespace,
                token_id,
                ..Default::default()
            };
            client.audit.erase_access(request).await.map(drop)
        }
        "GetCheckpoint" => {
            let request = v1::GetCheckpointRequest {};
            client.audit.get_checkpoint(request).await.map(drop)
        }
        "ListCheckpoints" => {
            let request = v1::ListCheckpointsRequest::default();
            client.audit.list_checkpoints(request).await.map(drop)
        }
        "GetHead" => client.audit.get_head(v1::GetHeadRequest {}).await.map(drop),
        "GetSubject" | "ListSubjects" | "UpdateSubject" | "SuspendSubject" | "ResumeSubject"
        | "SetRateLimit" | "RevokeIssued" => subjects(client, method, namespace).await,
        "CreateEndpoint"
        | "GetEndpoint"
        | "ListEndpoints"
        | "UpdateEndpoint"
        | "DeleteEndpoint"
        | "RotateEndpointSecret"
        | "TestEndpoint"
        | "ListDeliveries" => webhooks::call(client, method, namespace).await,
        _ => namespaces(client, method, namespace, fresh).await,
    }
}

/// About a subject that nobody else asks about.
async fn subjects(client: &mut Client, method: &str, namespace: String) -> Result<(), Status> {
    let subject = "grace".to_owned();
    match method {
        "GetSubject" => {
            let request = v1::GetSubjectRequest { namespace, subject };
            client.subjects.get_subject(request).await.map(drop)
        }
        "ListSubjects" => {
            let request = v1::ListSubjectsRequest {
                namespace,
                ..Default::default()
            };
            client.subjects.list_subjects(request).await.map(drop)
        }
        "UpdateSubject" => {
            let subject = v1::Subject {
                namespace,
                subject,
                ..Default::default()
            };
            let request = v1::UpdateSubjectRequest {
                subject: Some(subject),
                ..Default::default()
            };
            client.subjects.update_subject(request).await.map(drop)
        }
        "SuspendSubject" => {
            let request = v1::SuspendSubjectRequest {
                namespace,
                subject,
                ..Default::default()
            };
            client.subjects.suspend_subject(request).await.map(drop)
        }
        "ResumeSubject" => {
            let request = v1::ResumeSubjectRequest {
                namespace,
                subject,
                ..Default::default()
            };
            client.subjects.resume_subject(request).await.map(drop)
        }
        "SetRateLimit" => {
            let request = v1::SetRateLimitRequest {
                namespace,
                subject,
                ..Default::default()
            };
            client.subjects.set_rate_limit(request).await.map(drop)
        }
        _ => {
            let request = v1::RevokeIssuedRequest {
                namespace,
                target: Some(v1::revoke_issued_request::Target::Subject(subject)),
                ..Default::default()
            };
            client.subjects.revoke_issued(request).await.map(drop)
        }
    }
}

async fn namespaces(
    client: &mut Client,
    method: &str,
    namespace: String,
    fresh: String,
) -> Result<(), Status> {
    match method {
        "CreateNamespace" => {
            let format = v1::SecretFormat {
                prefix: format!("{fresh}_"),
                body: Some(crate::server::native()),
            };
            let namespace = v1::Namespace {
                slug: fresh,
                format: Some(format),
                ..Default::default()
            };
            let request = v1::CreateNamespaceRequest {
                namespace: Some(namespace),
                ..Default::default()
            };
            client.namespaces.create_namespace(request).await.map(drop)
        }
        "GetNamespace" => {
            let request = v1::GetNamespaceRequest { namespace };
            client.namespaces.get_namespace(request).await.map(drop)
        }
        "ListNamespaces" => {
            let request = v1::ListNamespacesRequest::default();
            client.namespaces.list_namespaces(request).await.map(drop)
        }
        "UpdateNamespace" => {
            let namespace = v1::Namespace {
                slug: namespace,
                ..Default::default()
            };
            let request = v1::UpdateNamespaceRequest {
                namespace: Some(namespace),
                ..Default::default()
            };
            client.namespaces.update_namespace(request).await.map(drop)
        }
        unknown => Err(Status::unknown(format!("no call of {unknown} is known here"))),
    }
}

fn verify(namespace: String) -> v1::VerifyRequest {
    v1::VerifyRequest {
        secret: "kn_0123456789abcdef0123456789abcdef01234567".to_owned(),
        namespace,
        ..Default::default()
    }
}
