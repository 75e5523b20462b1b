//! The answer to an Issue or a Rotate is lost on the way: asked again, the service answers with the same secret,
//! and whoever has a copy of its database has it not.

mod dump;
mod overlaps;

use std::time::Duration;

use tokenward::proto::v1::{self, TokenState, Verdict};
use tokenward::serve::Running;
use tokenward::token::id::{RequestDigest, RequestId};
use tokio::time::timeout;
use tonic::Code;

use crate::place::{Fallible, Place};
use crate::refusal::refused;
use crate::relay::Relay;
use crate::server::{Client, Outcome, hex, stop};
use dump::Dump;

/// How long what is bound to happen may take.
const SOON: Duration = Duration::from_secs(30);

const ISSUING: &str = "0b5c2f7e-91d4-4c36-a8e1-6d2f4b7093ca";
const ROTATING: &str = "e47a1d90-3f68-4b2c-95d7-c81e0a6f2b34";

async fn start(place: &Place) -> Fallible<(Running, Client)> {
    let running = place.start()?;
    let client = Client::connect(running.address()).await?;
    Ok((running, client))
}

/// A secret of the namespace `notes`, as a whole.
fn secret(answered: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answered);
    let mut found = text.match_indices("kn_").map(|(at, _)| text.get(at..at + 43));
    let whole = |text: &&str| text[3..].bytes().all(|byte| byte.is_ascii_hexdigit());
    found.find_map(|text| text.filter(whole)).map(str::to_owned)
}

fn issue() -> v1::IssueRequest {
    v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: "ada".to_owned(),
        request_id: ISSUING.to_owned(),
        ..Default::default()
    }
}

fn rotate(token_id: &str) -> v1::RotateRequest {
    v1::RotateRequest {
        token_id: token_id.to_owned(),
        request_id: ROTATING.to_owned(),
        ..Default::default()
    }
}

/// Each answer is lost, asked for again, and once more of another server.
async fn answers_are_lost(place: &Place) -> Fallible<Dump> {
    let (running, mut client) = start(place).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let relay = Relay::start(running.address(), secret).await?;
    let mut unlucky = Client::connect(relay.address).await?;
    // Without a reason it was the connection that failed.
    assert_eq!(refused(unlucky.tokens.issue(issue()).await)?.reason, "");
    let first = relay.lost().await?;
    let mut dump = Dump::of(place).await?;
    let issued = client.tokens.issue(issue()).await?.into_inner();
    assert_eq!(issued.secret, first);
    let id = issued.token.clone().unwrap_or_default().id;
    stop(running).await?;

    let (running, mut client) = start(place).await?;
    assert_eq!(client.tokens.issue(issue()).await?.into_inner(), issued);
    assert_eq!(client.verdict(&first).await?, Verdict::Accepted);
    let relay = Relay::start(running.address(), secret).await?;
    let mut unlucky = Client::connect(relay.address).await?;
    assert_eq!(refused(unlucky.tokens.rotate(rotate(&id)).await)?.reason, "");
    let second = relay.lost().await?;
    dump.add(place).await?;
    let rotated = client.tokens.rotate(rotate(&id)).await?.into_inner();
    assert_eq!(rotated.secret, second);
    stop(running).await?;

    let (running, mut client) = start(place).await?;
    assert_eq!(client.tokens.rotate(rotate(&id)).await?.into_inner(), rotated);
    assert_eq!(client.tokens.issue(issue()).await?.into_inner(), issued);
    assert_eq!(client.verdict(&second).await?, Verdict::Accepted);
    assert_eq!(client.verdict(&first).await?, Verdict::SecretRetired);
    let list = v1::ListRequest {
        namespace: "notes".to_owned(),
        ..Default::default()
    };
    let tokens = client.tokens.list(list).await?.into_inner().tokens;
    assert_eq!(tokens.len(), 1);
    assert_eq!(
        (tokens[0].secrets.len(), tokens[0].state()),
        (2, TokenState::Active)
    );
    stop(running).await?;
    dump.add(place).await?;
    for secret in [first, second] {
        assert_eq!(dump.places_of(secret.as_bytes()), Vec::<&str>::new());
        assert_eq!(
            dump.places_of(&data_encoding::HEXLOWER.decode(&secret.as_bytes()[3..])?),
            Vec::<&str>::new()
        );
    }
    Ok(dump)
}

