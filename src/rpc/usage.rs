//! TokenService.GetUsage and TokenService.EraseUsage, and what is told of use wherever tokens are read.

use super::decode::Fields;
use super::{Api, Problem, convert, guard};
use crate::authority::UsageOf;
use crate::proto::v1;
use crate::token::Token;
use crate::token::caller::Caller;
use crate::token::id::TokenId;
use crate::token::permission::Right;
use crate::token::text::{Actor, Subject};
use crate::token::usage::{Outcome, Seen, Usage};

pub(super) async fn get_usage(
    api: &Api,
    caller: &Caller,
    request: &v1::GetUsageRequest,
) -> Result<v1::GetUsageResponse, Problem> {
    let mut fields = Fields::default();
    let Some(token_id) = fields.token_id(&request.token_id) else {
        return Err(fields.problem());
    };
    let (usage, since) = api.authority.usage(caller, token_id).await?;
    Ok(v1::GetUsageResponse {
        usage: Some(v1::TokenUsage {
            recorded_since: since.map(convert::timestamp),
            ..told(token_id, usage)
        }),
    })
}

pub(super) async fn erase_usage(
    api: &Api,
    caller: &Caller,
    request: v1::EraseUsageRequest,
) -> Result<v1::EraseUsageResponse, Problem> {
    let mut fields = Fields::default();
    let of = match (request.token_id, request.subject) {
        (id, None) => fields.token_id(&id).map(UsageOf::Token),
        (id, Some(named)) if id.is_empty() => {
            let namespace = fields.slug("subject.namespace", named.namespace);
            let subject = fields.take("subject.subject", Subject::try_from(named.subject));
            namespace
                .zip(subject)
                .map(|(namespace, subject)| UsageOf::Subject(namespace, subject))
        }
        (_, Some(_)) => {
            fields.wrong("subject", "must not be set together with token_id");
            None
        }
    };
    let Some(of) = of else {
        return Err(fields.problem());
    };
    if let UsageOf::Subject(namespace, _) = &of {
        guard::named(caller, Right::UsageErase, namespace)?;
    }
    let erased = api.authority.erase_usage(caller, of).await?;
    Ok(v1::EraseUsageResponse {
        erased_count: convert::count(erased),
    })
}

/// Tokens as they are shown where they are read: with what they were used for.
pub(super) async fn with_usage<'t>(
    api: &Api,
    tokens: impl IntoIterator<Item = &'t Token>,
) -> Result<Vec<v1::Token>, Problem> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let usages = api.store.usages(tokens.iter().map(|token| token.id).collect());
    let shown = tokens.iter().zip(usages.await?).map(|(token, usage)| {
        let shown = convert::token(token, &*api.clock);
        match usage {
            Some(usage) => with(shown, &usage),
            None => shown,
        }
    });
    Ok(shown.collect())
}

fn with(mut token: v1::Token, usage: &Usage) -> v1::Token {
    token.first_use_time = usage.first_use_time.map(convert::timestamp);
    token.last_use_time = usage.last_use_time().map(convert::timestamp);
    token.use_count = convert::count(usage.use_count());
    for (version, time) in &usage.secrets {
        let version = convert::signed(*version);
        if let Some(secret) = token.secrets.iter_mut().find(|secret| secret.version == version) {
            secret.last_use_time = Some(convert::timestamp(*time));
        }
    }
    token
}

fn told(token_id: TokenId, usage: Usage) -> v1::TokenUsage {
    let mut counts: Vec<_> = usage
        .counts
        .into_iter()
        .map(|(outcome, count)| v1::VerdictCount {
            verdict: verdict(outcome).into(),
            count: convert::count(count),
        })
        .collect();
    counts.sort_by_key(|count| count.verdict);
    let secrets = usage.secrets.into_iter().map(|(version, time)| v1::SecretUse {
        version: convert::signed(version),
        last_use_time: Some(convert::timestamp(time)),
    });
    v1::TokenUsage {
        token_id: token_id.to_string(),
        first_use_time: usage.first_use_time.map(convert::timestamp),
        last_use: usage.last_use.map(seen),
        last_refusal: usage.last_refusal.map(seen),
        counts,
        secrets: secrets.collect(),
        recorded_since: None,
    }
}

fn seen(seen: Seen) -> v1::TokenUse {
    v1::TokenUse {
        time: Some(convert::timestamp(seen.time)),
        verdict: verdict(seen.outcome).into(),
        secret_version: convert::signed(seen.secret_version),
        caller: seen.caller.map(Actor::into).unwrap_or_default(),
        address_prefix: seen
            .address_prefix
            .map(|prefix| prefix.to_string())
            .unwrap_or_default(),
        user_agent: seen.user_agent.into(),
    }
}

/// What a verdict is called.
pub(super) fn verdict(outcome: Outcome) -> v1::Verdict {
    match outcome {
        Outcome::Accepted => v1::Verdict::Accepted,
        Outcome::Malformed => v1::Verdict::Malformed,
        Outcome::Unknown => v1::Verdict::Unknown,
        Outcome::Expired => v1::Verdict::Expired,
        Outcome::Revoked => v1::Verdict::Revoked,
        Outcome::Suspended => v1::Verdict::Suspended,
        Outcome::InsufficientScope => v1::Verdict::InsufficientScope,
        Outcome::WrongNamespace => v1::Verdict::WrongNamespace,
        Outcome::SecretRetired => v1::Verdict::SecretRetired,
        Outcome::AddressNotAllowed => v1::Verdict::AddressNotAllowed,
        Outcome::RateLimited => v1::Verdict::RateLimited,
    }
}
