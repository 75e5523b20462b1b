//! Who may call what: one table, and nothing is reached that it does not let through.
//!
//! The table says what a call needs at least. Which namespace it concerns is known only once its message is
//! read: that is asked where the message is, with `named`, or in `authority`, of the token that was found.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};

use super::Api;
use super::peer::{Identities, Peer};
use super::refused::{Named, Naming};
use super::status::Problem;
use crate::token::caller::Caller;
use crate::token::context::{Context, UserAgent};
use crate::token::id::Slug;
use crate::token::permission::Right;
use crate::token::secret::Secret;
use crate::token::usage::Outcome;
use crate::token::verdict::{Need, Verdict};
use crate::usage::{JudgedCall, Notes};
use crate::verify::{Consistency, Verifier};

/// What a call needs at least.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing: not even to say who calls.
    Nothing,
    /// Somebody who is recognised.
    Caller,
    /// The right, in some namespace.
    Right(Right),
    /// The right in some namespace, or over the token that the caller presents.
    RightOverToken(Right),
}

/// Every RPC of this package, by path.
pub const TABLE: &[(&str, Needs)] = &[
    (
        "/tokenward.v1.VerificationService/Verify",
        Needs::Right(Right::TokensVerify),
    ),
    (
        "/tokenward.v1.VerificationService/BatchVerify",
        Needs::Right(Right::TokensVerify),
    ),
    (
        "/tokenward.v1.TokenService/Issue",
        Needs::Right(Right::TokensIssue),
    ),
    (
        "/tokenward.v1.TokenService/Get",
        Needs::RightOverToken(Right::TokensList),
    ),
    ("/tokenward.v1.TokenService/List", Needs::Right(Right::TokensList)),
    (
        "/tokenward.v1.TokenService/Revoke",
        Needs::RightOverToken(Right::TokensRevoke),
    ),
    // What is listed on the way is asked for where the message is.
    (
        "/tokenward.v1.TokenService/RevokeMatching",
        Needs::Right(Right::TokensRevoke),
    ),
    (
        "/tokenward.v1.TokenService/RevokeLeaked",
        Needs::Right(Right::TokensRevokeLeaked),
    ),
    (
        "/tokenward.v1.TokenService/Rotate",
        Needs::RightOverToken(Right::TokensRotate),
    ),
    (
        "/tokenward.v1.TokenService/Update",
        Needs::Right(Right::TokensUpdate),
    ),
    (
        "/tokenward.v1.TokenService/Suspend",
        Needs::Right(Right::TokensUpdate),
    ),
    (
        "/tokenward.v1.TokenService/Resume",
        Needs::Right(Right::TokensUpdate),
    ),
    (
        "/tokenward.v1.TokenService/GetUsage",
        Needs::Right(Right::UsageRead),
    ),
    (
        "/tokenward.v1.TokenService/EraseUsage",
        Needs::Right(Right::UsageErase),
    ),
    (
        "/tokenward.v1.RevocationService/WatchRevocations",
        Needs::Right(Right::RevocationsWatch),
    ),
    (
        "/tokenward.v1.NamespaceService/CreateNamespace",
        Needs::Right(Right::NamespacesManage),
    ),
    (
        "/tokenward.v1.NamespaceService/GetNamespace",
        Needs::Right(Right::NamespacesList),
    ),
    (
        "/tokenward.v1.NamespaceService/ListNamespaces",
        Needs::Right(Right::NamespacesList),
    ),
    (
        "/tokenward.v1.NamespaceService/UpdateNamespace",
        Needs::Right(Right::NamespacesManage),
    ),
    (
        "/tokenward.v1.AuditService/ListEntries",
        Needs::Right(Right::AuditRead),
    ),
    (
        "/tokenward.v1.AuditService/GetHead",
        Needs::Right(Right::AuditRead),
    ),
    (
        "/tokenward.v1.AuditService/ListRefusedCalls",
        Needs::Right(Right::AuditRead),
    ),
    (
        "/tokenward.v1.AuditService/GetCheckpoint",
        Needs::Right(Right::AuditRead),
    ),
    (
        "/tokenward.v1.AuditService/ListCheckpoints",
        Needs::Right(Right::AuditRead),
    ),
    (
        "/tokenward.v1.AuditService/ListAccess",
        Needs::Right(Right::UsageRead),
    ),
    (
        "/tokenward.v1.AuditService/EraseAccess",
        Needs::Right(Right::UsageErase),
    ),
    (
        "/tokenward.v1.SubjectService/GetSubject",
        Needs::Right(Right::SubjectsList),
    ),
    (
        "/tokenward.v1.SubjectService/ListSubjects",
        Needs::Right(Right::SubjectsList),
    ),
    (
        "/tokenward.v1.SubjectService/UpdateSubject",
        Needs::Right(Right::SubjectsManage),
    ),
    (
        "/tokenward.v1.SubjectService/SuspendSubject",
        Needs::Right(Right::SubjectsManage),
    ),
    (
        "/tokenward.v1.SubjectService/ResumeSubject",
        Needs::Right(Right::SubjectsManage),
    ),
    (
        "/tokenward.v1.SubjectService/SetRateLimit",
        Needs::Right(Right::SubjectsManage),
    ),
    (
        "/tokenward.v1.SubjectService/RevokeIssued",
        Needs::Right(Right::SubjectsManage),
    ),
    ("/tokenward.v1.CallerService/GetCaller", Needs::Caller),
    (
        "/tokenward.v1.ImportService/Import",
        Needs::Right(Right::TokensImport),
    ),
    (
        "/tokenward.v1.WebhookService/CreateEndpoint",
        Needs::Right(Right::WebhooksManage),
    ),
    (
        "/tokenward.v1.WebhookService/GetEndpoint",
        Needs::Right(Right::WebhooksList),
    ),
    (
        "/tokenward.v1.WebhookService/ListEndpoints",
        Needs::Right(Right::WebhooksList),
    ),
    (
        "/tokenward.v1.WebhookService/UpdateEndpoint",
        Needs::Right(Right::WebhooksManage),
    ),
    (
        "/tokenward.v1.WebhookService/DeleteEndpoint",
        Needs::Right(Right::WebhooksManage),
    ),
    (
        "/tokenward.v1.WebhookService/RotateEndpointSecret",
        Needs::Right(Right::WebhooksManage),
    ),
    (
        "/tokenward.v1.WebhookService/TestEndpoint",
        Needs::Right(Right::WebhooksManage),
    ),
    (
        "/tokenward.v1.WebhookService/ListDeliveries",
        Needs::Right(Right::WebhooksList),
    ),
];

