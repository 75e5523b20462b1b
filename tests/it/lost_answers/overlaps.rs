//! Every answer to a Rotate is lost once, at each overlap: whoever rotates has a secret that works all the while, and
//! never are more than two good.

use std::collections::BTreeSet;

use tokenward::clock::{Clock, SystemClock, SystemEntropy, random};
use tokenward::proto::v1::rotate_request::OverlapMode;
use tokenward::proto::v1::{self, Verdict};
use tokenward::token::id::RequestId;
use tokio::time::timeout;

use super::{SOON, secret, start};
use crate::place::{Fallible, Place};
use crate::refusal::refused;
use crate::relay::Relay;
use crate::server::{Client, Outcome, hex, stop};

/// So many rotations of one token, more than there are secrets that it remembers.
const ROUNDS: usize = 5;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Overlap {
    None,
    Duration,
    FirstUse,
    /// Without any time to spare.
    FirstUseAlone,
}

/// Somebody who rotates a token of theirs, and loses answers.
struct Holder {
    client: Client,
    address: std::net::SocketAddr,
    token_id: String,
    overlap: Overlap,
    /// The secrets they have, the last one they were given last.
    known: Vec<String>,
    /// All there ever were.
    made: BTreeSet<String>,
}

impl Holder {
    fn request(&self) -> v1::RotateRequest {
        let span = |seconds| prost_types::Duration { seconds, nanos: 0 };
        let overlap_mode = match self.overlap {
            Overlap::None => OverlapMode::Overlap(span(0)),
            Overlap::Duration => OverlapMode::Overlap(span(3600)),
            Overlap::FirstUse => OverlapMode::OverlapFromFirstUse(span(3600)),
            Overlap::FirstUseAlone => OverlapMode::OverlapFromFirstUse(span(0)),
        };
        v1::RotateRequest {
            token_id: self.token_id.clone(),
            overlap_mode: Some(overlap_mode),
            request_id: RequestId::new(random(&SystemEntropy)).expose(),
        }
    }

    /// Sends it, and never hears of it: the secret that nobody was shown.
    async fn lose(&mut self, request: &v1::RotateRequest) -> Fallible<String> {
        let relay = Relay::start(self.address, secret).await?;
        let mut unlucky = Client::connect(relay.address).await?;
        assert_eq!(refused(unlucky.tokens.rotate(request.clone()).await)?.reason, "");
        let lost = relay.lost().await?;
        self.made.insert(lost.clone());
        Ok(lost)
    }

    async fn rotate(&mut self, request: v1::RotateRequest) -> Fallible<String> {
        let answer = self.client.tokens.rotate(request).await?.into_inner();
        self.made.insert(answer.secret.clone());
        Ok(answer.secret)
    }

    /// The oldest secret they have works; of all that were made, no more than two do.
    async fn check(&mut self, what: &str) -> Outcome {
        let overlap = self.overlap;
        assert_eq!(
            self.client.verdict(&self.known[0]).await?,
            Verdict::Accepted,
            "{overlap:?}: {what}"
        );
        let token = self.token().await?;
        let now = SystemClock.now().micros();
        let good = token.secrets.iter().filter(|secret| {
            let end = secret.retire_time;
            end.is_none_or(|end| end.seconds * 1_000_000 + i64::from(end.nanos) / 1000 > now)
        });
        assert!(good.count() <= 2, "{overlap:?}: {what}: {token:?}");
        Ok(())
    }

    async fn token(&mut self) -> Fallible<v1::Token> {
        let get = v1::GetRequest {
            token_id: self.token_id.clone(),
        };
        Ok(self
            .client
            .tokens
            .get(get)
            .await?
            .into_inner()
            .token
            .unwrap_or_default())
    }

