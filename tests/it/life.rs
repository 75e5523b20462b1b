//! The whole life of a token, over a real socket.

use tokenward::proto::v1::rotate_request::OverlapMode;
use tokenward::proto::v1::watch_revocations_response::Event;
use tokenward::proto::v1::{self, TokenState, Verdict};

use crate::server::{Outcome, Server, hex, native};

#[tokio::test]
async fn a_token_is_issued_verified_rotated_and_revoked() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, first) = client.issue("notes", &["read"]).await?;
    assert_eq!(first.len(), 43);
    assert_eq!(client.verdict(&first).await?, Verdict::Accepted);
    // From the cache now.
    let judged = client.verify(&first, &["read"]).await?;
    assert_eq!(judged.verdict(), Verdict::Accepted);
    assert_eq!(judged.token.map(|token| token.subject).as_deref(), Some("ada"));
    let judged = client.verify(&first, &["read", "write"]).await?;
    assert_eq!(judged.verdict(), Verdict::InsufficientScope);
    assert_eq!(judged.missing_scopes, ["write"]);

    let overlap = prost_types::Duration {
        seconds: 60,
        nanos: 0,
    };
    let rotate = v1::RotateRequest {
        token_id: token.id.clone(),
        overlap_mode: Some(OverlapMode::Overlap(overlap)),
        ..Default::default()
    };
    let second = client.tokens.rotate(rotate).await?.into_inner().secret;
    assert_eq!(client.verdict(&first).await?, Verdict::Accepted);
    assert_eq!(client.verdict(&second).await?, Verdict::Accepted);
    let rotate = v1::RotateRequest {
        token_id: token.id.clone(),
        ..Default::default()
    };
    let third = client.tokens.rotate(rotate).await?.into_inner().secret;
    assert_eq!(client.verdict(&first).await?, Verdict::SecretRetired);
    assert_eq!(client.verdict(&second).await?, Verdict::SecretRetired);
    assert_eq!(client.verdict(&third).await?, Verdict::Accepted);

    let revoked = client.revoke(&token.id).await?.token.unwrap_or_default();
    assert_eq!(revoked.state(), TokenState::Revoked);
    for secret in [&first, &second, &third] {
        assert_eq!(client.verdict(secret).await?, Verdict::Revoked);
    }
    server.stop().await
}

#[tokio::test]
async fn a_revocation_reaches_a_watcher_and_drain_ends_its_stream() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "tw_", native()).await?;
    let (token, secret) = client.issue("notes", &[]).await?;
    assert_eq!(client.verdict(&secret).await?, Verdict::Accepted);
    let mut stream = client
        .revocations
        .watch_revocations(v1::WatchRevocationsRequest::default())
        .await?
        .into_inner();
    let started = stream.message().await?.ok_or("no first message")?;
    assert!(matches!(started.event, Some(Event::Started(_))));
    let answer = client.revoke(&token.id).await?;
    let event = loop {
        let message = stream.message().await?.ok_or("the stream ended")?;
        if !matches!(message.event, Some(Event::Heartbeat(_))) {
            break message;
        }
    };
    assert_eq!(event.cursor, answer.cursor);
    assert!(matches!(event.event, Some(Event::Revoked(revoked)) if revoked.token_id == token.id));
    let stopping = tokio::task::spawn_blocking(|| drop(server));
    let ended = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Err("the stream ended without a reason".into()),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), tonic::Code::Unavailable);
    stopping.await?;
    Ok(())
}
