//! Lists by state find tokens by the state that they are shown in, whoever it comes from.

use tokenward::proto::v1::revoke_issued_request::Target;
use tokenward::proto::v1::{self, TokenState};
use tonic::Status;

use crate::server::{Client, Outcome, Server, hex, stop};
use crate::subjects::{Fallible, revoke_issued, suspend, two_servers};

/// Issues a token to a subject; its id.
pub(crate) async fn issue(client: &mut Client, name: &str, subject: &str) -> Fallible<String> {
    let request = v1::IssueRequest {
        namespace: "notes".to_owned(),
        name: name.to_owned(),
        subject: subject.to_owned(),
        ..Default::default()
    };
    let issued = client.tokens.issue(request).await?.into_inner();
    Ok(issued.token.ok_or("no token")?.id)
}

/// The names of the tokens in a state, a page of one after another. What is listed is in that state, and as many as the
/// list says there are; and so are those of `ids`.
async fn names(client: &mut Client, state: TokenState, ids: &[String]) -> Result<Vec<String>, Status> {
    let filter = |token_ids| v1::TokenFilter {
        token_ids,
        states: vec![state.into()],
        ..Default::default()
    };
    let mut request = v1::ListRequest {
        namespace: "notes".to_owned(),
        page_size: 1,
        state: state.into(),
        with_total: true,
        ..Default::default()
    };
    let (mut names, mut total) = (Vec::new(), 0);
    loop {
        let page = client.tokens.list(request.clone()).await?.into_inner();
        assert!(page.tokens.iter().all(|token| token.state() == state));
        assert!(page.total_is_exact);
        total = page.total_estimate.max(total);
        names.extend(page.tokens.into_iter().map(|token| token.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(i64::try_from(names.len()).ok(), Some(total));
    let by_id = v1::ListRequest {
        namespace: "notes".to_owned(),
        filter: Some(filter(ids.to_vec())),
        with_total: true,
        ..Default::default()
    };
    let page = client.tokens.list(by_id).await?.into_inner();
    assert_eq!(page.total_estimate, total);
    assert!(page.tokens.iter().map(|token| &token.name).eq(&names));
    Ok(names)
}

async fn walk(client: &mut Client) -> Outcome {
    let mut ids = Vec::new();
    for (name, subject) in [
        ("ada 1", "ada"),
        ("bob 1", "bob"),
        ("ada 2", "ada"),
        ("ada 3", "ada"),
    ] {
        ids.push(issue(client, name, subject).await?);
    }
    client.revoke(&ids[3]).await?;
    let states = async |client: &mut Client| {
        let mut states = Vec::new();
        for state in [TokenState::Active, TokenState::Suspended, TokenState::Revoked] {
            states.push(names(client, state, &ids).await?);
        }
        Ok::<_, Status>(states)
    };
    let none = || Vec::<&str>::new();
    let all = || vec!["ada 1", "bob 1", "ada 2"];
    assert_eq!(states(client).await?, [all(), none(), vec!["ada 3"]]);

    client.subjects.suspend_subject(suspend("ada")).await?;
    let ada = vec!["ada 1", "ada 2"];
    assert_eq!(states(client).await?, [vec!["bob 1"], ada, vec!["ada 3"]]);

    let bob = revoke_issued(Some(Target::Subject("bob".to_owned())));
    client.subjects.revoke_issued(bob).await?;
    let ada = vec!["ada 1", "ada 2"];
    assert_eq!(states(client).await?, [none(), ada, vec!["bob 1", "ada 3"]]);

    let whole = revoke_issued(Some(Target::WholeNamespace(true)));
    client.subjects.revoke_issued(whole).await?;
    let everything = vec!["ada 1", "bob 1", "ada 2", "ada 3"];
    assert_eq!(states(client).await?, [none(), none(), everything]);
    Ok(())
}

#[tokio::test]
async fn a_token_is_listed_by_the_state_that_it_is_shown_in() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    walk(&mut client).await?;
    server.stop().await
}

#[tokio::test]
async fn on_postgres_a_token_is_listed_by_the_state_that_it_is_shown_in() -> Outcome {
    let (_store, servers, mut clients) = two_servers().await?;
    walk(&mut clients[0]).await?;
    for server in servers {
        stop(server).await?;
    }
    Ok(())
}
