//! Two changes of one token at once: whichever comes first, what a token promises holds, and a revocation stands.

use std::collections::HashMap;

use tokenward::proto::v1::rotate_request::OverlapMode;
use tokenward::proto::v1::{self, EntryKind, TokenState};
use tokio::task::JoinSet;
use tonic::Status;

use crate::place::{Fallible, Place};
use crate::refusal::Refusal;
use crate::server::{Client, Outcome, hex, stop};

/// So many of each kind.
const RACES: usize = 1000;
/// So many at once.
const AT_ONCE: usize = 32;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Race {
    RotateAndRotate,
    RotateAndRevoke,
    UpdateAndRevoke,
}

async fn rotate(mut client: Client, token_id: String) -> Result<(), Status> {
    let span = prost_types::Duration {
        seconds: 60,
        nanos: 0,
    };
    let request = v1::RotateRequest {
        token_id,
        overlap_mode: Some(OverlapMode::OverlapFromFirstUse(span)),
        ..Default::default()
    };
    client.tokens.rotate(request).await.map(drop)
}

async fn update(mut client: Client, token_id: String) -> Result<(), Status> {
    let token = v1::Token {
        id: token_id,
        name: "phone".to_owned(),
        scopes: vec!["read".to_owned(), "write".to_owned()],
        ..Default::default()
    };
    let request = v1::UpdateRequest {
        token: Some(token),
        ..Default::default()
    };
    client.tokens.update(request).await.map(drop)
}

async fn revoke(mut client: Client, token_id: String) -> Result<(), Status> {
    client.revoke(&token_id).await.map(drop)
}

/// What came too late for a revocation is refused as that, and for no other reason.
fn too_late(answer: Result<(), Status>) -> Result<(), String> {
    match answer.map_err(Refusal::from) {
        Ok(()) => Ok(()),
        Err(refusal) if refusal.reason == "TOKEN_REVOKED" => Ok(()),
        Err(refusal) => Err(format!("{refusal:?}")),
    }
}

impl Race {
    async fn run(self, client: Client, token_id: String) -> Result<(), String> {
        let (one, other) = (client.clone(), client);
        let id = token_id.clone();
        let (first, second) = match self {
            Race::RotateAndRotate => tokio::join!(rotate(one, id), rotate(other, token_id)),
            Race::RotateAndRevoke => tokio::join!(rotate(one, id), revoke(other, token_id)),
            Race::UpdateAndRevoke => tokio::join!(update(one, id), revoke(other, token_id)),
        };
        if self != Race::RotateAndRotate {
            too_late(first)?;
            return second.map_err(|status| format!("it was not revoked: {status:?}"));
        }
        first
            .and(second)
            .map_err(|status| format!("it was not rotated: {status:?}"))
    }

    /// The last word on a token, and the changes before it.
    fn check(self, token: &v1::Token, kinds: &[EntryKind]) {
        let versions: Vec<_> = token.secrets.iter().map(|secret| secret.version).collect();
        let dense = versions
            .iter()
            .zip(1..)
            .all(|(version, wanted)| *version == wanted);
        assert!(dense, "{self:?}: {versions:?}");
        let good = token.secrets.iter().filter(|secret| secret.retire_time.is_none());
        assert!(good.count() <= 2, "{self:?}: {token:?}");
        if self == Race::RotateAndRotate {
            let wanted = [
                EntryKind::TokenIssued,
                EntryKind::TokenRotated,
                EntryKind::TokenRotated,
            ];
            assert_eq!(kinds, wanted, "{self:?}");
            assert_eq!((versions.len(), token.state()), (3, TokenState::Active));
            return;
        }
        assert_eq!(token.state(), TokenState::Revoked, "{self:?}");
        assert_eq!(
            kinds.last(),
            Some(&EntryKind::TokenRevoked),
            "{self:?}: {kinds:?}"
        );
        let changed = kinds.len() == 3;
        match self {
            Race::UpdateAndRevoke => assert_eq!(token.name == "phone", changed),
            Race::RotateAndRevoke | Race::RotateAndRotate => assert_eq!(versions.len() == 2, changed),
        }
    }
}

/// All entries, by token.
async fn kinds(client: &mut Client) -> Fallible<HashMap<String, Vec<EntryKind>>> {
    let mut kinds: HashMap<String, Vec<EntryKind>> = HashMap::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListEntriesRequest {
            namespace: "notes".to_owned(),
            page_size: 1000,
            page_token,
            ..Default::default()
        };
        let page = client.audit.list_entries(request).await?.into_inner();
        for entry in page.entries {
            kinds
                .entry(entry.token_id.clone())
                .or_default()
                .push(entry.kind());
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(kinds);
        }
    }
}

async fn tokens(client: &mut Client) -> Fallible<HashMap<String, v1::Token>> {
    let mut tokens = HashMap::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListRequest {
            namespace: "notes".to_owned(),
            page_size: 1000,
            page_token,
            ..Default::default()
        };
        let page = client.tokens.list(request).await?.into_inner();
        tokens.extend(page.tokens.into_iter().map(|token| (token.id.clone(), token)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(tokens);
        }
    }
}

async fn a_revocation_wins_and_nothing_comes_after_it(place: Place) -> Outcome {
    let running = place.start()?;
    let mut client = Client::connect(running.address()).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let races = [
        Race::RotateAndRotate,
        Race::RotateAndRevoke,
        Race::UpdateAndRevoke,
    ];
    let mut left = races
        .into_iter()
        .flat_map(|race| std::iter::repeat_n(race, RACES));
    let mut running_races = JoinSet::new();
    let mut run = HashMap::new();
    loop {
        while running_races.len() < AT_ONCE
            && let Some(race) = left.next()
        {
            let mut client = client.clone();
            running_races.spawn(async move {
                let issued = client.issue("notes", &["read"]).await;
                let (token, _) = issued.map_err(|status| format!("{status:?}"))?;
                Box::pin(race.run(client, token.id.clone()))
                    .await
                    .map(|()| (token.id, race))
            });
        }
        let Some(ended) = running_races.join_next().await else {
            break;
        };
        let (id, race) = ended??;
        run.insert(id, race);
    }
    assert_eq!(run.len(), 3 * RACES);
    let (kinds, tokens) = (kinds(&mut client).await?, tokens(&mut client).await?);
    for (id, race) in run {
        race.check(&tokens[&id], &kinds[&id]);
    }
    stop(running).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_changes_none_breaks_a_promise_on_sqlite() -> Outcome {
    a_revocation_wins_and_nothing_comes_after_it(Place::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_changes_none_breaks_a_promise_on_postgres() -> Outcome {
    a_revocation_wins_and_nothing_comes_after_it(Place::postgres().await?).await
}
