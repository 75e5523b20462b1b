//! `tokenward webhook`: where the events of a namespace are sent.

mod shown;

use std::process::ExitCode;
use std::time::Duration;

use prost_types::FieldMask;

use super::connect::{ANSWER_BYTES_MAX, Wire};
use super::failure::{Failure, Outcome};
use super::output::{self, bad, good, text};
use super::{Caller, PAGE_SIZE, repeatable, request_id, spelling};
use crate::proto::v1;
use crate::proto::v1::webhook_service_client::WebhookServiceClient;
use shown::{Deleted, Delivery, Endpoint, Tested};

#[derive(clap::Subcommand, Debug)]
pub(super) enum WebhookCommand {
    /// Create an endpoint and show its signing secret, once
    Create {
        /// Slug of the namespace
        #[arg(long, value_name = "SLUG")]
        namespace: String,
        /// Where its events are sent
        url: String,
        /// A kind of event to send, such as token.revoked; may be repeated [default: all]
        #[arg(long = "event", value_name = "KIND")]
        events: Vec<String>,
        /// What people call it
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        #[command(flatten)]
        retry: Retry,
    },
    /// List the endpoints of a namespace
    List {
        /// Slug of the namespace
        #[arg(long, value_name = "SLUG")]
        namespace: String,
    },
    /// Show one endpoint
    Get(Name),
    /// Change an endpoint
    Update {
        #[command(flatten)]
        name: Name,
        /// Where its events are sent from now on
        #[arg(long)]
        url: Option<String>,
        /// A kind of event to send, in place of all there are; may be repeated
        #[arg(long = "event", value_name = "KIND")]
        events: Vec<String>,
        /// Send all kinds of events
        #[arg(long, conflicts_with = "events")]
        all_events: bool,
        /// What people call it from now on
        #[arg(long)]
        description: Option<String>,
        /// Only if nobody has changed it since `get` showed this
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
    /// Send nothing until it is resumed
    Pause {
        #[command(flatten)]
        name: Name,
        /// Why; kept with the endpoint
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Send again, beginning with what happened meanwhile
    Resume(Name),
    /// Delete an endpoint with all that is known of its deliveries
    Delete(Name),
    /// Give an endpoint a new signing secret and show it, once
    RotateSecret {
        #[command(flatten)]
        name: Name,
        /// How long the secret before signs as well, at most 7d; 0s for one that leaked
        #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = spelling::span)]
        overlap: Duration,
        #[command(flatten)]
        retry: Retry,
    },
    /// Send a signed test and show what came back: exit 1 if it was not taken
    Test(Name),
    /// Show what became of the newest events
    Deliveries(Name),
}

#[derive(clap::Args, Debug)]
pub(super) struct Name {
    /// Slug of its namespace
    #[arg(long, value_name = "SLUG")]
    namespace: String,
    /// Id of the endpoint
    endpoint_id: String,
}

#[derive(clap::Args, Debug)]
pub(super) struct Retry {
    /// Makes a retry safe: a UUID, version 4 or 7
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

type Client = WebhookServiceClient<Wire>;

async fn client(caller: &Caller) -> Result<Client, Failure> {
    let client = WebhookServiceClient::new(caller.connect().await?);
    Ok(client.max_decoding_message_size(ANSWER_BYTES_MAX))
}

#[expect(clippy::too_many_lines, reason = "an arm for each command")]
pub(super) async fn run(command: WebhookCommand, caller: &Caller) -> Outcome {
    match command {
        WebhookCommand::Create {
            namespace,
            url,
            events,
            description,
            retry,
        } => {
            let request_id = request_id(retry.request_id);
            let request = v1::CreateEndpointRequest {
                namespace,
                url,
                events,
                description,
                request_id: request_id.clone(),
            };
            let answer = client(caller).await?.create_endpoint(request).await;
            let answer = answer
                .map_err(|status| repeatable(status, &request_id))?
                .into_inner();
            show(answer.endpoint, Some(answer.secret), caller)
        }
        WebhookCommand::List { namespace } => {
            let request = v1::ListEndpointsRequest { namespace };
            let answer = client(caller).await?.list_endpoints(request).await?.into_inner();
            let mut listing = caller.output.list(Endpoint::HEADER);
            let endpoints: Vec<_> = answer.endpoints.into_iter().map(Endpoint::from).collect();
            listing.page(&endpoints, Endpoint::row)?;
            listing.end("endpoints")?;
            Ok(ExitCode::SUCCESS)
        }
        WebhookCommand::Get(name) => {
            let request = v1::GetEndpointRequest {
                namespace: name.namespace,
                endpoint_id: name.endpoint_id,
            };
            let answer = client(caller).await?.get_endpoint(request).await?.into_inner();
            show(answer.endpoint, None, caller)
        }
        WebhookCommand::Update {
            name,
            url,
            events,
            all_events,
            description,
            etag,
        } => {
            let named = [
                ("url", url.is_some()),
                ("events", all_events || !events.is_empty()),
                ("description", description.is_some()),
            ];
            let paths = named.into_iter().filter(|(_, is_named)| *is_named);
            let paths: Vec<_> = paths.map(|(path, _)| path).collect();
            if paths.is_empty() {
                return Err(Failure::usage("nothing is to be changed").but("see --help"));
            }
            let endpoint = v1::WebhookEndpoint {
                url: url.unwrap_or_default(),
                events,
                description: description.unwrap_or_default(),
                etag,
                ..Default::default()
            };
            update(name, endpoint, &paths, caller).await
        }
        WebhookCommand::Pause { name, reason } => {
            let endpoint = v1::WebhookEndpoint {
                state: v1::EndpointState::Paused.into(),
                pause_reason: reason,
                ..Default::default()
            };
            update(name, endpoint, &["state"], caller).await
        }
        WebhookCommand::Resume(name) => {
            let endpoint = v1::WebhookEndpoint {
                state: v1::EndpointState::Active.into(),
                ..Default::default()
            };
            update(name, endpoint, &["state"], caller).await
        }
        WebhookCommand::Delete(name) => {
            let id = name.endpoint_id.clone();
            let request = v1::DeleteEndpointRequest {
                namespace: name.namespace,
                endpoint_id: name.endpoint_id,
                ..Default::default()
            };
            let answer = client(caller).await?.delete_endpoint(request).await?.into_inner();
            let deleted = Deleted {
                endpoint_id: id,
                cursor: answer.cursor,
            };
            caller.output.print(&deleted, || {
                output::facts(vec![("deleted", text(&deleted.endpoint_id))])
            })?;
            Ok(ExitCode::SUCCESS)
        }
        WebhookCommand::RotateSecret { name, overlap, retry } => {
            let request_id = request_id(retry.request_id);
            let request = v1::RotateEndpointSecretRequest {
                namespace: name.namespace,
                endpoint_id: name.endpoint_id,
                overlap: Some(spelling::to_proto_duration(overlap)),
                request_id: request_id.clone(),
            };
            let answer = client(caller).await?.rotate_endpoint_secret(request).await;
            let answer = answer
                .map_err(|status| repeatable(status, &request_id))?
                .into_inner();
            show(answer.endpoint, Some(answer.secret), caller)
        }
        WebhookCommand::Test(name) => test(name, caller).await,
        WebhookCommand::Deliveries(name) => deliveries(name, caller).await,
    }
}

async fn update(name: Name, endpoint: v1::WebhookEndpoint, paths: &[&str], caller: &Caller) -> Outcome {
    let request = v1::UpdateEndpointRequest {
        endpoint: Some(v1::WebhookEndpoint {
            namespace: name.namespace,
            endpoint_id: name.endpoint_id,
            ..endpoint
        }),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        ..Default::default()
    };
    let answer = client(caller).await?.update_endpoint(request).await?.into_inner();
    show(answer.endpoint, None, caller)
}

async fn test(name: Name, caller: &Caller) -> Outcome {
    let request = v1::TestEndpointRequest {
        namespace: name.namespace,
        endpoint_id: name.endpoint_id,
    };
    let answer = client(caller).await?.test_endpoint(request).await?.into_inner();
    let tested = Tested {
        delivered: answer.delivered,
        status: answer.status,
        error: answer.error,
        excerpt: answer.excerpt,
        event_id: answer.event_id,
    };
    caller.output.print(&tested, || {
        let took = if tested.delivered { good("yes") } else { bad("no") };
        let mut facts = vec![("taken", took), ("event", text(&tested.event_id))];
        if tested.status != 0 {
            facts.push(("status", text(&tested.status.to_string())));
            facts.push(("answer", text(&tested.excerpt)));
        } else {
            facts.push(("error", text(&tested.error)));
        }
        output::facts(facts)
    })?;
    Ok(if tested.delivered {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn deliveries(name: Name, caller: &Caller) -> Outcome {
    let mut client = client(caller).await?;
    let mut listing = caller.output.list(Delivery::HEADER);
    let mut page_token = String::new();
    loop {
        let request = v1::ListDeliveriesRequest {
            namespace: name.namespace.clone(),
            endpoint_id: name.endpoint_id.clone(),
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = client.list_deliveries(request).await?.into_inner();
        let deliveries: Vec<_> = page.deliveries.into_iter().map(Delivery::from).collect();
        listing.page(&deliveries, Delivery::row)?;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    listing.end("deliveries")?;
    Ok(ExitCode::SUCCESS)
}

fn show(endpoint: Option<v1::WebhookEndpoint>, secret: Option<String>, caller: &Caller) -> Outcome {
    let endpoint = Endpoint {
        secret,
        ..Endpoint::from(endpoint.unwrap_or_default())
    };
    caller
        .output
        .print(&endpoint, || output::facts(endpoint.facts()))?;
    Ok(ExitCode::SUCCESS)
}
