//! Several servers on one Postgres database, with one pepper: what is done at one is done at all.

use std::net::TcpListener;

use tokenward::journal::cursor::{Cursor, Epoch};
use tokenward::proto::v1::consistency::Requirement;
use tokenward::proto::v1::{self, Propagation, Verdict};
use tokenward::serve::{Running, ServeError};
use tonic::Code;
use tonic_types::StatusExt;

use crate::server::{Client, Outcome, hex, stop};
use crate::shared_store::SharedStore;

/// Servers with the namespace `notes`, and a client of each.
pub(crate) struct Fleet {
    pub(crate) servers: Vec<Running>,
    pub(crate) clients: Vec<Client>,
    pub(crate) store: SharedStore,
}

impl Fleet {
    pub(crate) async fn start(servers: usize) -> Result<Fleet, Box<dyn std::error::Error>> {
        let store = SharedStore::new().await?;
        let servers: Vec<_> = (0..servers).map(|_| start(&store)).collect::<Result<_, _>>()?;
        let mut clients = Vec::new();
        for server in &servers {
            clients.push(Client::connect(server.address()).await?);
        }
        clients[0].create_namespace("notes", "kn_", hex(40)).await?;
        Ok(Fleet {
            servers,
            clients,
            store,
        })
    }

    /// A token that every server has in its cache.
    async fn known_everywhere(&mut self) -> Result<(v1::Token, String), Box<dyn std::error::Error>> {
        let (token, secret) = self.clients[0].issue("notes", &[]).await?;
        for client in &mut self.clients {
            for _ in 0..2 {
                assert_eq!(client.verdict(&secret).await?, Verdict::Accepted);
            }
        }
        Ok((token, secret))
    }

    pub(crate) async fn stop(self) -> Outcome {
        for server in self.servers {
            stop(server).await?;
        }
        Ok(())
    }
}

fn start(store: &SharedStore) -> Result<Running, Box<dyn std::error::Error>> {
    let mut options = store.server()?;
    options.metrics_listen = Some(options.listen);
    Ok(Running::start(options)?)
}