async fn a_copy_of_the_database_shows_nothing(place: Place) -> Outcome {
    let dump = answers_are_lost(&place).await?;
    let ids = [RequestId::parse(ISSUING)?, RequestId::parse(ROTATING)?];
    for id in &ids {
        assert_eq!(dump.places_of(id.as_bytes()), Vec::<&str>::new());
        assert_eq!(dump.places_of(id.expose().as_bytes()), Vec::<&str>::new());
        // Else what is not found says nothing.
        assert_ne!(
            dump.places_of(RequestDigest::of(id).as_bytes()),
            Vec::<&str>::new()
        );
    }
    let pepper = dump::pepper()?;
    let answers = dump::answers(&place).await?;
    assert_eq!(answers.len(), ids.len());
    for (answer, id) in answers.iter().zip(&ids) {
        // Both of the right keys are needed, and a copy of the database has neither.
        assert!(answer.open(&pepper, id).is_ok());
        assert_eq!(dump.opening(answer, &pepper, id), Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn a_lost_secret_is_shown_again_and_to_nobody_else_on_sqlite() -> Outcome {
    a_copy_of_the_database_shows_nothing(Place::sqlite()?).await
}

#[tokio::test]
async fn a_lost_secret_is_shown_again_and_to_nobody_else_on_postgres() -> Outcome {
    a_copy_of_the_database_shows_nothing(Place::postgres().await?).await
}

/// An answer that was tampered with is no answer, and never the reason for another secret.
#[tokio::test]
async fn an_answer_that_was_tampered_with_is_an_error() -> Outcome {
    let (place, id, head) = two_answers().await?;
    place
        .execute("UPDATE answer SET sealed = zeroblob(length(sealed))")
        .await?;
    let (running, mut client) = start(&place).await?;
    for refusal in [
        refused(client.tokens.issue(issue()).await)?,
        refused(client.tokens.rotate(rotate(&id)).await)?,
    ] {
        assert_eq!((refusal.code, &*refusal.reason), (Code::Internal, "INTERNAL"));
    }
    assert_eq!(
        client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner(),
        head
    );
    stop(running).await
}

#[tokio::test]
async fn an_answer_whose_time_is_over_is_forgotten() -> Outcome {
    let (place, id, head) = two_answers().await?;
    place.execute("UPDATE answer SET expire_time = 0").await?;
    let (running, mut client) = start(&place).await?;
    for refusal in [
        refused(client.tokens.issue(issue()).await)?,
        refused(client.tokens.rotate(rotate(&id)).await)?,
    ] {
        assert_eq!(
            (refusal.code, &*refusal.reason),
            (Code::AlreadyExists, "SECRET_ALREADY_SHOWN")
        );
        assert_eq!(refusal.metadata.get("token_id"), Some(&id));
    }
    assert_eq!(
        client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner(),
        head
    );
    let forgotten = async {
        while !dump::answers(&place).await?.is_empty() {}
        Outcome::Ok(())
    };
    timeout(SOON, forgotten).await??;
    stop(running).await
}

/// A store with the answers to one Issue and one Rotate, the id of the token, and the head.
async fn two_answers() -> Fallible<(Place, String, v1::GetHeadResponse)> {
    let place = Place::sqlite()?;
    let (running, mut client) = start(&place).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let issued = client.tokens.issue(issue()).await?.into_inner();
    let id = issued.token.unwrap_or_default().id;
    client.tokens.rotate(rotate(&id)).await?;
    let head = client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
    stop(running).await?;
    assert_eq!(dump::answers(&place).await?.len(), 2);
    Ok((place, id, head))
}
