//! RevocationService.WatchRevocations.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio_stream::Stream;
use tonic::Status;

use super::decode::Fields;
use super::{Api, Identities, Problem, convert, guard};
use crate::authority::AuthorityError;
use crate::journal::cursor::Cursor;
use crate::journal::narrowing::{Loss, Narrowing, Target};
use crate::proto::v1;
use crate::proto::v1::issued_revoked::Target as Revoked;
use crate::proto::v1::watch_revocations_response::Event as Sent;
use crate::token::caller::Caller;
use crate::token::id::Slug;
use crate::token::permission::Right;
use crate::watch::{Ended, Event, Message, Presented, Subscription, Wanted};

const NAMESPACES_MAX: usize = 100;
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
const HEARTBEAT_MAX: Duration = Duration::from_secs(1);

/// The messages of one watcher.
#[derive(Debug)]
pub struct Revocations {
    messages: Subscription,
    /// Whom the watcher was found among by a certificate.
    identified: Option<(Identities, Caller)>,
}

pub(super) async fn watch_revocations(
    api: &Api,
    caller: &Caller,
    request: v1::WatchRevocationsRequest,
) -> Result<Revocations, Problem> {
    let mut fields = Fields::default();
    let after = fields.optional("cursor", request.cursor.as_str(), Cursor::parse);
    if !fields.at_most("namespaces", NAMESPACES_MAX, request.namespaces.len()) {
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
    let namespaces = namespaces_for(api, caller, namespaces)?;
    let wanted = Wanted {
        after,
        namespaces,
        heartbeat,
        presented: caller.presented().map(|(token, secret_version)| Presented {
            token_id: token.id,
            secret_version,
        }),
    };
    Ok(Revocations {
        messages: api.watch.open(wanted, Arc::from(caller.actor().as_str())).await?,
        identified: caller
            .presented()
            .is_none()
            .then(|| (api.identities.clone(), caller.clone())),
    })
}

/// The namespaces to watch: those asked for, or without any those that the caller may watch; none means all.
fn namespaces_for(api: &Api, caller: &Caller, asked: Vec<Slug>) -> Result<BTreeSet<Slug>, Problem> {
    if asked.is_empty() {
        return Ok(if caller.may_everywhere(Right::RevocationsWatch) {
            BTreeSet::new()
        } else {
            caller.namespaces(Right::RevocationsWatch)
        });
    }
    for namespace in &asked {
        guard::named(caller, Right::RevocationsWatch, namespace)?;
    }
    let directory = api.verifier.directory();
    match asked.iter().find(|slug| directory.get(slug).is_none()) {
        Some(missing) => Err(AuthorityError::NamespaceNotFound(missing.clone()).into()),
        None => Ok(asked.into_iter().collect()),
    }
}

impl Revocations {
    fn is_withdrawn(&self) -> bool {
        let identified = self.identified.as_ref();
        identified.is_some_and(|(identities, caller)| !identities.still_have(caller))
    }
}

impl Stream for Revocations {
    type Item = Result<v1::WatchRevocationsResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.messages).poll_next(context));
        // A heartbeat comes often enough to see the end in time.
        let next = if self.is_withdrawn() {
            next.map(|_| Err(Ended::CallerWithdrawn))
        } else {
            next
        };
        Poll::Ready(next.map(|next| {
            next.map(message)
                .map_err(|ended| Status::from(Problem::Ended(ended)))
        }))
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
        target,
        namespace,
        loss,
    }: Narrowing,
) -> Sent {
    let namespace = namespace.to_string();
    let token_id = match &target {
        Target::Token(id) => id.to_string(),
        Target::Subject(_) | Target::Namespace => String::new(),
    };
    match (loss, target) {
        (Loss::IssuedRevoked(not_before), target) => Sent::IssuedRevoked(v1::IssuedRevoked {
            namespace,
            target: match target {
                Target::Subject(subject) => Some(Revoked::Subject(subject.to_string())),
                Target::Namespace => Some(Revoked::WholeNamespace(true)),
                Target::Token(_) => None,
            },
            not_before_time: Some(convert::timestamp(not_before.time)),
            reason: convert::reason(&not_before.reason),
        }),
        (Loss::Suspended(withdrawal), Target::Subject(subject)) => {
            Sent::SubjectSuspended(v1::SubjectSuspended {
                namespace,
                subject: subject.to_string(),
                time: Some(convert::timestamp(withdrawal.time)),
                reason: convert::reason(&withdrawal.reason),
            })
        }
        (Loss::Revoked(withdrawal), _) => Sent::Revoked(v1::Revoked {
            token_id,
            namespace,
            time: Some(convert::timestamp(withdrawal.time)),
            reason: convert::reason(&withdrawal.reason),
        }),
        (Loss::Suspended(withdrawal), _) => Sent::Suspended(v1::Suspended {
            token_id,
            namespace,
            time: Some(convert::timestamp(withdrawal.time)),
            reason: convert::reason(&withdrawal.reason),
        }),
        (Loss::Narrowed { time }, _) => Sent::Narrowed(v1::Narrowed {
            token_id,
            namespace,
            time: Some(convert::timestamp(time)),
        }),
        (Loss::SecretRetired { version, retire_time }, _) => Sent::SecretRetired(v1::SecretRetired {
            token_id,
            namespace,
            version: convert::signed(version),
            retire_time: Some(convert::timestamp(retire_time)),
        }),
    }
}
