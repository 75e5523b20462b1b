//! Lists: pages neither repeat nor skip, and filters leave out the rest and nothing else.

mod filters;
pub(crate) mod states;

use tokenward::proto::v1::{self, TokenState};
use tonic_types::StatusExt;

use crate::server::{Client, Outcome, Server, hex, native};

/// Every page of a namespace's tokens.
async fn pages(
    client: &mut Client,
    state: TokenState,
    page_size: i32,
) -> Result<Vec<Vec<String>>, tonic::Status> {
    let mut request = v1::ListRequest {
        namespace: "notes".to_owned(),
        page_size,
        state: state.into(),
        ..Default::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = client.tokens.list(request.clone()).await?.into_inner();
        pages.push(page.tokens.into_iter().map(|token| token.id).collect());
        if page.next_page_token.is_empty() {
            return Ok(pages);
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn pages_of_tokens_neither_repeat_nor_skip() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    client.create_namespace("tasks", "kt_", native()).await?;
    let mut issued = Vec::new();
    for _ in 0..10 {
        issued.push(client.issue("notes", &[]).await?.0.id);
        client.issue("tasks", &[]).await?;
    }
    let listed = pages(&mut client, TokenState::Unspecified, 3).await?;
    assert_eq!(listed.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3, 1]);
    assert_eq!(listed.concat(), issued);
    // A page that ends with the list has no successor.
    assert_eq!(pages(&mut client, TokenState::Unspecified, 5).await?.len(), 2);
    assert_eq!(
        pages(&mut client, TokenState::Unspecified, 0).await?,
        std::slice::from_ref(&issued)
    );

    let (revoked, active): (Vec<_>, Vec<_>) = issued.into_iter().enumerate().partition(|(n, _)| n % 3 == 0);
    let ids = |numbered: Vec<(usize, String)>| numbered.into_iter().map(|(_, id)| id).collect::<Vec<_>>();
    let (revoked, active) = (ids(revoked), ids(active));
    for id in &revoked {
        client.revoke(id).await?;
    }
    for page_size in [1, 3, 50] {
        assert_eq!(
            pages(&mut client, TokenState::Revoked, page_size).await?.concat(),
            revoked
        );
        assert_eq!(
            pages(&mut client, TokenState::Active, page_size).await?.concat(),
            active
        );
        assert!(
            pages(&mut client, TokenState::Expired, page_size)
                .await?
                .concat()
                .is_empty()
        );
    }
    server.stop().await
}

#[tokio::test]
async fn a_page_token_is_good_for_its_own_list_alone() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    for (slug, prefix) in [("notes", "kn_"), ("tasks", "kt_")] {
        client.create_namespace(slug, prefix, native()).await?;
        for _ in 0..3 {
            client.issue(slug, &[]).await?;
        }
    }
    let first = v1::ListRequest {
        namespace: "notes".to_owned(),
        page_size: 1,
        ..Default::default()
    };
    let token = client
        .tokens
        .list(first.clone())
        .await?
        .into_inner()
        .next_page_token;
    let next = |change: &dyn Fn(&mut v1::ListRequest)| {
        let mut request = v1::ListRequest {
            page_token: token.clone(),
            ..first.clone()
        };
        change(&mut request);
        request
    };
    assert!(
        client
            .tokens
            .list(next(&|request| request.page_size = 2))
            .await
            .is_ok()
    );
    let changed = [
        next(&|request| request.namespace = "tasks".to_owned()),
        next(&|request| request.state = TokenState::Active.into()),
        next(&|request| request.order_by = "name".to_owned()),
        next(&|request| request.order_by = "create_time desc".to_owned()),
        next(&|request| {
            request.filter = Some(v1::TokenFilter {
                subject: "ada".to_owned(),
                ..Default::default()
            });
        }),
        next(&|request| request.page_token.insert(0, 'A')),
        next(&|request| request.page_token = request.page_token.chars().rev().collect()),
    ];
    for request in changed {
        let refused = client.tokens.list(request.clone()).await;
        let reason = refused.err().and_then(|status| status.get_details_error_info());
        let reason = reason.map(|info| info.reason);
        assert_eq!(reason.as_deref(), Some("PAGE_TOKEN_INVALID"), "{request:?}");
    }
    server.stop().await
}

#[tokio::test]
async fn pages_of_namespaces_neither_repeat_nor_skip() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    let mut slugs: Vec<String> = ('a'..='g').map(String::from).collect();
    for slug in slugs.iter().rev() {
        client
            .create_namespace(slug, &format!("{slug}_"), native())
            .await?;
    }
    let mut request = v1::ListNamespacesRequest {
        page_size: 3,
        ..Default::default()
    };
    let mut listed = Vec::new();
    loop {
        let page = client
            .namespaces
            .list_namespaces(request.clone())
            .await?
            .into_inner();
        assert!(page.namespaces.len() <= 3);
        listed.extend(page.namespaces.into_iter().map(|namespace| namespace.slug));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    // Where the credentials are.
    slugs.push("system".to_owned());
    assert_eq!(listed, slugs);
    server.stop().await
}

/// Every entry that passes the filter, in pages of 3.
async fn entries(
    client: &mut Client,
    namespace: &str,
    token_id: &str,
) -> Result<Vec<v1::Entry>, tonic::Status> {
    let mut request = v1::ListEntriesRequest {
        page_size: 3,
        namespace: namespace.to_owned(),
        token_id: token_id.to_owned(),
        ..Default::default()
    };
    let mut entries = Vec::new();
    loop {
        let page = client.audit.list_entries(request.clone()).await?.into_inner();
        assert!(page.entries.len() <= 3);
        entries.extend(page.entries);
        if page.next_page_token.is_empty() {
            return Ok(entries);
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn the_journal_is_listed_whole_by_namespace_and_by_token() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    client.create_namespace("tasks", "kt_", native()).await?;
    let (token, _) = client.issue("notes", &[]).await?;
    for _ in 0..4 {
        client.issue("tasks", &[]).await?;
        client.issue("notes", &[]).await?;
    }
    client.revoke(&token.id).await?;

    let all = entries(&mut client, "", "").await?;
    let head = client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
    let revisions: Vec<i64> = all.iter().map(|entry| entry.revision).collect();
    assert_eq!(revisions, (1..=head.revision).collect::<Vec<_>>());
    assert_eq!(all.last().map(|entry| &entry.link), Some(&head.link));
    let of = |wanted: &dyn Fn(&v1::Entry) -> bool| -> Vec<v1::Entry> {
        all.iter().filter(|entry| wanted(entry)).cloned().collect()
    };
    let notes = entries(&mut client, "notes", "").await?;
    assert_eq!(notes.len(), 7);
    assert_eq!(notes, of(&|entry| entry.namespace == "notes"));
    let token_s = entries(&mut client, "", &token.id).await?;
    assert_eq!(
        token_s.iter().map(v1::Entry::kind).collect::<Vec<_>>(),
        [v1::EntryKind::TokenIssued, v1::EntryKind::TokenRevoked]
    );
    assert_eq!(token_s, of(&|entry| entry.token_id == token.id));
    assert_eq!(entries(&mut client, "notes", &token.id).await?, token_s);
    // Both must match, and what matches nothing is no error.
    assert!(entries(&mut client, "tasks", &token.id).await?.is_empty());
    assert!(entries(&mut client, "nobody", "").await?.is_empty());
    server.stop().await
}
