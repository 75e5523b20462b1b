//! The services, each method a line: who calls, then what is asked.

use tonic::{Request, Response, Status, Streaming};

use super::{
    Api, access, answer, audit, caller, evidence, guard, import, issue, list, namespaces, revoke,
    revoke_leaked, revoke_matching, rotate, subjects, suspend, update, usage, verify, watch, webhooks,
};
use crate::proto::v1;

#[tonic::async_trait]
impl v1::token_service_server::TokenService for Api {
    async fn issue(&self, request: Request<v1::IssueRequest>) -> Result<Response<v1::IssueResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(issue::issue(self, &caller, request).await)
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(list::get(self, &caller, &request).await)
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(list::list(self, &caller, request).await)
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeRequest>,
    ) -> Result<Response<v1::RevokeResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(revoke::revoke(self, &caller, request).await)
    }

    type RevokeMatchingStream = revoke_matching::Messages;

    async fn revoke_matching(
        &self,
        request: Request<v1::RevokeMatchingRequest>,
    ) -> Result<Response<revoke_matching::Messages>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(revoke_matching::revoke_matching(self, caller, request))
    }

    async fn revoke_leaked(
        &self,
        request: Request<v1::RevokeLeakedRequest>,
    ) -> Result<Response<v1::RevokeLeakedResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(revoke_leaked::revoke_leaked(self, &caller, request).await)
    }

    async fn rotate(
        &self,
        request: Request<v1::RotateRequest>,
    ) -> Result<Response<v1::RotateResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(rotate::rotate(self, &caller, request).await)
    }

    async fn update(
        &self,
        request: Request<v1::UpdateRequest>,
    ) -> Result<Response<v1::UpdateResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(update::update(self, &caller, request).await)
    }

    async fn suspend(
        &self,
        request: Request<v1::SuspendRequest>,
    ) -> Result<Response<v1::SuspendResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(suspend::suspend(self, &caller, request).await)
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeRequest>,
    ) -> Result<Response<v1::ResumeResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(suspend::resume(self, &caller, request).await)
    }

    async fn get_usage(
        &self,
        request: Request<v1::GetUsageRequest>,
    ) -> Result<Response<v1::GetUsageResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(usage::get_usage(self, &caller, &request).await)
    }

    async fn erase_usage(
        &self,
        request: Request<v1::EraseUsageRequest>,
    ) -> Result<Response<v1::EraseUsageResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(usage::erase_usage(self, &caller, request).await)
    }
}

#[tonic::async_trait]
impl v1::verification_service_server::VerificationService for Api {
    async fn verify(
        &self,
        request: Request<v1::VerifyRequest>,
    ) -> Result<Response<v1::VerifyResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(verify::verify(self, &caller, request).await)
    }

    async fn batch_verify(
        &self,
        request: Request<v1::BatchVerifyRequest>,
    ) -> Result<Response<v1::BatchVerifyResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(verify::batch_verify(self, &caller, request).await)
    }
}

#[tonic::async_trait]
impl v1::revocation_service_server::RevocationService for Api {
    type WatchRevocationsStream = watch::Revocations;

    async fn watch_revocations(
        &self,
        request: Request<v1::WatchRevocationsRequest>,
    ) -> Result<Response<watch::Revocations>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(watch::watch_revocations(self, &caller, request).await)
    }
}

#[tonic::async_trait]
impl v1::namespace_service_server::NamespaceService for Api {
    async fn create_namespace(
        &self,
        request: Request<v1::CreateNamespaceRequest>,
    ) -> Result<Response<v1::CreateNamespaceResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(namespaces::create_namespace(self, &caller, request).await)
    }

    async fn get_namespace(
        &self,
        request: Request<v1::GetNamespaceRequest>,
    ) -> Result<Response<v1::GetNamespaceResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(namespaces::get_namespace(self, &caller, request).await)
    }

    async fn list_namespaces(
        &self,
        request: Request<v1::ListNamespacesRequest>,
    ) -> Result<Response<v1::ListNamespacesResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(namespaces::list_namespaces(self, &caller, &request).await)
    }

    async fn update_namespace(
        &self,
        request: Request<v1::UpdateNamespaceRequest>,
    ) -> Result<Response<v1::UpdateNamespaceResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(namespaces::update_namespace(self, &caller, request).await)
    }
}

