//! A subject with very many tokens: one entry, one event, and none of them is accepted anywhere.
//!
//! `TOKENWARD_TEST_FULL=1 cargo test --release --test it subjects::many -- --nocapture` runs it at full size.

use std::collections::HashMap;

use tokenward::clock::{Clock, Entropy, ManualEntropy, SystemClock, random};
use tokenward::journal::{Draft, Origin};
use tokenward::proto::v1::watch_revocations_response::Event;
use tokenward::proto::v1::{self, Verdict, issued_revoked};
use tokenward::store::postgres::PostgresStore;
use tokenward::store::{Outcome as Written, Store};
use tokenward::token::change::TokenChange;
use tokenward::token::format::Format;
use tokenward::token::id::{RequestDigest, Slug, TokenId};
use tokenward::token::scope::{Labels, Scopes};
use tokenward::token::secret::{Pepper, PepperId, Peppers};
use tokenward::token::text::{Actor, Name, Subject};
use tokenward::token::time::Timestamp;
use tokenward::token::{KeptSecret, Token};

use super::{Fallible, next, revoke_issued, subject, two_servers, watch};
use crate::server::{Client, Outcome, stop};
use crate::shared_store::SharedStore;

/// What one commit takes.
const BATCH: usize = 200;
const VERIFIED_AT_ONCE: usize = 100;

fn sized(small: usize, full: usize) -> usize {
    if std::env::var_os("TOKENWARD_TEST_FULL").is_some() {
        full
    } else {
        small
    }
}

/// Tokens of `subject`, committed as a server would have.
async fn insert(store: &SharedStore, subject: &str, tokens: usize) -> Fallible<Vec<(String, Timestamp)>> {
    // The pepper of every test.
    let peppers = Peppers::of_one(PepperId(1), &[7; Pepper::KEY_BYTES]);
    let postgres = PostgresStore::open(&store.database.url.parse()?, peppers.row_key()).await?;
    let slug = Slug::try_from("notes".to_owned())?;
    let directory = postgres.directory().await?.record;
    let format = directory.get(&slug).ok_or("no notes")?.format.clone();
    let entropy = ManualEntropy::seeded(subject.len() as u64);
    let mut made = Vec::with_capacity(tokens);
    let mut drafts = Vec::with_capacity(BATCH);
    for number in 0..tokens {
        let now = Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(number)?)?;
        let (draft, secret) = issued(&peppers, &format, &entropy, (&slug, subject), now)?;
        made.push((secret, now));
        drafts.push(draft);
        if drafts.len() == BATCH || number + 1 == tokens {
            let outcomes = postgres.commit(std::mem::take(&mut drafts)).await?;
            assert!(
                outcomes
                    .iter()
                    .all(|outcome| matches!(outcome, Written::Written(_)))
            );
        }
    }
    postgres.close().await;
    Ok(made)
}

fn issued(
    peppers: &Peppers,
    format: &Format,
    entropy: &ManualEntropy,
    (slug, subject): (&Slug, &str),
    now: Timestamp,
) -> Fallible<(Draft, String)> {
    let secret = format.mint(peppers, &mut |bytes| entropy.fill(bytes));
    let token = Token {
        id: TokenId::new(now, random(entropy)),
        namespace: slug.clone(),
        name: Name::try_from("one of many".to_owned())?,
        subject: Subject::try_from(subject.to_owned())?,
        scopes: Scopes::default(),
        labels: Labels::default(),
        create_time: now,
        expire_time: None,
        networks: None,
        rate_limit: None,
        suspension: None,
        revocation: None,
        secrets: vec![KeptSecret {
            version: 1,
            digest: peppers.digest(&secret),
            pepper: PepperId(1),
            hint: format.hint(&secret),
            create_time: now,
            retire_time: None,
            overlap: None,
            first_use_time: None,
            reuse_time: None,
            phc: None,
        }],
    };
    let origin = Origin {
        request_id: RequestDigest::new(now, random(entropy)),
        time: now,
        actor: Actor::try_from("test".to_owned())?,
    };
    let draft = Draft::of_token(origin, None, TokenChange::Issued(Box::new(token)))?;
    Ok((draft, secret.expose().to_owned()))
}