/// A balancer asks for the health before it knows anybody.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// What a call of `path` needs. Whatever is not in the table, reflection for one, needs a caller.
pub(super) fn needs(path: &str) -> Needs {
    if path.starts_with(HEALTH) {
        return Needs::Nothing;
    }
    let row = TABLE.iter().find(|(row, _)| *row == path);
    row.map_or(Needs::Caller, |(_, needs)| *needs)
}

/// Goes on only if `caller` may make a call that needs this.
pub(super) fn check(needs: Needs, caller: &Caller) -> Result<(), Problem> {
    let (allowed, right) = match needs {
        Needs::Nothing | Needs::Caller => return Ok(()),
        Needs::Right(right) => (caller.may_somewhere(right), right),
        Needs::RightOverToken(right) => (caller.may_on_some_token(right), right),
    };
    if allowed {
        Ok(())
    } else {
        Err(Problem::denied(right))
    }
}

/// Goes on only if `caller` has `right` in the namespace that a request names, be there such a one or not.
pub(super) fn named(caller: &Caller, right: Right, namespace: &Slug) -> Result<(), Problem> {
    if caller.may(right, namespace) {
        Ok(())
    } else {
        Err(Problem::PermissionDenied {
            permission: format!("{right}:{namespace}"),
        })
    }
}

/// Goes on only if `caller` has `right` everywhere.
pub(super) fn everywhere(caller: &Caller, right: Right) -> Result<(), Problem> {
    if caller.may_everywhere(right) {
        Ok(())
    } else {
        Err(Problem::PermissionDenied {
            permission: format!("{right}:*"),
        })
    }
}

/// Recognises who calls, by the credential in the headers, else by the certificate of the connection. The
/// text of the credential is taken out of the headers: nobody behind this has a use for it.
pub(super) async fn recognise<B>(
    (verifier, notes): (&Verifier, &Notes),
    identities: &Identities,
    request: &mut http::Request<B>,
) -> Result<Caller, Problem> {
    let bearer = bearer(request.headers_mut())?;
    let peer = request.extensions().get::<Peer>();
    if let Some(secret) = bearer {
        let origin = peer.map_or("", |peer| &*peer.origin);
        let address = peer.and_then(|peer| peer.address);
        let context = Context {
            address,
            user_agent: user_agent(request.headers()),
            ..Context::default()
        };
        let called = (request.method().as_str(), request.uri().path());
        return holder_of((verifier, notes), (origin, context, called), secret).await;
    }
    let names = peer.and_then(|peer| peer.names.as_deref());
    let (Some(peer), Some(names)) = (peer, names) else {
        return Err(Problem::Unauthenticated {
            what: "the call carries no credential",
        });
    };
    match identities.of(peer) {
        Some(identity) => Ok(Caller::certificate(
            identity.actor.clone(),
            Arc::clone(&identity.permissions),
        )),
        None => Err(Problem::NotIdentified {
            names: names.join(", "),
        }),
    }
}

