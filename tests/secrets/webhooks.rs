//! Signing secrets of webhooks: made, shown again, rotated.

use tokenward::clock::{SystemEntropy, random};
use tokenward::proto::v1;
use tokenward::token::id::RequestId;
use tonic::Status;

use crate::Left;
use crate::server::Client;

/// An endpoint whose secret is made and rotated, each twice with one request id.
pub(crate) async fn webhooks(
    client: &mut Client,
    left: &mut Left,
    (secrets, request_ids): (&mut Vec<String>, &mut Vec<String>),
) -> Result<(), Status> {
    let request_id = || RequestId::new(random(&SystemEntropy)).expose();
    let create = v1::CreateEndpointRequest {
        namespace: "notes".to_owned(),
        url: "https://hooks.example/".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    left.shown("messages", &create);
    for _ in 0..2 {
        let created = client
            .webhooks
            .create_endpoint(create.clone())
            .await?
            .into_inner();
        left.shown("messages", &created);
        secrets.push(created.secret);
    }
    let list = v1::ListEndpointsRequest {
        namespace: "notes".to_owned(),
    };
    let listed = client.webhooks.list_endpoints(list).await?.into_inner();
    left.shown("messages", &listed);
    let rotate = v1::RotateEndpointSecretRequest {
        namespace: "notes".to_owned(),
        endpoint_id: listed
            .endpoints
            .into_iter()
            .next()
            .unwrap_or_default()
            .endpoint_id,
        request_id: request_id(),
        ..Default::default()
    };
    left.shown("messages", &rotate);
    for _ in 0..2 {
        let rotated = client
            .webhooks
            .rotate_endpoint_secret(rotate.clone())
            .await?
            .into_inner();
        left.shown("messages", &rotated);
        secrets.push(rotated.secret);
    }
    // The same again is the same, and no further secret.
    secrets.dedup();
    assert!(
        secrets
            .iter()
            .filter(|secret| secret.starts_with("whsec_"))
            .count()
            == 2
    );
    request_ids.extend([create.request_id, rotate.request_id]);
    Ok(())
}