fn requiring(secret: &str, requirement: Requirement) -> v1::VerifyRequest {
    v1::VerifyRequest {
        secret: secret.to_owned(),
        consistency: Some(v1::Consistency {
            requirement: Some(requirement),
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_token_revoked_at_one_server_is_refused_by_all_at_once() -> Outcome {
    let mut fleet = Fleet::start(3).await?;
    for round in 0..6 {
        let (token, secret) = fleet.known_everywhere().await?;
        let revoked = fleet.clients[round % 3].revoke(&token.id).await?;
        assert_eq!(revoked.propagation(), Propagation::Acknowledged);
        for client in &mut fleet.clients {
            assert_eq!(client.verdict(&secret).await?, Verdict::Revoked);
        }
        // Repeated elsewhere, it is the same revocation, and as true.
        let again = fleet.clients[(round + 1) % 3].revoke(&token.id).await?;
        assert_eq!(again.cursor, revoked.cursor);
        assert_eq!(again.propagation(), Propagation::Acknowledged);
    }
    fleet.stop().await
}

#[tokio::test]
async fn a_secret_that_was_rotated_away_at_one_server_is_refused_by_all_at_once() -> Outcome {
    let mut fleet = Fleet::start(2).await?;
    for round in 0..4 {
        let (token, secret) = fleet.known_everywhere().await?;
        let request = v1::RotateRequest {
            token_id: token.id,
            ..Default::default()
        };
        let rotated = fleet.clients[round % 2]
            .tokens
            .rotate(request)
            .await?
            .into_inner();
        assert_eq!(rotated.propagation(), Propagation::Acknowledged);
        for client in &mut fleet.clients {
            assert_eq!(client.verdict(&secret).await?, Verdict::SecretRetired);
            assert_eq!(client.verdict(&rotated.secret).await?, Verdict::Accepted);
        }
    }
    fleet.stop().await
}

#[tokio::test]
async fn a_server_judges_as_well_informed_as_it_is_asked_to() -> Outcome {
    let mut fleet = Fleet::start(2).await?;
    let (token, secret) = fleet.known_everywhere().await?;
    let revoked = fleet.clients[0].revoke(&token.id).await?;
    let there = &mut fleet.clients[1].verification;
    for requirement in [
        Requirement::AtLeast(revoked.cursor.clone()),
        Requirement::Strong(v1::Strong {}),
    ] {
        let answer = there.verify(requiring(&secret, requirement)).await?.into_inner();
        assert_eq!(answer.verdict(), Verdict::Revoked);
        assert!(answer.revision >= 3, "{}", answer.revision);
    }
    let cursor = Cursor::parse(&revoked.cursor)?;
    let ahead = Cursor {
        revision: cursor.revision.next(),
        ..cursor
    };
    let elsewhere = Cursor {
        epoch: Epoch::new([9; 16]),
        ..cursor
    };
    for (cursor, code, reason) in [
        (ahead, Code::Unavailable, "REPLICA_BEHIND"),
        (elsewhere, Code::OutOfRange, "CURSOR_EXPIRED"),
    ] {
        let requirement = Requirement::AtLeast(cursor.to_string());
        let refused = there.verify(requiring(&secret, requirement)).await;
        let status = refused.err().ok_or("it was judged")?;
        let told = status.get_details_error_info().map(|info| info.reason);
        assert_eq!((status.code(), told.as_deref()), (code, Some(reason)));
    }
    fleet.stop().await
}

#[tokio::test]
async fn nobody_waits_for_a_server_that_was_stopped() -> Outcome {
    let mut fleet = Fleet::start(3).await?;
    let (token, _) = fleet.known_everywhere().await?;
    let stopped = fleet.servers.remove(2);
    fleet.clients.remove(2);
    stop(stopped).await?;
    let revoked = fleet.clients[0].revoke(&token.id).await?;
    assert_eq!(revoked.propagation(), Propagation::Acknowledged);
    fleet.stop().await
}

#[tokio::test]
async fn nobody_waits_for_a_server_that_did_not_start() -> Outcome {
    let store = SharedStore::new().await?;
    let taken = TcpListener::bind(("127.0.0.1", 0))?;
    let address = taken.local_addr()?;
    let mut calls = store.server()?;
    calls.listen = address;
    let mut metrics = store.server()?;
    metrics.metrics_listen = Some(address);
    let mut connection = store
        .database
        .connect()
        .await
        .map_err(|error| error.to_string())?;
    for options in [calls, metrics] {
        let error = Running::start(options).err().ok_or("it started")?;
        assert!(matches!(error, ServeError::Bind(_)), "{error}");
        let members: i64 = sqlx::query_scalar("SELECT count(*) FROM member")
            .fetch_one(&mut connection)
            .await?;
        assert_eq!(members, 0);
    }
    Ok(())
}

/// Whoever sent it first may have died waiting: who sends it again must not be told sooner.
#[tokio::test]
async fn what_is_repeated_at_another_server_waits_as_the_first_did() -> Outcome {
    let mut fleet = Fleet::start(2).await?;
    let (token, _) = fleet.known_everywhere().await?;
    let rotate = v1::RotateRequest {
        token_id: token.id.clone(),
        request_id: "7d444840-9dc0-41d1-b245-5ffdce74fad2".to_owned(),
        ..Default::default()
    };
    let revoke = v1::RevokeRequest {
        token_id: token.id,
        request_id: "7d444840-9dc0-41d1-b245-5ffdce74fad3".to_owned(),
        ..Default::default()
    };
    let first = &mut fleet.clients[0].tokens;
    let rotated = first.rotate(rotate.clone()).await?.into_inner();
    let revoked = first.revoke(revoke.clone()).await?.into_inner();
    assert_eq!(rotated.propagation(), Propagation::Acknowledged);
    // A member that lives, and applies nothing.
    let mut connection = fleet
        .store
        .database
        .connect()
        .await
        .map_err(|error| error.to_string())?;
    sqlx::query(
        "INSERT INTO member (id, name, beat, acked) VALUES (decode(md5('slow'), 'hex'), 'slow', 0, 0)",
    )
    .execute(&mut connection)
    .await?;
    let beating = tokio::spawn(async move {
        let beat = "UPDATE member SET beat = beat + 1 WHERE name = 'slow'";
        while sqlx::query(beat).execute(&mut connection).await.is_ok() {}
    });
    let second = &mut fleet.clients[1].tokens;
    let rotated_again = second.rotate(rotate).await?.into_inner();
    let revoked_again = second.revoke(revoke).await?.into_inner();
    beating.abort();
    assert_eq!(rotated_again.propagation(), Propagation::WaitedOut);
    assert_eq!(revoked_again.propagation(), Propagation::WaitedOut);
    assert_eq!(
        (rotated_again.token, rotated_again.secret, rotated_again.cursor),
        (rotated.token, rotated.secret, rotated.cursor)
    );
    assert_eq!(
        (revoked_again.token, revoked_again.cursor),
        (revoked.token, revoked.cursor)
    );
    fleet.stop().await
}
