//! Lists by what is known of tokens, in the order asked for.

use std::collections::BTreeSet;

use tokenward::proto::v1::{self, TokenState};
use tonic_types::StatusExt;

use crate::server::{Client, Outcome, Server, hex};

/// Every page of a list, under the names of the tokens.
async fn names(client: &mut Client, mut request: v1::ListRequest) -> Result<Vec<String>, tonic::Status> {
    let mut names = Vec::new();
    loop {
        let page = client.tokens.list(request.clone()).await?.into_inner();
        names.extend(page.tokens.into_iter().map(|token| token.name));
        if page.next_page_token.is_empty() {
            return Ok(names);
        }
        request.page_token = page.next_page_token;
    }
}

/// A server with three tokens that differ in everything.
async fn with_three() -> Result<(Server, Client), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    for (name, subject, scope, ttl) in [
        ("ci-b", "user:2", "read", Some(3_600)),
        ("laptop", "user:1", "write", None),
        ("ci-a", "user:1", "read", Some(60)),
    ] {
        let request = v1::IssueRequest {
            namespace: "notes".to_owned(),
            name: name.to_owned(),
            subject: subject.to_owned(),
            scopes: vec![scope.to_owned()],
            labels: [("team".to_owned(), scope.to_owned())].into(),
            expiration: ttl.map(|seconds| {
                v1::issue_request::Expiration::Ttl(prost_types::Duration { seconds, nanos: 0 })
            }),
            ..Default::default()
        };
        client.tokens.issue(request).await?;
    }
    Ok((server, client))
}

fn of_notes(order_by: &str, filter: v1::TokenFilter) -> v1::ListRequest {
    v1::ListRequest {
        namespace: "notes".to_owned(),
        page_size: 1,
        order_by: order_by.to_owned(),
        filter: Some(filter),
        ..Default::default()
    }
}

#[tokio::test]
async fn lists_come_in_the_order_asked_for() -> Outcome {
    let (server, mut client) = with_three().await?;
    let all = v1::TokenFilter::default;
    for (order_by, wanted) in [
        ("", ["ci-b", "laptop", "ci-a"]),
        ("create_time desc", ["ci-a", "laptop", "ci-b"]),
        ("name", ["ci-a", "ci-b", "laptop"]),
        ("name desc", ["laptop", "ci-b", "ci-a"]),
        ("expire_time", ["ci-a", "ci-b", "laptop"]),
        ("expire_time desc", ["laptop", "ci-b", "ci-a"]),
        ("subject", ["laptop", "ci-a", "ci-b"]),
    ] {
        assert_eq!(
            names(&mut client, of_notes(order_by, all())).await?,
            wanted,
            "{order_by}"
        );
    }
    server.stop().await
}

#[tokio::test]
async fn lists_are_filtered_and_counted() -> Outcome {
    let (server, mut client) = with_three().await?;
    let all = v1::TokenFilter::default;
    let text = str::to_owned;
    for (filter, wanted) in [
        (
            v1::TokenFilter {
                name_prefix: text("ci-"),
                ..all()
            },
            &["ci-b", "ci-a"][..],
        ),
        (
            v1::TokenFilter {
                name_contains: text("i-a"),
                ..all()
            },
            &["ci-a"],
        ),
        (
            v1::TokenFilter {
                scope: text("write"),
                ..all()
            },
            &["laptop"],
        ),
        (
            v1::TokenFilter {
                subject: text("user:1"),
                ..all()
            },
            &["laptop", "ci-a"],
        ),
        (
            v1::TokenFilter {
                labels: [(text("team"), text("read"))].into(),
                ..all()
            },
            &["ci-b", "ci-a"],
        ),
        (
            v1::TokenFilter {
                states: vec![TokenState::Revoked.into()],
                ..all()
            },
            &[],
        ),
    ] {
        assert_eq!(
            names(&mut client, of_notes("", filter.clone())).await?,
            wanted,
            "{filter:?}"
        );
        let counted = v1::ListRequest {
            with_total: true,
            ..of_notes("", filter)
        };
        let page = client.tokens.list(counted).await?.into_inner();
        assert_eq!(
            (page.total_estimate, page.total_is_exact),
            (i64::try_from(wanted.len())?, true)
        );
    }
    server.stop().await
}

#[tokio::test]
async fn what_is_wrong_with_a_filter_is_named() -> Outcome {
    let (server, mut client) = with_three().await?;
    let filter = v1::TokenFilter {
        token_ids: vec!["x".to_owned(); 1001],
        name_prefix: "a".repeat(201),
        scope: "no scope".to_owned(),
        labels: [("No".to_owned(), String::new())].into(),
        states: vec![0, 99],
        created_after: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        ..Default::default()
    };
    let refused = client.tokens.list(of_notes("shape", filter)).await;
    let details = refused.err().and_then(|status| status.get_details_bad_request());
    let violations = details
        .map(|details| details.field_violations)
        .unwrap_or_default();
    let fields: BTreeSet<_> = violations.into_iter().map(|violation| violation.field).collect();
    let wanted = [
        "filter.created_after",
        "filter.labels",
        "filter.name_prefix",
        "filter.scope",
        "filter.states[0]",
        "filter.states[1]",
        "filter.token_ids",
        "order_by",
    ];
    assert_eq!(fields, wanted.map(str::to_owned).into());
    server.stop().await
}
