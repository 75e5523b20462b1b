//! TokenService.Issue.

use super::decode::Fields;
use super::{Api, Problem, ask, convert, guard};
use crate::authority::{Issue, Lifetime};
use crate::proto::v1;
use crate::proto::v1::issue_request::Expiration;
use crate::token::caller::Caller;
use crate::token::id::Slug;
use crate::token::permission::Right;
use crate::token::policy::Policy;
use crate::token::text::{Name, Subject};
use crate::token::update::To;
use crate::token::{breach, issuing};

pub(super) async fn issue(
    api: &Api,
    caller: &Caller,
    request: v1::IssueRequest,
) -> Result<v1::IssueResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let namespace = fields.slug("namespace", request.namespace);
    if let Some(namespace) = &namespace {
        guard::named(caller, Right::TokensIssue, namespace)?;
    }
    let name = fields.take("name", Name::try_from(request.name));
    let subject = fields.take("subject", Subject::try_from(request.subject));
    let scopes = fields.scopes("scopes", request.scopes);
    if namespace
        .as_ref()
        .is_some_and(|slug| slug.as_str() == Slug::SYSTEM)
    {
        for breach in scopes.iter().flat_map(breach::of_permissions) {
            fields.wrong(breach.field(issuing::END), breach);
        }
    }
    let labels = fields.labels(request.labels);
    let lifetime = match request.expiration {
        None => Some(Lifetime::ByPolicy),
        Some(Expiration::ExpireTime(instant)) => {
            fields.timestamp("expire_time", instant).map(Lifetime::Until)
        }
        Some(Expiration::Ttl(ttl)) => fields
            .duration("ttl", ttl, Policy::SPAN_MIN, None)
            .map(Lifetime::For),
    };
    let networks = fields.networks("networks", &request.networks);
    let rate_limit = fields.rate_limit("rate_limit", request.rate_limit);
    let used = networks.zip(rate_limit);
    let issue = match (namespace, name, subject, scopes, labels, lifetime.zip(used)) {
        (
            Some(namespace),
            Some(name),
            Some(subject),
            Some(scopes),
            Some(labels),
            Some((lifetime, (To(networks), To(rate_limit)))),
        ) => {
            fields.check()?;
            Issue {
                namespace,
                name,
                subject,
                scopes,
                labels,
                lifetime,
                networks,
                rate_limit,
            }
        }
        _ => return Err(fields.problem()),
    };
    let issued = api.authority.issue(&ask, issue).await?;
    Ok(v1::IssueResponse {
        token: Some(convert::token(&issued.record.token, &*api.clock)),
        secret: issued.record.secret.expose().to_owned(),
        cursor: issued.cursor.to_string(),
    })
}
