//! A caller that behaves: it verifies one token after the other, and notes how long each took.

use std::net::SocketAddr;
use std::time::Duration;

use tokenward::clock::{Clock, SystemClock};
use tokenward::proto::v1::consistency::Requirement;
use tokenward::proto::v1::{Consistency, Strong, Verdict, VerifyRequest};
use tokio::runtime;
use tokio_util::sync::CancellationToken;

use super::{GOOD, connect};
use crate::fleet::percentile;

/// On a thread of its own, so that it does not wait for the attacker's turn.
pub(super) struct Good {
    pub(super) address: SocketAddr,
    pub(super) secret: String,
    pub(super) asks: Asks,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asks {
    /// What is in memory will do.
    Memory,
    /// Each time it has to be looked up.
    Store,
}

/// However short an attack is: the calls that saw it are among them.
const CALLS_MIN: usize = 20;

/// What it saw.
#[derive(Default)]
pub(super) struct Seen {
    spans: Vec<Duration>,
    pub(super) errors: usize,
}

impl Good {
    /// So many calls, with nothing else going on.
    pub(super) async fn alone(&self, calls: usize) -> Result<Seen, String> {
        let seen = self.calling(None, calls).await?;
        if seen.errors == 0 {
            Ok(seen)
        } else {
            Err("it fails with nothing else going on".to_owned())
        }
    }

    /// Calls until `other` is done.
    pub(super) async fn during<T>(&self, other: impl Future<Output = T>) -> Result<(T, Seen), String> {
        let done = CancellationToken::new();
        let calling = self.calling(Some(done.clone()), CALLS_MIN);
        let other = async {
            let _done = done.drop_guard();
            other.await
        };
        let (seen, other) = tokio::join!(calling, other);
        Ok((other, seen?))
    }

    /// So many calls, and then until it is done.
    async fn calling(&self, done: Option<CancellationToken>, at_least: usize) -> Result<Seen, String> {
        let address = self.address;
        let requirement = match self.asks {
            Asks::Memory => None,
            Asks::Store => Some(Requirement::Strong(Strong {})),
        };
        let request = VerifyRequest {
            secret: self.secret.clone(),
            consistency: requirement.map(|requirement| Consistency {
                requirement: Some(requirement),
            }),
            ..Default::default()
        };
        let thread = tokio::task::spawn_blocking(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            runtime.block_on(async {
                let client = connect(address, GOOD).await;
                let mut client = client.map_err(|error| error.to_string())?;
                let mut seen = Seen::default();
                let goes_on = || done.as_ref().is_some_and(|done| !done.is_cancelled());
                while seen.spans.len() < at_least || goes_on() {
                    let begun = SystemClock.uptime();
                    let judged = client.verification.verify(request.clone()).await;
                    seen.spans.push(SystemClock.uptime().saturating_sub(begun));
                    let accepted =
                        judged.is_ok_and(|judged| judged.into_inner().verdict() == Verdict::Accepted);
                    seen.errors += usize::from(!accepted);
                }
                Ok(seen)
            })
        });
        thread.await.map_err(|error| error.to_string())?
    }
}

impl Seen {
    pub(super) fn calls(&self) -> u64 {
        self.spans.len() as u64
    }

    pub(super) fn p99(&self) -> Duration {
        percentile(&mut self.spans.clone(), 99)
    }
}