/// How many of the secrets get this verdict.
async fn count(client: &mut Client, secrets: &[(String, Timestamp)], verdict: Verdict) -> Fallible<usize> {
    let mut count = 0;
    for some in secrets.chunks(VERIFIED_AT_ONCE) {
        let requests = some.iter().map(|(secret, _)| v1::VerifyRequest {
            secret: secret.clone(),
            ..Default::default()
        });
        let request = v1::BatchVerifyRequest {
            requests: requests.collect(),
        };
        let answer = client.verification.batch_verify(request).await?.into_inner();
        count += answer
            .responses
            .iter()
            .filter(|response| response.verdict() == verdict)
            .count();
    }
    Ok(count)
}

/// What a sidecar holds: tokens by secret, each with its subject and when it was issued. It does as the events say.
#[derive(Default)]
struct Sidecar(HashMap<String, (&'static str, Timestamp)>);

impl Sidecar {
    fn hold(&mut self, subject: &'static str, tokens: &[(String, Timestamp)]) {
        let held = tokens
            .iter()
            .map(|(secret, issued)| (secret.clone(), (subject, *issued)));
        self.0.extend(held);
    }

    fn obey(&mut self, event: &Event) {
        match event {
            Event::IssuedRevoked(v1::IssuedRevoked {
                target: Some(issued_revoked::Target::Subject(revoked)),
                not_before_time: Some(up_to),
                ..
            }) => {
                let up_to = up_to.seconds * 1_000_000 + i64::from(up_to.nanos) / 1000;
                self.0
                    .retain(|_, (subject, issued)| subject != revoked || issued.micros() > up_to);
            }
            // An event it does not know: drop the cache.
            _ => self.0.clear(),
        }
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "for whoever runs it at full size")]
async fn what_was_issued_to_a_subject_with_very_many_tokens_is_revoked_at_once() -> Outcome {
    let tokens = sized(1_000, 100_000);
    let (store, servers, mut clients) = two_servers().await?;
    let ada = insert(&store, "ada", tokens).await?;
    let grace = insert(&store, "grace", 50).await?;
    let mut sidecar = Sidecar::default();
    sidecar.hold("ada", &ada);
    sidecar.hold("grace", &grace);
    for client in &mut clients {
        assert_eq!(count(client, &ada, Verdict::Accepted).await?, tokens);
        assert_eq!(count(client, &grace, Verdict::Accepted).await?, grace.len());
    }
    let mut stream = watch(&mut clients[1]).await?;
    let head = |head: v1::GetHeadResponse| head.revision;
    let before = head(
        clients[0]
            .audit
            .get_head(v1::GetHeadRequest {})
            .await?
            .into_inner(),
    );
    let begun = SystemClock.uptime();
    clients[0]
        .subjects
        .revoke_issued(revoke_issued(Some(subject("ada"))))
        .await?;
    let answered = SystemClock.uptime().saturating_sub(begun);
    let after = head(
        clients[0]
            .audit
            .get_head(v1::GetHeadRequest {})
            .await?
            .into_inner(),
    );
    assert_eq!(after, before + 1, "one entry");
    // One event; the next one is of another change.
    let (revision, event) = next(&mut stream).await?;
    assert_eq!(revision, after);
    sidecar.obey(&event);
    let told = SystemClock.uptime().saturating_sub(begun);
    assert_eq!(sidecar.0.len(), grace.len());
    assert!(grace.iter().all(|(secret, _)| sidecar.0.contains_key(secret)));
    clients[1]
        .subjects
        .suspend_subject(super::suspend("grace"))
        .await?;
    let (revision, event) = next(&mut stream).await?;
    assert!(matches!(event, Event::SubjectSuspended(_)), "{event:?}");
    assert_eq!(revision, after + 1);
    let judging = SystemClock.uptime();
    for client in &mut clients {
        assert_eq!(count(client, &ada, Verdict::Revoked).await?, tokens);
        assert_eq!(count(client, &grace, Verdict::Suspended).await?, grace.len());
    }
    println!(
        "{tokens} tokens of one subject: revoked everywhere in {answered:?}, told to a watcher after {told:?}, \
         all found refused by two servers in {:?}",
        SystemClock.uptime().saturating_sub(judging)
    );
    for server in servers {
        stop(server).await?;
    }
    Ok(())
}
