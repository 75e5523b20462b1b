//! Connections that take a place and do nothing with it, or next to nothing.

use super::good::Asks;
use super::{ATTACKER, Failure, Target};
use crate::server::Outcome;
use crate::sized;
use crate::wire::{HEADERS, PREFACE, Wire, call_block, frame};

/// As many are taken as one address may have, and the others turned away.
#[tokio::test]
async fn idle_connections_of_one_address_leave_places_for_others() -> Outcome {
    let (tried, allowed) = (sized(200, 6000), sized(100, 5000));
    let allowed_text = allowed.to_string();
    let target = Target::start(&["--connections-per-address-max", &allowed_text]).await?;
    let attack = async {
        let mut idle = Vec::new();
        let mut turned_away = 0;
        for _ in 0..tried {
            let mut wire = Wire::open(target.address, ATTACKER).await?;
            // A server that takes the connection speaks first.
            if wire.next().await.is_some() {
                idle.push(wire);
            } else {
                turned_away += 1;
            }
        }
        let mut still_there = 0;
        for wire in &mut idle {
            still_there += usize::from(wire.is_alive().await);
        }
        Ok::<_, Failure>((still_there, turned_away))
    };
    let name = format!("{tried} idle connections");
    let ((taken, turned_away), caused) = target
        .under_while(&name, Asks::Memory, IDLE_KIB_MAX * allowed as u64, attack)
        .await?;
    assert_eq!((taken, turned_away), (allowed, tried - allowed));
    assert_eq!(caused.turned_away, (tried - allowed) as u64);
    target.stop().await
}

/// What a connection may cost that has done no more than to say hello.
const IDLE_KIB_MAX: u64 = 64;

#[tokio::test]
async fn who_does_not_finish_the_first_line_is_closed() -> Outcome {
    let target = Target::start(&["--preface-max", "200ms"]).await?;
    let attack = async {
        let mut slow = Vec::new();
        for number in 0..sized(50, 500) {
            let mut wire = Wire::silent(target.address, ATTACKER).await?;
            wire.send(&PREFACE[..number % PREFACE.len()]).await?;
            slow.push(wire);
        }
        let mut closed = 0;
        for wire in slow {
            closed += usize::from(wire.until_closed().await.closed);
        }
        Ok::<_, Failure>(closed)
    };
    let (closed, caused) = target.under("slow prefaces", attack).await?;
    assert_eq!(closed, sized(50, 500));
    assert_eq!(caused.calls, 0);
    target.stop().await
}

/// A PING cannot be answered amid headers: whoever stops there is taken for dead.
#[tokio::test]
async fn who_does_not_finish_their_headers_is_closed() -> Outcome {
    let options = ["--keepalive-interval", "200ms", "--keepalive-timeout", "200ms"];
    let target = Target::start(&options).await?;
    let attack = async {
        let mut slow = Vec::new();
        for _ in 0..sized(50, 500) {
            let mut wire = Wire::open(target.address, ATTACKER).await?;
            wire.send(&frame(HEADERS, 0, 1, &call_block("/any"))).await?;
            slow.push(wire);
        }
        let mut closed = 0;
        for wire in slow {
            closed += usize::from(wire.until_closed().await.closed);
        }
        Ok::<_, Failure>(closed)
    };
    let (closed, caused) = target.under("slow headers", attack).await?;
    assert_eq!(closed, sized(50, 500));
    assert_eq!(caused.calls, 0);
    target.stop().await
}
