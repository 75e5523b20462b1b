//! VerificationService: Verify and BatchVerify.

use std::net::IpAddr;
use std::sync::Arc;

use super::decode::Fields;
use super::{Api, Problem, convert, guard};
use crate::journal::cursor::Cursor;
use crate::proto::v1;
use crate::proto::v1::consistency::Requirement;
use crate::token::caller::Caller;
use crate::token::context::Context;
use crate::token::id::Slug;
use crate::token::namespace::Namespace;
use crate::token::permission::Right;
use crate::token::scope::Scopes;
use crate::token::secret::Secret;
use crate::token::usage::Outcome;
use crate::token::verdict::{Need, Refusal, Verdict};
use crate::usage::JudgedCall;
use crate::usage::access::Place;
use crate::verify::{Consistency, Holder, Judged, Rate};

const BATCH_MAX: usize = 100;
/// Taken from a rate limit at once.
const COST_MAX: u32 = 1_000_000;

pub(super) async fn verify(
    api: &Api,
    caller: &Arc<Caller>,
    request: v1::VerifyRequest,
) -> Result<v1::VerifyResponse, Problem> {
    let mut fields = Fields::default();
    let asked = decode(&mut fields, "", request);
    fields.check()?;
    permitted(caller, &asked)?;
    let asked = admit(api, caller, asked)?;
    judge(api, caller, asked).await
}

pub(super) async fn batch_verify(
    api: &Api,
    caller: &Arc<Caller>,
    request: v1::BatchVerifyRequest,
) -> Result<v1::BatchVerifyResponse, Problem> {
    let mut fields = Fields::default();
    let count = request.requests.len();
    if !(1..=BATCH_MAX).contains(&count) {
        fields.wrong(
            "requests",
            format_args!("must have 1 to {BATCH_MAX} elements, not {count}"),
        );
        return Err(fields.problem());
    }
    let requests = request.requests.into_iter().enumerate();
    let asked: Vec<_> = requests
        .map(|(i, request)| decode(&mut fields, &format!("requests[{i}]."), request))
        .collect();
    fields.check()?;
    for asked in &asked {
        permitted(caller, asked)?;
    }
    // All of them before any is judged: none is taken from a limit for a call that is not answered.
    let asked: Result<Vec<_>, _> = asked.into_iter().map(|asked| admit(api, caller, asked)).collect();
    // All at once, so that the ones the cache does not hold share one look-up.
    let mut judging = tokio::task::JoinSet::new();
    for (position, asked) in asked?.into_iter().enumerate() {
        let (api, caller) = (api.clone(), Arc::clone(caller));
        judging.spawn(async move { (position, judge(&api, &caller, asked).await) });
    }
    let mut responses = vec![v1::VerifyResponse::default(); count];
    while let Some(judged) = judging.join_next().await {
        let (position, response) = judged.map_err(|_| Problem::Panicked)?;
        responses[position] = response?;
    }
    Ok(v1::BatchVerifyResponse { responses })
}

/// One token to judge, for what, and how well informed.
type Asked = (Secret, Need, Consistency);

fn decode(fields: &mut Fields, at: &str, request: v1::VerifyRequest) -> Asked {
    let secret = Secret::new(request.secret);
    let namespace = fields.optional(format_args!("{at}namespace"), request.namespace, Slug::try_from);
    let scopes = match request.required_scopes {
        names if names.is_empty() => Scopes::default(),
        names => fields
            .scopes(&format!("{at}required_scopes"), names)
            .unwrap_or_default(),
    };
    let consistency = consistency(fields, at, request.consistency);
    let cost = request.cost.map_or(Some(1), |cost| {
        let cost = u32::try_from(cost).ok().filter(|cost| *cost <= COST_MAX);
        let wanted = format_args!("must lie between 0 and {COST_MAX}");
        fields.take(format_args!("{at}cost"), cost.ok_or(wanted))
    });
    let told = request.context.unwrap_or_default();
    let address = |text: String| {
        let wanted = "must be an IPv4 or IPv6 address, without a port";
        text.parse::<IpAddr>().map_err(|_| wanted)
    };
    let address = fields.optional(
        format_args!("{at}context.client_address"),
        told.client_address,
        address,
    );
    let need = Need {
        namespace,
        scopes,
        context: Context {
            address,
            user_agent: told.user_agent.into(),
            method: told.method.into(),
            path: told.path.into(),
        },
        cost,
    };
    (secret, need, consistency)
}

fn consistency(fields: &mut Fields, at: &str, asked: Option<v1::Consistency>) -> Consistency {
    let Some(asked) = asked else {
        return Consistency::default();
    };
    match asked.requirement {
        Some(Requirement::AtLeast(text)) => fields
            .take(format_args!("{at}consistency.at_least"), Cursor::parse(&text))
            .map_or(Consistency::default(), Consistency::AtLeast),
        Some(Requirement::Strong(v1::Strong {})) => Consistency::Strong,
        None => {
            fields.wrong(format_args!("{at}consistency"), "must say at_least or strong");
            Consistency::default()
        }
    }
}

