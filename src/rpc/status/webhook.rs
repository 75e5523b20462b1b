//! What whoever asked for a change to an endpoint of webhooks is told when it is not made.

use tonic::Status;

use super::Reason;
use crate::authority::WebhookError;
use crate::token::webhook::Endpoint;

pub(super) fn status(error: &WebhookError) -> Status {
    let message = error.to_string();
    match error {
        WebhookError::NotFound(id) => Reason::EndpointNotFound.about(message, "endpoint_id", id),
        WebhookError::TooMany(namespace) => {
            let limit = ("limit", Endpoint::COUNT_MAX.to_string());
            let namespace = ("namespace", namespace.to_string());
            Reason::TooManyEndpoints.with(message, &[namespace, limit], Vec::new())
        }
        WebhookError::SecretAlreadyShown(id) => Reason::SecretAlreadyShown.about(message, "endpoint_id", id),
        WebhookError::NotSealed => Reason::Internal.status(message),
    }
}
