//! `tokenward verify`: is this token good, and for what?

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;

use super::failure::Outcome;
use super::output::{self, bad, good, text};
use super::present::{self, SecretArgs};
use super::{Caller, view};
use crate::proto::v1;
use crate::proto::v1::consistency::Requirement;
use crate::proto::v1::verification_service_client::VerificationServiceClient;

#[derive(clap::Args, Debug)]
#[command(after_help = present::SOURCES)]
pub(super) struct VerifyArgs {
    /// Slug of the namespace the token must be of
    #[arg(long, value_name = "SLUG", default_value = "", hide_default_value = true)]
    namespace: String,
    /// A scope the token must have; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Judge with every change up to this cursor in mind, and wait for it if need be
    #[arg(
        long,
        value_name = "CURSOR",
        conflicts_with = "strong",
        allow_hyphen_values = true
    )]
    at_least: Option<String>,
    /// Ask the store itself
    #[arg(long)]
    strong: bool,
    /// Where the client calls from, for tokens that are good from some networks only
    #[arg(long, value_name = "IP")]
    client_address: Option<IpAddr>,
    /// How much to take from its rate limits; 0 only looks
    #[arg(long, value_name = "N")]
    cost: Option<i32>,
    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Serialize, Debug)]
struct Judgement {
    verdict: String,
    token: Option<VerifiedToken>,
    missing_scopes: Vec<String>,
    revision: i64,
    cache_ttl: Option<String>,
    rate_limit: Option<RateLimitStatus>,
}

#[derive(Serialize, Debug)]
struct RateLimitStatus {
    limit: Option<String>,
    holder: &'static str,
    remaining: i32,
    reset: Option<String>,
    retry_after: Option<String>,
}

#[derive(Serialize, Debug)]
struct VerifiedToken {
    id: String,
    namespace: String,
    name: String,
    subject: String,
    scopes: Vec<String>,
    labels: BTreeMap<String, String>,
    expire_time: Option<String>,
    secret_version: i32,
    rate_limit: Option<String>,
}

pub(super) async fn run(args: VerifyArgs, caller: &Caller) -> Outcome {
    let secret = args.secret.read()?;
    let channel = caller.connect().await?;
    let requirement = match args.at_least {
        Some(cursor) => Some(Requirement::AtLeast(cursor)),
        None => args.strong.then_some(Requirement::Strong(v1::Strong {})),
    };
    let consistency = requirement.map(|requirement| v1::Consistency {
        requirement: Some(requirement),
    });
    let request = v1::VerifyRequest {
        secret: secret.expose().to_owned(),
        namespace: args.namespace,
        required_scopes: args.scopes,
        consistency,
        context: args.client_address.map(|address| v1::RequestContext {
            client_address: address.to_string(),
            ..Default::default()
        }),
        cost: args.cost,
    };
    let answer = VerificationServiceClient::new(channel)
        .verify(request)
        .await?
        .into_inner();
    // Only this one value accepts; whatever a later version adds is a refusal.
    let code = match answer.verdict() {
        v1::Verdict::Accepted => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    };
    let judgement = Judgement::from(answer);
    caller
        .output
        .print(&judgement, || output::facts(judgement.facts()))?;
    Ok(code)
}

impl From<v1::VerifyResponse> for Judgement {
    fn from(answer: v1::VerifyResponse) -> Judgement {
        Judgement {
            verdict: view::verdict(answer.verdict()),
            token: answer.token.map(VerifiedToken::from),
            missing_scopes: answer.missing_scopes,
            revision: answer.revision,
            cache_ttl: answer.cache_ttl.map(|ttl| ttl.to_string()),
            rate_limit: answer.rate_limit.map(RateLimitStatus::from),
        }
    }
}

impl From<v1::RateLimitStatus> for RateLimitStatus {
    fn from(status: v1::RateLimitStatus) -> RateLimitStatus {
        RateLimitStatus {
            holder: match status.holder() {
                v1::RateLimitHolder::Unspecified => "",
                v1::RateLimitHolder::Token => "token",
                v1::RateLimitHolder::Subject => "subject",
            },
            limit: status.limit.map(view::rate_limit),
            remaining: status.remaining,
            reset: status.reset.map(|reset| reset.to_string()),
            retry_after: status.retry_after.map(|wait| wait.to_string()),
        }
    }
}

impl From<v1::VerifiedToken> for VerifiedToken {
    fn from(token: v1::VerifiedToken) -> VerifiedToken {
        VerifiedToken {
            id: token.id,
            namespace: token.namespace,
            name: token.name,
            subject: token.subject,
            scopes: token.scopes,
            labels: token.labels.into_iter().collect(),
            expire_time: token.expire_time.map(view::time),
            secret_version: token.secret_version,
            rate_limit: token.rate_limit.map(view::rate_limit),
        }
    }
}

impl Judgement {
    fn facts(&self) -> Vec<(&'static str, Cell)> {
        let verdict = match self.verdict.as_str() {
            "accepted" => good("accepted"),
            refusal => bad(refusal),
        };
        let mut facts = vec![("verdict", verdict)];
        let mut add = |name, value: &str| {
            if !value.is_empty() {
                facts.push((name, text(value)));
            }
        };
        add("missing", &self.missing_scopes.join(" "));
        if let Some(token) = &self.token {
            add("id", &token.id);
            add("namespace", &token.namespace);
            add("name", &token.name);
            add("subject", &token.subject);
            add("scopes", &token.scopes.join(" "));
            add("expires", token.expire_time.as_deref().unwrap_or("never"));
            add("version", &token.secret_version.to_string());
            add("rate limit", token.rate_limit.as_deref().unwrap_or_default());
        }
        if let Some(rate) = &self.rate_limit {
            let limit = rate.limit.as_deref().unwrap_or_default();
            let left = format!("{} of {limit}, of the {}", rate.remaining, rate.holder);
            add("remaining", &left);
            add("reset", rate.reset.as_deref().unwrap_or_default());
            add("retry after", rate.retry_after.as_deref().unwrap_or_default());
        }
        add("revision", &self.revision.to_string());
        facts
    }
}