/// A namespace that a caller may not verify in is not one to it, whether there is one or not.
fn permitted(caller: &Caller, (_, need, _): &Asked) -> Result<(), Problem> {
    match &need.namespace {
        Some(namespace) => guard::named(caller, Right::TokensVerify, namespace),
        None => Ok(()),
    }
}

/// What is to be judged, and where it goes on record.
struct Admitted {
    asked: Asked,
    /// The namespace that the secret names.
    namespace: Option<Arc<Namespace>>,
    /// Whether the caller may not verify in that one.
    is_foreign: bool,
    place: Place,
}

/// Goes on only if there is room to put the call on record, where that must be.
fn admit(api: &Api, caller: &Caller, asked: Asked) -> Result<Admitted, Problem> {
    let namespace = api.verifier.namespace_of(&asked.0);
    let named = namespace.as_ref();
    let is_foreign = named.is_some_and(|namespace| !caller.may(Right::TokensVerify, &namespace.slug));
    let place = match named {
        Some(namespace) if !is_foreign => api.notes.access.admit(namespace)?,
        // A stranger fills no log, and hears of none.
        Some(_) | None => Place::default(),
    };
    Ok(Admitted {
        asked,
        namespace,
        is_foreign,
        place,
    })
}

async fn judge(api: &Api, caller: &Arc<Caller>, admitted: Admitted) -> Result<v1::VerifyResponse, Problem> {
    let Admitted {
        asked: (secret, need, consistency),
        namespace,
        is_foreign,
        place,
    } = admitted;
    let policy = namespace.as_ref().map(|namespace| &namespace.policy);
    // What is no token gets the answer that a token gets which is none to this caller.
    let secret = if is_foreign {
        Secret::new(String::new())
    } else {
        secret
    };
    let Judged {
        verdict,
        token,
        secret_version,
        time,
        rate,
        revision,
    } = api.verifier.verify(secret, &need, consistency, caller).await?;
    let call = JudgedCall {
        time,
        outcome: Outcome::of(&verdict),
        token: token.as_ref(),
        secret_version,
        caller: Some(caller),
        context: need.context,
    };
    api.notes.note(place, call);
    let mut response = v1::VerifyResponse {
        revision: convert::revision(revision),
        rate_limit: rate.as_ref().map(rate_limit_status),
        ..Default::default()
    };
    let verdict = match verdict {
        Verdict::Accepted {
            secret_version,
            cache_ttl,
        } => {
            response.cache_ttl = prost_types::Duration::try_from(cache_ttl).ok();
            response.token = token.map(|token| convert::verified_token(&token, secret_version, policy));
            v1::Verdict::Accepted
        }
        Verdict::Refused(Refusal::InsufficientScope {
            missing,
            secret_version,
        }) => {
            response.missing_scopes = convert::scopes(&missing);
            response.token = token.map(|token| convert::verified_token(&token, secret_version, policy));
            v1::Verdict::InsufficientScope
        }
        Verdict::Refused(Refusal::RateLimited { secret_version }) => {
            response.token = token.map(|token| convert::verified_token(&token, secret_version, policy));
            v1::Verdict::RateLimited
        }
        Verdict::Refused(refusal) => {
            let told = match &namespace {
                Some(namespace) if !is_foreign => caller.may(Right::TokensVerifyReason, &namespace.slug),
                Some(_) | None => caller.may_somewhere(Right::TokensVerifyReason),
            };
            if told {
                reason(&refusal)
            } else {
                v1::Verdict::Refused
            }
        }
    };
    response.verdict = verdict.into();
    Ok(response)
}

fn rate_limit_status(rate: &Rate) -> v1::RateLimitStatus {
    let holder = match rate.holder {
        Holder::Token => v1::RateLimitHolder::Token,
        Holder::Subject => v1::RateLimitHolder::Subject,
    };
    v1::RateLimitStatus {
        limit: Some(convert::rate_limit(rate.limit)),
        holder: holder.into(),
        remaining: i32::try_from(rate.remaining).unwrap_or(i32::MAX),
        reset: prost_types::Duration::try_from(rate.reset).ok(),
        retry_after: rate
            .retry_after
            .and_then(|wait| prost_types::Duration::try_from(wait).ok()),
    }
}

fn reason(refusal: &Refusal) -> v1::Verdict {
    match refusal {
        Refusal::Malformed => v1::Verdict::Malformed,
        Refusal::WrongNamespace => v1::Verdict::WrongNamespace,
        Refusal::Unknown => v1::Verdict::Unknown,
        Refusal::Revoked => v1::Verdict::Revoked,
        Refusal::Expired => v1::Verdict::Expired,
        Refusal::Suspended => v1::Verdict::Suspended,
        Refusal::SecretRetired => v1::Verdict::SecretRetired,
        Refusal::AddressNotAllowed => v1::Verdict::AddressNotAllowed,
        Refusal::InsufficientScope { .. } => v1::Verdict::InsufficientScope,
        Refusal::RateLimited { .. } => v1::Verdict::RateLimited,
    }
}
