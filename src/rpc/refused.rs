//! Which calls count as refused, and what of them goes on record: who, which RPC, why, and what it named.

use std::sync::{Arc, OnceLock};

use http::{HeaderMap, Response};
use tonic::{Status, Streaming};
use tonic_types::StatusExt;

use super::status::Reason;
use crate::audit::Refusals;
use crate::proto::v1;
use crate::store::refused_calls::RefusedCall;
use crate::token::id::{Slug, TokenId};
use crate::token::text::Actor;

/// What a caller may not do, and what was decided against. Fields that are wrong, and servers that cannot, are neither.
const REFUSED: [Reason; 12] = [
    Reason::PermissionDenied,
    Reason::NotGrantable,
    // The caller may be one who may not know of the token.
    Reason::TokenNotFound,
    Reason::TokenRevoked,
    Reason::TokenExpired,
    Reason::FormatTagged,
    Reason::CountMismatch,
    Reason::PlanExpired,
    Reason::NotEntitled,
    Reason::PolicyViolated,
    Reason::TooManyTokens,
    Reason::SubjectSuspended,
];

/// Verify answers with verdicts, and is called too often for more.
const VERIFICATION: &str = "/tokenward.v1.VerificationService/";
const PACKAGE: &str = "/tokenward.v1.";

/// What a call names, once its message is read.
#[derive(Clone, Default, Debug)]
pub(super) struct Named(Arc<OnceLock<Names>>);

/// Ill-formed names are left out: they may be anything, a secret too.
#[derive(Clone, Default, Debug)]
pub(super) struct Names {
    namespace: Option<Slug>,
    token_id: Option<TokenId>,
}

impl Named {
    pub(super) fn are(&self, names: Names) {
        // A message is read once.
        let _ = self.0.set(names);
    }
}

impl Names {
    fn of(namespace: &str, token_id: &str) -> Names {
        Names {
            namespace: Slug::try_from(namespace.to_owned()).ok(),
            token_id: TokenId::parse(token_id).ok(),
        }
    }
}

/// A message that may name what it is about.
pub(super) trait Naming {
    fn names(&self) -> Names {
        Names::default()
    }
}

/// Whether refusals of calls of this path go on record.
pub(super) fn is_recorded(path: &str) -> bool {
    path.starts_with(PACKAGE) && !path.starts_with(VERIFICATION)
}

/// Puts the call on record if `response` refuses it.
pub(super) fn record<B>(
    refusals: &Refusals,
    actor: &Actor,
    path: &str,
    named: &Named,
    response: &Response<B>,
) {
    if let Some(reason) = refusal(response.headers()) {
        let about = named.0.get().cloned().unwrap_or_default();
        hand_over(refusals, actor.clone(), path, reason, about);
    }
}

/// Puts a call on record that was refused before its message was read.
pub(super) fn record_unread(refusals: &Refusals, actor: Actor, path: &str, reason: Reason) {
    if path.starts_with(PACKAGE) {
        hand_over(refusals, actor, path, reason, Names::default());
    }
}

fn hand_over(refusals: &Refusals, actor: Actor, path: &str, reason: Reason, names: Names) {
    refusals.record(actor, |actor, time| RefusedCall {
        time,
        actor,
        method: path.strip_prefix(PACKAGE).unwrap_or(path).to_owned(),
        reason: reason.as_str().to_owned(),
        namespace: names.namespace,
        token_id: names.token_id,
        unrecorded: 0,
    });
}

/// A call that fails before its first message says so in the headers.
fn refusal(headers: &HeaderMap) -> Option<Reason> {
    if headers.get("grpc-status")? == "0" {
        return None;
    }
    let details = Status::from_header_map(headers)?.get_error_details();
    let reason = &details.error_info()?.reason;
    REFUSED.into_iter().find(|refused| refused.as_str() == *reason)
}

macro_rules! names {
    ($($message:ident: |$request:ident| $namespace:expr, $token_id:expr;)*) => {
        $(
            impl Naming for v1::$message {
                fn names(&self) -> Names {
                    let $request = self;
                    Names::of($namespace, $token_id)
                }
            }
        )*
    };
}

names! {
    IssueRequest: |request| &request.namespace, "";
    GetRequest: |request| "", &request.token_id;
    ListRequest: |request| &request.namespace, "";
    RevokeRequest: |request| "", &request.token_id;
    RevokeMatchingRequest: |request| request.selector.as_ref().map_or("", |selector| &selector.namespace), "";
    RotateRequest: |request| "", &request.token_id;
    UpdateRequest: |request| "", request.token.as_ref().map_or("", |token| &token.id);
    SuspendRequest: |request| "", &request.token_id;
    ResumeRequest: |request| "", &request.token_id;
    CreateNamespaceRequest: |request| request.namespace.as_ref().map_or("", |namespace| &namespace.slug), "";
    GetNamespaceRequest: |request| &request.namespace, "";
    UpdateNamespaceRequest: |request| request.namespace.as_ref().map_or("", |namespace| &namespace.slug), "";
    GetSubjectRequest: |request| &request.namespace, "";
    ListSubjectsRequest: |request| &request.namespace, "";
    UpdateSubjectRequest: |request| request.subject.as_ref().map_or("", |subject| &subject.namespace), "";
    SuspendSubjectRequest: |request| &request.namespace, "";
    ResumeSubjectRequest: |request| &request.namespace, "";
    RevokeIssuedRequest: |request| &request.namespace, "";
    SetRateLimitRequest: |request| &request.namespace, "";
    GetUsageRequest: |request| "", &request.token_id;
    EraseUsageRequest: |request| request.subject.as_ref().map_or("", |subject| &subject.namespace), &request.token_id;
    CreateEndpointRequest: |request| &request.namespace, "";
    GetEndpointRequest: |request| &request.namespace, "";
    ListEndpointsRequest: |request| &request.namespace, "";
    UpdateEndpointRequest: |request| request.endpoint.as_ref().map_or("", |endpoint| &endpoint.namespace), "";
    DeleteEndpointRequest: |request| &request.namespace, "";
    RotateEndpointSecretRequest: |request| &request.namespace, "";
    TestEndpointRequest: |request| &request.namespace, "";
    ListDeliveriesRequest: |request| &request.namespace, "";
    ListEntriesRequest: |request| &request.namespace, &request.token_id;
    ListRefusedCallsRequest: |request| &request.namespace, &request.token_id;
    ListAccessRequest: |request| &request.namespace, &request.token_id;
    EraseAccessRequest: |request| &request.namespace, &request.token_id;
    WatchRevocationsRequest: |request| request.namespaces.first().map_or("", String::as_str), "";
}

impl Naming for v1::VerifyRequest {}
impl Naming for v1::BatchVerifyRequest {}
impl Naming for v1::RevokeLeakedRequest {}
impl Naming for v1::ListNamespacesRequest {}
impl Naming for v1::GetCallerRequest {}
impl Naming for v1::GetHeadRequest {}
impl Naming for v1::GetCheckpointRequest {}
impl Naming for v1::ListCheckpointsRequest {}
impl<T> Naming for Streaming<T> {}
