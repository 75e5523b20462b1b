//! Frames that cost the sender little: headers without end, PING, empty DATA, SETTINGS.

use super::{ATTACKER, Failure, Target};
use crate::server::Outcome;
use crate::wire::{
    CONTINUATION, DATA, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, Heard, PING, SETTINGS, Wire, block,
    call_block, frame,
};
use crate::{at_full_size, sized};

/// Only at full size, where the server's own PING comes in between: this client does not answer it.
fn left(heard: &Heard) -> bool {
    at_full_size() && heard.closed
}

/// Whoever is cut off comes again.
fn connections() -> usize {
    sized(3, 500)
}

/// Sends `first`, and then so many times `more`, by one connection after the other; what the last one heard.
async fn again(target: &Target, first: &[u8], more: &[u8], times: u32) -> Result<Heard, Failure> {
    let mut last = Heard::default();
    for _ in 0..connections() {
        let mut wire = Wire::open(target.address, ATTACKER).await?;
        wire.send(first).await?;
        last = wire.flood(|_| more.to_vec(), times).await;
        if !last.closed {
            return Err("it was not closed".into());
        }
    }
    Ok(last)
}

const VERIFY: &str = "/tokenward.v1.VerificationService/Verify";

#[tokio::test]
async fn headers_without_end_close_the_connection() -> Outcome {
    let target = Target::start_as_is().await?;
    let first = frame(HEADERS, 0, 1, &call_block(VERIFY));
    let more = frame(CONTINUATION, 0, 1, &block(&[("x-more", &"m".repeat(100))]));
    let attack = again(&target, &first, &more, 20_000);
    let (heard, caused) = target.under("CONTINUATION without end", attack).await?;
    assert!(
        matches!(heard.goaway, None | Some(ENHANCE_YOUR_CALM)),
        "{heard:?}"
    );
    assert_eq!(caused.calls, 0);
    target.stop().await
}

/// There is no bound on these: each is answered, and costs no memory.
#[tokio::test]
async fn pings_are_answered_one_by_one() -> Outcome {
    let times = u32::try_from(sized(20_000, 4_000_000))?;
    let target = Target::start_as_is().await?;
    let wire = Wire::open(target.address, ATTACKER).await?;
    let ping = |number: u32| frame(PING, 0, 0, &u64::from(number).to_be_bytes());
    let attack = async { Ok(wire.flood(ping, times).await) };
    let (heard, caused) = target.under("PING", attack).await?;
    assert!(left(&heard) || heard.pongs == times as usize + 1, "{heard:?}");
    assert_eq!(caused.calls, 0);
    target.stop().await
}

#[tokio::test]
async fn empty_data_without_end_closes_the_connection() -> Outcome {
    let target = Target::start_as_is().await?;
    let first = frame(HEADERS, END_HEADERS, 1, &call_block(VERIFY));
    let empty = frame(DATA, 0, 1, &[]);
    let attack = again(&target, &first, &empty, 100_000);
    let (heard, caused) = target.under("empty DATA", attack).await?;
    assert!(
        matches!(heard.goaway, None | Some(ENHANCE_YOUR_CALM)),
        "{heard:?}"
    );
    assert!(caused.calls <= connections() as u64, "{caused:?}");
    target.stop().await
}

#[tokio::test]
async fn settings_are_taken_one_by_one() -> Outcome {
    let times = u32::try_from(sized(20_000, 1_000_000))?;
    let target = Target::start_as_is().await?;
    let wire = Wire::open(target.address, ATTACKER).await?;
    // Another window for each stream, again and again.
    let settings = |number: u32| {
        let window = (60_000 + number % 1000).to_be_bytes();
        frame(SETTINGS, 0, 0, &[&[0, 4], window.as_slice()].concat())
    };
    let attack = async { Ok(wire.flood(settings, times).await) };
    let (heard, caused) = target.under("SETTINGS", attack).await?;
    assert!(
        left(&heard) || (!heard.closed && heard.frames >= times as usize),
        "{heard:?}"
    );
    assert_eq!(caused.calls, 0);
    target.stop().await
}
