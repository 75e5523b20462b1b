//! One call of every RPC about endpoints of webhooks.

use tokenward::proto::v1;
use tonic::{Code, Status};

use crate::server::Client;

/// A name that no endpoint has.
const NOBODY: &str = "019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b";

/// About an endpoint that is not there. Whoever may ask is told so, which is an answer here: who else asks is told first
/// that they may not.
pub(super) async fn call(client: &mut Client, method: &str, namespace: String) -> Result<(), Status> {
    let endpoint_id = NOBODY.to_owned();
    let webhooks = &mut client.webhooks;
    let answer = match method {
        "CreateEndpoint" => {
            let request = v1::CreateEndpointRequest {
                namespace: namespace.clone(),
                url: "https://hooks.example/".to_owned(),
                ..Default::default()
            };
            let created = webhooks.create_endpoint(request).await?.into_inner();
            // Others are to have room for theirs.
            let request = v1::DeleteEndpointRequest {
                namespace,
                endpoint_id: created.endpoint.unwrap_or_default().endpoint_id,
                ..Default::default()
            };
            webhooks.delete_endpoint(request).await.map(drop)
        }
        "ListEndpoints" => {
            let request = v1::ListEndpointsRequest { namespace };
            webhooks.list_endpoints(request).await.map(drop)
        }
        "GetEndpoint" => {
            let request = v1::GetEndpointRequest {
                namespace,
                endpoint_id,
            };
            webhooks.get_endpoint(request).await.map(drop)
        }
        "UpdateEndpoint" => {
            let endpoint = v1::WebhookEndpoint {
                namespace,
                endpoint_id,
                description: "CRM".to_owned(),
                ..Default::default()
            };
            let request = v1::UpdateEndpointRequest {
                endpoint: Some(endpoint),
                ..Default::default()
            };
            webhooks.update_endpoint(request).await.map(drop)
        }
        "DeleteEndpoint" => {
            let request = v1::DeleteEndpointRequest {
                namespace,
                endpoint_id,
                ..Default::default()
            };
            webhooks.delete_endpoint(request).await.map(drop)
        }
        "RotateEndpointSecret" => {
            let request = v1::RotateEndpointSecretRequest {
                namespace,
                endpoint_id,
                ..Default::default()
            };
            webhooks.rotate_endpoint_secret(request).await.map(drop)
        }
        "TestEndpoint" => {
            let request = v1::TestEndpointRequest {
                namespace,
                endpoint_id,
            };
            webhooks.test_endpoint(request).await.map(drop)
        }
        _ => {
            let request = v1::ListDeliveriesRequest {
                namespace,
                endpoint_id,
                ..Default::default()
            };
            webhooks.list_deliveries(request).await.map(drop)
        }
    };
    match answer {
        Err(status) if status.code() == Code::NotFound && status.message().contains(NOBODY) => Ok(()),
        answer => answer,
    }
}
