//! The rules of a namespace, and what whoever breaks them is told.

use prost_types::FieldMask;
use tokenward::proto::v1::issue_request::Expiration;
use tokenward::proto::v1::overlap::Overlap;
use tokenward::proto::v1::{self, NamespacePolicy};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{Fallible, suspend};
use crate::refusal::refused;
use crate::server::{Client, Outcome, Server, hex};

pub(super) fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

fn every_rule() -> NamespacePolicy {
    NamespacePolicy {
        self_management: v1::SelfManagement::Own.into(),
        lifetime_default: Some(seconds(3600)),
        lifetime_max: Some(seconds(7200)),
        expiry_required: true,
        name_required: true,
        scope_catalogue: vec!["read".to_owned(), "write".to_owned()],
        tokens_per_subject_max: 2,
        entitled_plans: vec!["pro".to_owned(), "team".to_owned()],
        rotation_due_after: Some(seconds(90 * 86_400)),
        overlap_default: Some(v1::Overlap {
            overlap: Some(Overlap::FromFirstUse(seconds(60))),
        }),
        overlap_max: Some(seconds(600)),
        retired_use: v1::RetiredUse::Suspend.into(),
        retired_tolerance: Some(seconds(5)),
        rate_limit_default: Some(v1::RateLimit {
            requests: 100,
            period: Some(seconds(60)),
        }),
        rate_limit_subject_default: Some(v1::RateLimit {
            requests: 1000,
            period: Some(seconds(60)),
        }),
        access_log: v1::AccessLog::All.into(),
        access_log_full: v1::AccessLogFull::Refuse.into(),
        access_log_retention: Some(seconds(7 * 86_400)),
        access_log_whole_addresses: true,
        expiring_leads: vec![seconds(86_400), seconds(7 * 86_400)],
        unused_after: Some(seconds(60 * 86_400)),
        unused_action: v1::UnusedAction::Revoke.into(),
    }
}

