//! The methods of WebhookService, as tonic wants them.

use tonic::{Request, Response, Status};

use super::{Api, answer, guard, webhooks};
use crate::proto::v1;

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
