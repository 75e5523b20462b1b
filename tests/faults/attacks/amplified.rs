//! Messages that are longer than they may be, or become larger than they are.

use tokenward::proto::v1;
use tokio::task::JoinSet;
use tonic::Code;

use super::{ATTACKER, Target, connect};
use crate::server::Outcome;
use crate::sized;
use crate::wire::{ACK, DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS, Wire, call_block, frame, message};

const BATCH_VERIFY: &str = "/tokenward.v1.VerificationService/BatchVerify";
const LONGEST: usize = 64 * 1024;
const CALLS_AT_ONCE: usize = 50;
/// As many at once on one connection as its window takes.
const CALLS_OF_EACH: usize = 10;
const CONNECTIONS: usize = 5;
/// A frame of the size that every server takes.
const FRAME_BYTES: usize = 16 * 1024;

/// Empty requests by the ten thousand in one message: many times its size in memory, if it were bounded only
/// by what gRPC takes.
#[tokio::test]
async fn a_message_of_tiny_fields_costs_what_it_is_bounded_to() -> Outcome {
    let rounds = sized(4, 200);
    let target = Target::start_as_is().await?;
    let attack = async {
        let mut attacking = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let wire = Wire::open(target.address, ATTACKER).await?;
            attacking.spawn(tiny_fields(wire, rounds));
        }
        while let Some(attacked) = attacking.join_next().await {
            attacked??;
        }
        Ok(())
    };
    let ((), caused) = target.under("messages of tiny fields", attack).await?;
    assert_eq!(caused.calls, (CONNECTIONS * rounds * CALLS_OF_EACH) as u64);
    assert_eq!(caused.queries, 0);
    target.stop().await
}

async fn tiny_fields(mut wire: Wire, rounds: usize) -> Result<(), String> {
    let message = message(&[0x0a, 0].repeat(LONGEST / 2));
    // Only from here on does the server count by the windows that it announced.
    while wire.next().await.ok_or("it was closed")?.kind != SETTINGS {}
    let taken = wire.send(&frame(SETTINGS, ACK, 0, &[])).await;
    taken.map_err(|error| error.to_string())?;
    let mut stream = 1;
    for _ in 0..rounds {
        let mut bytes = Vec::new();
        for _ in 0..CALLS_OF_EACH {
            bytes.extend(frame(HEADERS, END_HEADERS, stream, &call_block(BATCH_VERIFY)));
            let mut parts = message.chunks(FRAME_BYTES).peekable();
            while let Some(part) = parts.next() {
                let flags = if parts.peek().is_none() { END_STREAM } else { 0 };
                bytes.extend(frame(DATA, flags, stream, part));
            }
            stream += 2;
        }
        wire.send(&bytes).await.map_err(|error| error.to_string())?;
        // Refusals are headers only.
        let mut refused = 0;
        while refused < CALLS_OF_EACH {
            let heard = wire.next().await.ok_or("it was closed")?;
            refused += usize::from(heard.kind == HEADERS);
        }
    }
    Ok(())
}

#[tokio::test]
async fn messages_too_long_are_not_taken() -> Outcome {
    let target = Target::start_as_is().await?;
    let client = connect(target.address, ATTACKER).await?;
    let secret = "s".repeat(16 * LONGEST);
    let attack = async {
        let mut asking = JoinSet::new();
        for _ in 0..sized(100, 5000) {
            let (mut client, secret) = (client.clone(), secret.clone());
            asking.spawn(async move {
                let request = v1::VerifyRequest {
                    secret,
                    ..Default::default()
                };
                client.verification.verify(request).await.map(drop)
            });
            if asking.len() >= CALLS_AT_ONCE {
                check(asking.join_next().await.ok_or("nobody asks")??)?;
            }
        }
        while let Some(answer) = asking.join_next().await {
            check(answer?)?;
        }
        Ok(())
    };
    target.under("messages too long", attack).await?;
    target.stop().await
}

fn check(answer: Result<(), tonic::Status>) -> Result<(), String> {
    match answer {
        Err(status) if status.code() == Code::OutOfRange => Ok(()),
        other => Err(format!("it was answered with {other:?}")),
    }
}