pub(super) async fn update(
    client: &mut Client,
    policy: Option<NamespacePolicy>,
    paths: &[&str],
) -> Result<v1::Namespace, Status> {
    let request = v1::UpdateNamespaceRequest {
        namespace: Some(v1::Namespace {
            slug: "notes".to_owned(),
            policy,
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        ..Default::default()
    };
    let answer = client.namespaces.update_namespace(request).await?.into_inner();
    Ok(answer.namespace.unwrap_or_default())
}

#[tokio::test]
async fn every_rule_is_set_shown_and_taken_back_by_its_name() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let set = update(&mut client, Some(every_rule()), &["policy"]).await?;
    assert_eq!(set.policy, Some(every_rule()));
    // One that is named and not set is off; the others stay.
    let one = update(
        &mut client,
        None,
        &["policy.lifetime_max", "policy.entitled_plans"],
    )
    .await?;
    let without = NamespacePolicy {
        lifetime_max: None,
        entitled_plans: Vec::new(),
        ..every_rule()
    };
    assert_eq!(one.policy, Some(without.clone()));
    assert_ne!(one.etag, set.etag);
    let renamed = update(&mut client, None, &["display_name"]).await?;
    assert_eq!(renamed.policy, Some(without));
    // Rules that do not go together, with those that are there.
    let long = NamespacePolicy {
        overlap_default: Some(v1::Overlap {
            overlap: Some(Overlap::Duration(seconds(601))),
        }),
        ..Default::default()
    };
    let refusal = refused(update(&mut client, Some(long), &["policy.overlap_default"]).await)?;
    assert_eq!(refusal.fields, ["namespace.policy.overlap_default"]);
    let refusal = refused(update(&mut client, None, &["policy.prefix"]).await)?;
    assert_eq!(refusal.fields, ["update_mask.paths[0]"]);
    // The namespace of the credentials has no rules.
    let request = v1::UpdateNamespaceRequest {
        namespace: Some(v1::Namespace {
            slug: "system".to_owned(),
            policy: Some(every_rule()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let refusal = refused(client.namespaces.update_namespace(request).await)?;
    assert_eq!(refusal.fields, ["namespace.policy"]);
    server.stop().await
}

async fn issue(client: &mut Client, change: impl FnOnce(&mut v1::IssueRequest)) -> Result<v1::Token, Status> {
    let mut request = v1::IssueRequest {
        namespace: "notes".to_owned(),
        name: "Laptop".to_owned(),
        subject: "ada".to_owned(),
        scopes: vec!["read".to_owned()],
        ..Default::default()
    };
    change(&mut request);
    let issued = client.tokens.issue(request).await?.into_inner();
    Ok(issued.token.unwrap_or_default())
}

async fn set_plan(client: &mut Client, plan: &str) -> Outcome {
    let request = v1::UpdateSubjectRequest {
        subject: Some(v1::Subject {
            namespace: "notes".to_owned(),
            subject: "ada".to_owned(),
            plan: plan.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.subjects.update_subject(request).await?;
    Ok(())
}

/// The code, the reason and the metadata of a refusal, in order.
type Told = (Code, String, Vec<(String, String)>);

fn told(refused: Result<v1::Token, Status>) -> Fallible<Told> {
    let status = refused.err().ok_or("it was issued")?;
    let info = status.get_details_error_info().ok_or("without a reason")?;
    let mut metadata: Vec<_> = info.metadata.into_iter().collect();
    metadata.sort();
    Ok((status.code(), info.reason, metadata))
}

fn with(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn whoever_breaks_a_rule_is_told_which_and_what_would_be_right() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    update(&mut client, Some(every_rule()), &["policy"]).await?;
    for plan in ["", "free"] {
        if !plan.is_empty() {
            set_plan(&mut client, plan).await?;
        }
        assert_eq!(
            told(issue(&mut client, |_| {}).await)?,
            (
                Code::FailedPrecondition,
                "NOT_ENTITLED".to_owned(),
                with(&[("namespace", "notes"), ("plan", plan)])
            )
        );
    }
    set_plan(&mut client, "pro").await?;
    let broken = issue(&mut client, |request| {
        request.name.clear();
        request.scopes = vec!["read".to_owned(), "admin".to_owned()];
        request.expiration = Some(Expiration::Ttl(seconds(7201)));
    });
    let status = broken.await.err().ok_or("it was issued")?;
    assert_eq!(status.code(), Code::InvalidArgument);
    let wrong = status.get_details_bad_request().ok_or("without violations")?;
    let wrong: Vec<_> = wrong
        .field_violations
        .into_iter()
        .map(|violation| (violation.field, violation.description))
        .collect();
    let fields: Vec<_> = wrong.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["name", "expiration", "scopes"]);
    assert!(wrong[1].1.contains("2h"), "{wrong:?}");
    assert!(wrong[2].1.contains("has no admin: read, write"), "{wrong:?}");

    let first = issue(&mut client, |_| {}).await?;
    let life = first.expire_time.unwrap_or_default().seconds - first.create_time.unwrap_or_default().seconds;
    assert_eq!(life, 3600);
    issue(&mut client, |_| {}).await?;
    assert_eq!(
        told(issue(&mut client, |_| {}).await)?,
        (
            Code::FailedPrecondition,
            "TOO_MANY_TOKENS".to_owned(),
            with(&[("limit", "2"), ("namespace", "notes")])
        )
    );
    client.revoke(&first.id).await?;
    issue(&mut client, |_| {}).await?;
    client.subjects.suspend_subject(suspend("ada")).await?;
    let (code, reason, _) = told(issue(&mut client, |_| {}).await)?;
    assert_eq!(
        (code, reason.as_str()),
        (Code::FailedPrecondition, "SUBJECT_SUSPENDED")
    );
    server.stop().await
}

/// Of callers that race over two servers, as many get a token as there may be.
#[tokio::test]
async fn there_are_never_more_tokens_of_a_subject_than_there_may_be() -> Outcome {
    let (_store, servers, mut clients) = super::two_servers().await?;
    let rule = NamespacePolicy {
        tokens_per_subject_max: 5,
        ..Default::default()
    };
    update(&mut clients[0], Some(rule), &["policy"]).await?;
    let mut racing = tokio::task::JoinSet::new();
    for racer in 0..30 {
        let mut client = clients[racer % 2].clone();
        racing.spawn(async move { issue(&mut client, |_| {}).await.map_err(|status| status.code()) });
    }
    let (mut issued, mut refused) = (0, 0);
    while let Some(raced) = racing.join_next().await {
        match raced? {
            Ok(_) => issued += 1,
            Err(Code::FailedPrecondition) => refused += 1,
            Err(code) => return Err(format!("{code:?}").into()),
        }
    }
    assert_eq!((issued, refused), (5, 25));
    for server in servers {
        crate::server::stop(server).await?;
    }
    Ok(())
}