    /// Takes up the newest secret, and lets go of the one before as soon as the token says that this was seen.
    async fn take_up(&mut self) -> Outcome {
        let newest = self.known[self.known.len() - 1].clone();
        assert_eq!(self.client.verdict(&newest).await?, Verdict::Accepted);
        let seen = async {
            loop {
                let token = self.token().await?;
                let last = token.secrets.last().ok_or("it has no secret")?;
                if last.first_use_time.is_some() {
                    return Fallible::Ok(token);
                }
            }
        };
        let token = timeout(SOON, seen).await??;
        let before = token.secrets.iter().rev().nth(1).ok_or("it has one secret")?;
        if self.overlap == Overlap::FirstUse {
            assert!(
                before.retire_time.is_some() || token.secrets.iter().any(|kept| kept.retire_time.is_some())
            );
        }
        self.known = vec![newest];
        Ok(())
    }

    /// One rotation whose answer is lost, and is asked for again.
    async fn ask_again(&mut self) -> Outcome {
        let request = self.request();
        let lost = self.lose(&request).await?;
        if self.overlap != Overlap::None {
            self.check("the answer is lost").await?;
        }
        let shown = self.rotate(request).await?;
        assert_eq!(shown, lost);
        if self.overlap == Overlap::None {
            // Right after a leak there is nothing else to go on with: the request id is what is left.
            self.known.clear();
        }
        self.known.push(shown);
        self.check("the answer is shown again").await?;
        self.take_up().await?;
        self.check("the new secret is taken up").await
    }

    /// One rotation whose answer is lost together with its request id: it is done anew.
    async fn do_anew(&mut self) -> Outcome {
        let lost = self.lose(&self.request()).await?;
        self.check("the answer and its id are lost").await?;
        let shown = self.rotate(self.request()).await?;
        assert_ne!(shown, lost);
        assert_eq!(self.client.verdict(&lost).await?, Verdict::SecretRetired);
        self.known.push(shown);
        self.check("it was rotated anew").await?;
        self.take_up().await?;
        self.check("the newer secret is taken up").await
    }
}

async fn nobody_is_locked_out(place: Place) -> Outcome {
    let (running, mut client) = start(&place).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    for overlap in [
        Overlap::None,
        Overlap::Duration,
        Overlap::FirstUse,
        Overlap::FirstUseAlone,
    ] {
        let (token, first) = client.issue("notes", &[]).await?;
        let mut holder = Holder {
            client: client.clone(),
            address: running.address(),
            token_id: token.id,
            overlap,
            known: vec![first.clone()],
            made: BTreeSet::from([first]),
        };
        for _ in 0..ROUNDS {
            holder.ask_again().await?;
            if overlap != Overlap::None {
                holder.do_anew().await?;
            }
        }
        // No more than two of all that were ever made; with no time to spare the old one is gone.
        let mut accepted = 0;
        for made in holder.made.clone() {
            accepted += usize::from(holder.client.verdict(&made).await? == Verdict::Accepted);
        }
        let wanted = match overlap {
            Overlap::None | Overlap::FirstUseAlone => 1,
            Overlap::Duration | Overlap::FirstUse => 2,
        };
        assert_eq!(accepted, wanted, "{overlap:?}");
    }
    stop(running).await
}

#[tokio::test]
async fn whoever_loses_every_answer_once_has_a_secret_that_works_on_sqlite() -> Outcome {
    nobody_is_locked_out(Place::sqlite()?).await
}

#[tokio::test]
async fn whoever_loses_every_answer_once_has_a_secret_that_works_on_postgres() -> Outcome {
    nobody_is_locked_out(Place::postgres().await?).await
}

/// Ten in a row, ids and all, and the secret from before still works; then one arrives.
#[tokio::test]
async fn however_many_answers_are_lost_the_secret_from_before_lives_on() -> Outcome {
    let place = Place::sqlite()?;
    let (running, mut client) = start(&place).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, first) = client.issue("notes", &[]).await?;
    let mut holder = Holder {
        client,
        address: running.address(),
        token_id: token.id,
        overlap: Overlap::FirstUseAlone,
        known: vec![first.clone()],
        made: BTreeSet::from([first.clone()]),
    };
    for _ in 0..10 {
        let request = holder.request();
        holder.lose(&request).await?;
        holder.check("again").await?;
    }
    let arrived = holder.rotate(holder.request()).await?;
    holder.known.push(arrived);
    holder.check("one has arrived").await?;
    holder.take_up().await?;
    assert_eq!(holder.client.verdict(&first).await?, Verdict::SecretRetired);
    stop(running).await
}
