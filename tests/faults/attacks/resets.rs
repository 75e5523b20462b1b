//! Calls that are begun and taken back: in a burst, and each once it is worked on.

use prost::Message;
use sqlx::{Connection, SqliteConnection};
use tokenward::proto::v1;

use super::{ATTACKER, Failure, Target};
use crate::server::Outcome;
use crate::sized;
use crate::wire::{ACK, CANCEL, ENHANCE_YOUR_CALM, Heard, PING, RST_STREAM, Wire, call, frame};

const ISSUE: &str = "/tokenward.v1.TokenService/Issue";

fn issue() -> Vec<u8> {
    let request = v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: "mallory".to_owned(),
        ..Default::default()
    };
    request.encode_to_vec()
}

/// The streams that a client opens are odd.
fn stream(number: u32) -> u32 {
    2 * number + 1
}

/// The first is worked on; of the others it is seen that they were taken back.
#[tokio::test]
async fn a_burst_of_resets_ends_the_connection_and_starts_next_to_nothing() -> Outcome {
    let connections = sized(3, 500);
    let target = Target::start_as_is().await?;
    let issue = issue();
    let burst = |number| {
        let mut bytes = call(stream(number), ISSUE, &issue);
        bytes.extend(frame(RST_STREAM, 0, stream(number), &CANCEL));
        bytes
    };
    let attack = async {
        let mut last = Heard::default();
        for _ in 0..connections {
            let wire = Wire::open(target.address, ATTACKER).await?;
            last = wire.flood(burst, 5000).await;
            if !last.closed {
                return Err("it was not closed".into());
            }
        }
        Ok(last)
    };
    let (heard, caused) = target.under("resets in a burst", attack).await?;
    assert!(
        matches!(heard.goaway, None | Some(ENHANCE_YOUR_CALM)),
        "{heard:?}"
    );
    assert!(caused.calls <= 10 * connections as u64, "{caused:?}");
    target.stop().await
}

/// Each call is worked on, and waits for the store, when it is taken back: the streams open at once stay few,
/// and what HTTP/2 counts stays within bounds.
async fn paced(wire: &mut Wire, times: u32) -> Option<u32> {
    let issue = issue();
    for number in 0..times {
        let mut bytes = call(stream(number), ISSUE, &issue);
        // Answered when the call has been begun.
        bytes.extend(frame(PING, 0, 0, &u64::from(number).to_be_bytes()));
        if wire.send(&bytes).await.is_err() {
            return Some(number);
        }
        loop {
            let Some(heard) = wire.next().await else {
                return Some(number);
            };
            if heard.kind == PING && heard.flags & ACK != 0 {
                break;
            }
        }
        let reset = frame(RST_STREAM, 0, stream(number), &CANCEL);
        if wire.send(&reset).await.is_err() {
            return Some(number);
        }
    }
    None
}

#[tokio::test]
async fn resets_of_calls_that_are_worked_on_end_the_connection_after_a_burst() -> Outcome {
    let connections = sized(1, 50);
    let times = u32::try_from(sized(5000, 100_000))?;
    // As slow to give back as can be, so that the machine does not matter.
    let target = Target::start(&["--cancelled-burst", "100", "--cancelled-rate", "1"]).await?;
    // Nothing is written before this ends.
    let database = format!("sqlite:{}", target.database().display());
    let mut other = SqliteConnection::connect(&database).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await?;
    let attack = async {
        let mut closed = 0;
        for _ in 0..connections {
            let mut wire = Wire::open(target.address, ATTACKER).await?;
            closed += u64::from(paced(&mut wire, times).await.is_some());
        }
        Ok::<_, Failure>(closed)
    };
    let (closed, caused) = target.under("resets of begun calls", attack).await?;
    other.close().await?;
    let connections = connections as u64;
    assert_eq!((closed, caused.cut), (connections, connections), "{caused:?}");
    assert!(
        caused.calls > 100 * connections,
        "nothing was worked on: {caused:?}"
    );
    // The burst, what came back, and what was under way.
    assert!(caused.calls <= 300 * connections, "{caused:?}");
    target.stop().await
}

/// What a server would do without that limit: if it did not, the test above would show nothing.
#[tokio::test]
async fn without_a_bound_on_cancelled_calls_all_are_worked_on() -> Outcome {
    let times = 1000;
    let target = Target::start(&["--cancelled-burst", "1000000"]).await?;
    let mut wire = Wire::open(target.address, ATTACKER).await?;
    let database = format!("sqlite:{}", target.database().display());
    let mut other = SqliteConnection::connect(&database).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await?;
    let attack = async { Ok::<_, Failure>(paced(&mut wire, times).await) };
    let (ended_after, caused) = target.under("resets of begun calls, unbounded", attack).await?;
    other.close().await?;
    assert_eq!(ended_after, None);
    assert!(caused.calls >= u64::from(times) / 2, "{caused:?}");
    target.stop().await
}