/// The credential sent (RFC 6750, section 2.1).
fn bearer(headers: &mut HeaderMap) -> Result<Option<Secret>, Problem> {
    if headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        return Err(UNREADABLE);
    }
    let Some(value) = headers.remove(AUTHORIZATION) else {
        return Ok(None);
    };
    let text = value.to_str().ok();
    let (scheme, text) = text.and_then(|text| text.split_once(' ')).ok_or(UNREADABLE)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(UNREADABLE);
    }
    Ok(Some(Secret::new(text.trim_start_matches(' ').to_owned())))
}

fn user_agent(headers: &HeaderMap) -> UserAgent {
    let text = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    String::from_utf8_lossy(text.unwrap_or_default())
        .into_owned()
        .into()
}

const UNREADABLE: Problem = Problem::Unauthenticated {
    what: "the authorization metadata is not one value of the form `Bearer <credential>`",
};

/// Why a credential is not good is not for whoever presents it to know.
const NOT_GOOD: Problem = Problem::Unauthenticated {
    what: "the credential is not good",
};

async fn holder_of(
    (verifier, notes): (&Verifier, &Notes),
    (origin, context, (method, path)): (&str, Context, (&str, &str)),
    secret: Secret,
) -> Result<Caller, Problem> {
    // A product's token that can call nothing is not even looked up.
    let namespace = verifier.namespace_of(&secret).ok_or(NOT_GOOD)?;
    let self_management = namespace.policy.self_management;
    let is_credential = namespace.slug.as_str() == Slug::SYSTEM;
    if !is_credential && !self_management.lets_call() {
        return Err(NOT_GOOD);
    }
    // What it may do depends on the namespace, so it must be of that one.
    let mut need = Need {
        namespace: Some(namespace.slug.clone()),
        context,
        ..Need::default()
    };
    let judged = verifier
        .verify(secret, &need, Consistency::Leased, &origin)
        .await?;
    // Whoever presents what is no token fills no log.
    if let Some(token) = &judged.token {
        let (place, outcome) = (notes.access.admit(&namespace)?, Outcome::of(&judged.verdict));
        if place.wants(outcome) {
            (need.context.method, need.context.path) = (method.to_owned().into(), path.to_owned().into());
        }
        let call = JudgedCall {
            time: judged.time,
            outcome,
            token: Some(token),
            secret_version: judged.secret_version,
            caller: None,
            context: need.context,
        };
        notes.note(place, call);
    }
    let (Verdict::Accepted { secret_version, .. }, Some(token)) = (judged.verdict, judged.token) else {
        return Err(NOT_GOOD);
    };
    if is_credential {
        Ok(Caller::credential(token, secret_version))
    } else {
        Caller::holder(token, secret_version, self_management).ok_or(NOT_GOOD)
    }
}

/// The caller that was recognised before the call got here, if they still would be: the message may have taken
/// its time, and meanwhile they may have been withdrawn.
pub(super) async fn caller_of<T: Naming>(
    api: &Api,
    request: tonic::Request<T>,
) -> Result<(Arc<Caller>, T), Problem> {
    let (_, mut extensions, message) = request.into_parts();
    // Nobody gets past the admission without; if somebody did, this is where it ends.
    let caller = extensions.remove::<Arc<Caller>>().ok_or(NOT_GOOD)?;
    if let Some(named) = extensions.remove::<Named>() {
        named.are(message.names());
    }
    recognised_still(api, &caller).await?;
    Ok((caller, message))
}

/// Goes on only if `caller` would still be recognised. Asked again and again by calls that last.
pub(super) async fn recognised_still(api: &Api, caller: &Caller) -> Result<(), Problem> {
    let is_still = match caller.presented() {
        None => api.identities.still_have(caller),
        Some((token, secret_version)) => {
            let directory = api.verifier.directory();
            let namespace = directory.get(&token.namespace).ok_or(NOT_GOOD)?;
            caller.is_let(namespace.policy.self_management)
                && api.verifier.is_still_good(token, secret_version, caller).await?
        }
    };
    if is_still { Ok(()) } else { Err(NOT_GOOD) }
}
