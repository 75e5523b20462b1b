//! How long a connection may take, be silent and last, and how many there may be from one address.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokenward::proto::v1;
use tokio::time::timeout;
use tonic::Code;

use super::{BOUND, head, watch};
use crate::refusal::refused;
use crate::server::{Client, Outcome, Server};
use crate::wire::{ACK, GOAWAY, PING, PREFACE, Wire, frame};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(100);

/// A client that calls from another address.
async fn client_elsewhere(server: &Server) -> Result<Client, tonic::transport::Error> {
    let endpoint = server.endpoint()?.local_address(Some(ELSEWHERE));
    Ok(Client::over(endpoint.connect().await?))
}

#[tokio::test]
async fn one_address_does_not_take_all_connections() -> Outcome {
    let server = Server::start_with(|options| options.limits.connections_per_address_max = 2)?;
    let mut first = Wire::open(server.address, HERE).await?;
    let mut second = Wire::open(server.address, HERE).await?;
    assert!(first.is_alive().await && second.is_alive().await);
    for _ in 0..3 {
        let third = Wire::open(server.address, HERE).await?;
        let heard = timeout(BOUND, third.until_closed()).await?;
        assert_eq!(heard.frames, 0, "{heard:?}");
    }
    head(&mut client_elsewhere(&server).await?).await?;
    drop(first);
    // The server learns of the end a little later.
    let free = async {
        while !Wire::open(server.address, HERE).await?.is_alive().await {}
        Outcome::Ok(())
    };
    timeout(BOUND, free).await??;
    server.stop().await
}

#[tokio::test]
async fn whoever_does_not_begin_to_speak_is_closed() -> Outcome {
    let server = Server::start_with(|options| options.limits.preface_max = SHORT)?;
    let mut client = server.client().await?;
    let mut begun = Wire::open(server.address, HERE).await?;
    assert!(begun.is_alive().await);
    let silent = Wire::silent(server.address, HERE).await?;
    let mut slow = Wire::silent(server.address, HERE).await?;
    slow.send(&PREFACE[..23]).await?;
    for wire in [silent, slow] {
        timeout(BOUND, wire.until_closed()).await?;
    }
    // Whoever has begun is not hurried: theirs was over before that of those who are closed by now.
    head(&mut client).await?;
    assert!(begun.is_alive().await);
    server.stop().await
}

#[tokio::test]
async fn whoever_does_not_say_that_they_live_is_closed() -> Outcome {
    let hasty = Server::start_with(|options| {
        options.limits.keepalive_interval = SHORT;
        options.limits.keepalive_timeout = SHORT;
    })?;
    let dead = Wire::open(hasty.address, HERE).await?;
    timeout(BOUND, dead.until_closed()).await?;
    hasty.stop().await?;

    // Longer than this test waits for an answer, however busy the machine.
    let patient = Server::start_with(|options| {
        options.limits.keepalive_interval = SHORT;
        options.limits.keepalive_timeout = BOUND * 2;
    })?;
    let mut living = Wire::open(patient.address, HERE).await?;
    // Nobody is asked again who has not been heard.
    let mut asked = 0;
    timeout(BOUND, async {
        while asked < 5 {
            let Some(heard) = living.next().await else {
                return Err("it was closed although it lives");
            };
            if heard.kind == PING {
                asked += 1;
                let pong = frame(PING, ACK, 0, &heard.payload);
                living.send(&pong).await.map_err(|_| "it does not listen")?;
            }
        }
        Ok(())
    })
    .await??;
    assert!(living.is_alive().await);
    patient.stop().await
}

#[tokio::test]
async fn an_old_connection_ends_its_streams_resumably_and_then_itself() -> Outcome {
    let server = Server::start_with(|options| {
        options.limits.connection_age_max = SHORT;
        options.limits.connection_grace = SHORT * 4;
    })?;
    // It does not care about GOAWAY.
    let stubborn = Wire::open(server.address, HERE).await?;
    let mut client = server.client().await?;
    let mut stream = client
        .revocations
        .watch_revocations(watch(SHORT))
        .await?
        .into_inner();
    let mut cursor = String::new();
    let end = loop {
        match timeout(BOUND, stream.message()).await? {
            Ok(Some(message)) => cursor = message.cursor,
            Ok(None) => return Err("it ended without a reason".into()),
            Err(status) => break status,
        }
    };
    assert!(end.message().contains("over a new one"), "{end:?}");
    let end = refused::<()>(Err(end))?;
    assert_eq!((end.code, end.reason.as_str()), (Code::Unavailable, "DRAINING"));
    let resumed = v1::WatchRevocationsRequest {
        cursor,
        ..watch(SHORT)
    };
    // The same client, which has been told to connect anew.
    let mut stream = client.revocations.watch_revocations(resumed).await?.into_inner();
    stream.message().await?.ok_or("it was not resumed")?;
    let heard = timeout(BOUND, stubborn.until_closed()).await?;
    assert_eq!(heard.goaway, Some(0), "{heard:?}");
    server.stop().await
}

#[tokio::test]
async fn a_call_under_way_outlives_the_age_of_its_connection() -> Outcome {
    let server = Server::start_with(|options| {
        options.limits.connection_age_max = SHORT;
        options.limits.connection_grace = BOUND;
    })?;
    let mut wire = Wire::open(server.address, HERE).await?;
    let path = "/tokenward.v1.AuditService/GetHead";
    wire.send(&frame(1, 4, 1, &crate::wire::call_block(path))).await?;
    // It has become too old before the message has come.
    loop {
        let frame = timeout(BOUND, wire.next()).await?.ok_or("it was closed")?;
        if frame.kind == GOAWAY {
            break;
        }
    }
    wire.send(&frame(0, 1, 1, &crate::wire::message(&[]))).await?;
    let mut answered = false;
    while let Some(frame) = timeout(BOUND, wire.next()).await? {
        answered |= frame.kind == crate::wire::DATA && !frame.payload.is_empty();
        // HTTP/2 says goodbye twice: the PING between must be answered for the second one.
        if frame.kind == PING && frame.flags & ACK == 0 {
            let pong = crate::wire::frame(PING, ACK, 0, &frame.payload);
            wire.send(&pong).await?;
        }
    }
    assert!(answered, "it was cut off");
    server.stop().await
}