#[tonic::async_trait]
impl v1::subject_service_server::SubjectService for Api {
    async fn get_subject(
        &self,
        request: Request<v1::GetSubjectRequest>,
    ) -> Result<Response<v1::GetSubjectResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(subjects::get_subject(self, &caller, request).await)
    }

    async fn list_subjects(
        &self,
        request: Request<v1::ListSubjectsRequest>,
    ) -> Result<Response<v1::ListSubjectsResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(subjects::list_subjects(self, &caller, request).await)
    }

    async fn update_subject(
        &self,
        request: Request<v1::UpdateSubjectRequest>,
    ) -> Result<Response<v1::UpdateSubjectResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(subjects::update_subject(self, &caller, request).await)
    }

    async fn suspend_subject(
        &self,
        request: Request<v1::SuspendSubjectRequest>,
    ) -> Result<Response<v1::SuspendSubjectResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(subjects::suspend_subject(self, &caller, request).await)
    }

    async fn resume_subject(
        &self,
        request: Request<v1::ResumeSubjectRequest>,
    ) -> Result<Response<v1::ResumeSubjectResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(subjects::resume_subject(self, &caller, request).await)
    }

    async fn set_rate_limit(
        &self,
        request: Request<v1::SetRateLimitRequest>,
    ) -> Result<Response<v1::SetRateLimitResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(subjects::set_rate_limit(self, &caller, request).await)
    }

    async fn revoke_issued(
        &self,
        request: Request<v1::RevokeIssuedRequest>,
    ) -> Result<Response<v1::RevokeIssuedResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(subjects::revoke_issued(self, &caller, request).await)
    }
}

#[tonic::async_trait]
impl v1::caller_service_server::CallerService for Api {
    async fn get_caller(
        &self,
        request: Request<v1::GetCallerRequest>,
    ) -> Result<Response<v1::GetCallerResponse>, Status> {
        let (caller, v1::GetCallerRequest {}) = guard::caller_of(self, request).await?;
        answer(Ok(caller::get_caller(&caller)))
    }
}

#[tonic::async_trait]
impl v1::import_service_server::ImportService for Api {
    type ImportStream = import::Answers;

    async fn import(
        &self,
        request: Request<Streaming<v1::ImportRequest>>,
    ) -> Result<Response<import::Answers>, Status> {
        let (caller, requests) = guard::caller_of(self, request).await?;
        answer(Ok(import::import(self, caller, requests)))
    }
}

#[tonic::async_trait]
impl v1::audit_service_server::AuditService for Api {
    async fn list_entries(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Result<Response<v1::ListEntriesResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(audit::list_entries(self, &caller, request).await)
    }

    async fn get_head(
        &self,
        _: Request<v1::GetHeadRequest>,
    ) -> Result<Response<v1::GetHeadResponse>, Status> {
        answer(audit::get_head(self).await)
    }

    async fn list_refused_calls(
        &self,
        request: Request<v1::ListRefusedCallsRequest>,
    ) -> Result<Response<v1::ListRefusedCallsResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(evidence::list_refused_calls(self, &caller, request).await)
    }

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        let (_, v1::GetCheckpointRequest {}) = guard::caller_of(self, request).await?;
        answer(evidence::get_checkpoint(self).await)
    }

    async fn list_checkpoints(
        &self,
        request: Request<v1::ListCheckpointsRequest>,
    ) -> Result<Response<v1::ListCheckpointsResponse>, Status> {
        let (_, request) = guard::caller_of(self, request).await?;
        answer(evidence::list_checkpoints(self, request).await)
    }

    async fn list_access(
        &self,
        request: Request<v1::ListAccessRequest>,
    ) -> Result<Response<v1::ListAccessResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(access::list_access(self, &caller, request).await)
    }

    async fn erase_access(
        &self,
        request: Request<v1::EraseAccessRequest>,
    ) -> Result<Response<v1::EraseAccessResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(access::erase_access(self, &caller, request).await)
    }
}

#[tonic::async_trait]
impl v1::webhook_service_server::WebhookService for Api {
    async fn create_endpoint(
        &self,
        request: Request<v1::CreateEndpointRequest>,
    ) -> Result<Response<v1::CreateEndpointResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(webhooks::create_endpoint(self, &caller, request).await)
    }

    async fn get_endpoint(
        &self,
        request: Request<v1::GetEndpointRequest>,
    ) -> Result<Response<v1::GetEndpointResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(webhooks::get_endpoint(self, &caller, request).await)
    }

    async fn list_endpoints(
        &self,
        request: Request<v1::ListEndpointsRequest>,
    ) -> Result<Response<v1::ListEndpointsResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(webhooks::list_endpoints(self, &caller, request).await)
    }

    async fn update_endpoint(
        &self,
        request: Request<v1::UpdateEndpointRequest>,
    ) -> Result<Response<v1::UpdateEndpointResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(webhooks::update_endpoint(self, &caller, request).await)
    }

    async fn delete_endpoint(
        &self,
        request: Request<v1::DeleteEndpointRequest>,
    ) -> Result<Response<v1::DeleteEndpointResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(webhooks::delete_endpoint(self, &caller, request).await)
    }

    async fn rotate_endpoint_secret(
        &self,
        request: Request<v1::RotateEndpointSecretRequest>,
    ) -> Result<Response<v1::RotateEndpointSecretResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(webhooks::rotate_endpoint_secret(self, &caller, request).await)
    }

    async fn test_endpoint(
        &self,
        request: Request<v1::TestEndpointRequest>,
    ) -> Result<Response<v1::TestEndpointResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(webhooks::test_endpoint(self, &caller, request).await)
    }

    async fn list_deliveries(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        let (caller, request) = guard::caller_of(self, request).await?;
        answer(webhooks::list_deliveries(self, &caller, request).await)
    }
}
