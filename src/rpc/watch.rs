//! RevocationService.WatchRevocations.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio_stream::Stream;
use tonic::Status;

use super::decode::Fields;
use super::{Api, Problem, convert};
use crate::authority::AuthorityError;
use crate::journal::cursor::Cursor;
use crate::journal::narrowing::{Loss, Narrowing};
use crate::proto::v1;
use crate::proto::v1::watch_revocations_response::Event as Sent;
use crate::token::id::Slug;
use crate::watch::{Event, Message, Subscription, Wanted};

const NAMESPACES_MAX: usize = 100;
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
const HEARTBEAT_MAX: Duration = Duration::from_secs(1);

/// The messages of one watcher.
#[derive(Debug)]
pub struct Revocations(Subscription);

pub(super) async fn watch_revocations(
    api: &Api,
    request: v1::WatchRevocationsRequest,
) -> Result<Revocations, Problem> {
    let mut fields = Fields::default();
    let after = match request.cursor.as_str() {
        "" => None,
        text => fields.take("cursor", Cursor::parse(text)),
    };
    if request.namespaces.len() > NAMESPACES_MAX {
        let count = request.namespaces.len();
        fields.wrong(
            "namespaces",
            format_args!("must have at most {NAMESPACES_MAX} elements, not {count}"),
        );
        return Err(fields.problem());
    }
    let named = request.namespaces.into_iter().enumerate();
    let namespaces: Vec<Slug> = named
        .filter_map(|(i, slug)| fields.slug(&format!("namespaces[{i}]"), slug))
        .collect();
    let heartbeat = match request.heartbeat_interval {
        None => HEARTBEAT_MAX,
        Some(span) => {
            let span = fields.duration("heartbeat_interval", span, HEARTBEAT_MIN, Some(HEARTBEAT_MAX));
            span.unwrap_or(HEARTBEAT_MAX)
        }
    };
    fields.check()?;
    let directory = api.verifier.directory();
    if let Some(missing) = namespaces.iter().find(|slug| directory.get(slug).is_none()) {
        return Err(AuthorityError::NamespaceNotFound(missing.clone()).into());
    }
    let wanted = Wanted {
        after,
        namespaces: namespaces.into_iter().collect(),
        heartbeat,
    };
    Ok(Revocations(api.watch.open(wanted).await?))
}

impl Stream for Revocations {
    type Item = Result<v1::WatchRevocationsResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(context).map(|next| {
            next.map(|next| {
                next.map(message)
                    .map_err(|ended| Status::from(Problem::Ended(ended)))
            })
        })
    }
}

fn message(Message { cursor, event }: Message) -> v1::WatchRevocationsResponse {
    let event = match event {
        Event::Started => Sent::Started(v1::Started {}),
        Event::Heartbeat => Sent::Heartbeat(v1::Heartbeat {}),
        Event::Narrowed(narrowing) => narrowed(narrowing),
    };
    v1::WatchRevocationsResponse {
        cursor: cursor.to_string(),
        revision: convert::revision(cursor.revision),
        event: Some(event),
    }
}

fn narrowed(
    Narrowing {
        token_id,
        namespace,
        loss,
    }: Narrowing,
) -> Sent {
    let (token_id, namespace) = (token_id.to_string(), namespace.to_string());
    match loss {
        Loss::Revoked(withdrawal) => Sent::Revoked(v1::Revoked {
            token_id,
            namespace,
            time: Some(convert::timestamp(withdrawal.time)),
            reason: convert::reason(&withdrawal.reason),
        }),
        Loss::Suspended(withdrawal) => Sent::Suspended(v1::Suspended {
            token_id,
            namespace,
            time: Some(convert::timestamp(withdrawal.time)),
            reason: convert::reason(&withdrawal.reason),
        }),
        Loss::SecretRetired { version, retire_time } => Sent::SecretRetired(v1::SecretRetired {
            token_id,
            namespace,
            version: convert::version(version),
            retire_time: Some(convert::timestamp(retire_time)),
        }),
    }
}
