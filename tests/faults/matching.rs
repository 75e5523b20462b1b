//! A hundred thousand tokens revoked out of a million, by a server that is killed half way; and lists of that many.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{ConnectOptions, PgConnection};
use tokenward::clock::{Clock, Entropy, ManualEntropy, SystemClock, random};
use tokenward::journal::{Draft, Origin};
use tokenward::proto::v1::revoke_matching_response::Event;
use tokenward::proto::v1::{self, Verdict};
use tokenward::store::Store;
use tokenward::store::postgres::PostgresStore;
use tokenward::token::change::TokenChange;
use tokenward::token::format::{Body, Format, Prefix};
use tokenward::token::id::{RequestDigest, Slug, TokenId};
use tokenward::token::scope::{Labels, Scopes};
use tokenward::token::secret::Peppers;
use tokenward::token::text::{Actor, Name, Subject};
use tokenward::token::time::Timestamp;
use tokenward::token::{KeptSecret, Token};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::admin::peppers;
use crate::cluster::Cluster;
use crate::fleet::{ONE_AT_A_TIME, PATIENCE, prepare};
use crate::replica::Replica;
use crate::server::{Client, Outcome, hex};
use crate::{report, sized};

const SEED: u64 = 0x5e_1ec7;
/// One of so many tokens is meant.
const SHARE: usize = 10;
/// Drafts of one commit, as tokens are put there.
const BATCH: usize = 1000;
/// Tokens that callers verify over and over, none of which is meant.
const HOT: usize = 500;
const CALLERS: usize = 4;

/// Tokens are put there past the server, for that takes a tenth of the time.
struct Loader {
    entropy: ManualEntropy,
    peppers: Peppers,
    format: Format,
    start: Timestamp,
}

impl Loader {
    fn new() -> Result<Loader, Box<dyn std::error::Error>> {
        Ok(Loader {
            entropy: ManualEntropy::seeded(SEED),
            peppers: peppers(),
            format: Format {
                prefix: Prefix::try_from("kn_".to_owned())?,
                body: Body::hex(40)?,
            },
            start: SystemClock.now(),
        })
    }

    /// A token, and its secret. Names and subjects do not come in the order of issue.
    fn draft(&self, number: usize) -> Result<(Draft, String), Box<dyn std::error::Error>> {
        let secret = self
            .format
            .mint(&self.peppers, &mut |bytes| self.entropy.fill(bytes));
        // A millisecond each: older than the server, so that a plan means them all.
        let before = i64::try_from(number)? * 1000 - 2_000_000_000;
        let time = Timestamp::from_micros(self.start.micros() + before)?;
        let scrambled = number.wrapping_mul(7_919) % 1_000_003;
        let family = if number.is_multiple_of(SHARE) { "ci" } else { "app" };
        let token = Token {
            id: TokenId::new(time, random(&self.entropy)),
            namespace: Slug::try_from("notes".to_owned())?,
            name: Name::try_from(format!("{family}-{scrambled}"))?,
            subject: Subject::try_from(format!("user:{}", scrambled % 10_000))?,
            scopes: Scopes::default(),
            labels: Labels::default(),
            create_time: time,
            expire_time: None,
            networks: None,
            rate_limit: None,
            suspension: None,
            revocation: None,
            secrets: vec![KeptSecret {
                version: 1,
                digest: self.peppers.digest(&secret),
                pepper: self.peppers.current().id(),
                hint: self.format.hint(&secret),
                create_time: time,
                retire_time: None,
                overlap: None,
                first_use_time: None,
                reuse_time: None,
                phc: None,
            }],
        };
        let origin = Origin {
            request_id: RequestDigest::new(time, random(&self.entropy)),
            time,
            actor: Actor::try_from("loader".to_owned())?,
        };
        let draft = Draft::of_token(origin, None, TokenChange::Issued(Box::new(token)))?;
        Ok((draft, secret.expose().to_owned()))
    }

    /// Puts `tokens` there; the secrets of some that are not meant.
    async fn load(&self, url: &str, tokens: usize) -> Result<Vec<String>, Box<dyn std::error::Error>> {
        let store = PostgresStore::open(&url.parse()?, self.peppers.row_key()).await?;
        let mut hot = Vec::new();
        let mut batch = Vec::with_capacity(BATCH);
        for number in 0..tokens {
            let (draft, secret) = self.draft(number)?;
            batch.push(draft);
            if number % SHARE == 1 && hot.len() < HOT {
                hot.push(secret);
            }
            if batch.len() == BATCH || number + 1 == tokens {
                store.commit(std::mem::take(&mut batch)).await?;
            }
        }
        store.close().await;
        Ok(hot)
    }
}

/// Verifies the hot tokens until told to stop; how long each call took.
fn verifying(client: &Client, hot: &[String], stop: &Arc<AtomicBool>) -> JoinSet<Vec<Duration>> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (mut client, hot, stop) = (client.clone(), hot.to_vec(), Arc::clone(stop));
        callers.spawn(async move {
            let mut spans = Vec::new();
            for secret in hot.iter().cycle().skip(caller * 31) {
                let begun = SystemClock.uptime();
                // The server is killed in the end.
                let Ok(Verdict::Accepted) = client.verdict(secret).await else {
                    break;
                };
                spans.push(SystemClock.uptime().saturating_sub(begun));
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
            spans
        });
    }
    callers
}

async fn percentiles(callers: JoinSet<Vec<Duration>>) -> (usize, Duration, Duration) {
    let mut spans = callers.join_all().await.concat();
    spans.sort_unstable();
    let at = |share: usize| spans.get(spans.len() * share / 1000).copied().unwrap_or_default();
    (spans.len(), at(500), at(990))
}

fn meant() -> v1::RevokeMatchingRequest {
    v1::RevokeMatchingRequest {
        selector: Some(v1::TokenSelector {
            namespace: "notes".to_owned(),
            filter: Some(v1::TokenFilter {
                name_prefix: "ci-".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        reason: "leaked".to_owned(),
        ..Default::default()
    }
}

/// The last event of a call.
async fn last(
    client: &mut Client,
    request: v1::RevokeMatchingRequest,
) -> Result<Option<Event>, tonic::Status> {
    let mut stream = client.tokens.revoke_matching(request).await?.into_inner();
    let mut last = None;
    while let Some(message) = stream.message().await? {
        last = message.event;
    }
    Ok(last)
}

async fn head(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT revision FROM journal_head")
        .fetch_one(connection)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_whose_server_is_killed_half_way_revokes_exactly_what_it_meant() -> Outcome {
    let tokens = sized(6_000, 1_000_000);
    let count = i64::try_from(tokens / SHARE)?;
    let _turn = ONE_AT_A_TIME.lock().await;
    let cluster = Cluster::start().await?;
    prepare(&cluster)?;
    let url = cluster.url();
    let mut replica = Replica::start(&["--store", &url]).await?;
    let mut client = replica.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let began = SystemClock.uptime();
    let hot = Loader::new()?.load(&url, tokens).await?;
    let spent = || SystemClock.uptime().saturating_sub(began);
    report(format_args!("{tokens} tokens loaded in {:?}", spent()));
    let mut connection = url.parse::<sqlx::postgres::PgConnectOptions>()?.connect().await?;
    sqlx::raw_sql("ANALYZE").execute(&mut connection).await?;

    // Twice, so that what is measured is in the cache.
    for _ in 0..2 {
        let stop = Arc::new(AtomicBool::new(false));
        let idle = verifying(&client, &hot, &stop);
        sleep(Duration::from_millis(u64::try_from(sized(50, 5_000))?)).await;
        stop.store(true, Ordering::SeqCst);
        let (calls, half, most) = percentiles(idle).await;
        report(format_args!("idle: {calls} Verify, p50 {half:?}, p99 {most:?}"));
    }

    let began = SystemClock.uptime();
    let preview = v1::RevokeMatchingRequest {
        validate_only: true,
        ..meant()
    };
    let Some(Event::Preview(preview)) = last(&mut client, preview).await? else {
        return Err("no preview".into());
    };
    let spent = SystemClock.uptime().saturating_sub(began);
    report(format_args!(
        "{} of {tokens} previewed in {spent:?}",
        preview.count
    ));
    assert_eq!(preview.count, count);

    let plan = v1::RevokeMatchingRequest {
        plan_token: preview.plan_token,
        expected_count: count,
        ..meant()
    };
    let before = head(&mut connection).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let callers = verifying(&client, &hot, &stop);
    let began = SystemClock.uptime();
    let executing = tokio::spawn({
        let (mut client, plan) = (replica.client().await?, plan.clone());
        async move { last(&mut client, plan).await.is_ok() }
    });
    let half_way = async {
        while head(&mut connection).await? < before + count / 2 {
            sleep(Duration::from_millis(5)).await;
        }
        Ok::<_, sqlx::Error>(())
    };
    timeout(PATIENCE * 15, half_way).await??;
    stop.store(true, Ordering::SeqCst);
    let (calls, half, most) = percentiles(callers).await;
    let spent = SystemClock.uptime().saturating_sub(began);
    replica.kill()?;
    let was_cut_off = !executing.await?;
    let revoked = head(&mut connection).await? - before;
    report(format_args!(
        "during {revoked} revocations, of {spent:?}: {calls} Verify, p50 {half:?}, p99 {most:?}; cut off: {was_cut_off}"
    ));

    replica = Replica::start(&["--store", &url]).await?;
    let mut client = replica.client().await?;
    let began = SystemClock.uptime();
    let Some(Event::Done(done)) = last(&mut client, plan).await? else {
        return Err("not done".into());
    };
    let spent = SystemClock.uptime().saturating_sub(began);
    report(format_args!("the other {} revoked in {spent:?}", count - revoked));
    assert_eq!((done.revoked, done.passed_over), (count, 0));
    let (meant, others, entries): (i64, i64, i64) = sqlx::query_as(
        "SELECT
            (SELECT count(*) FROM token WHERE revoke_time IS NOT NULL AND name LIKE 'ci-%'),
            (SELECT count(*) FROM token WHERE revoke_time IS NOT NULL AND name NOT LIKE 'ci-%'),
            (SELECT count(*) FROM journal WHERE kind = 'token.revoked')",
    )
    .fetch_one(&mut connection)
    .await?;
    assert_eq!((meant, others, entries), (count, 0, count));
    lists(&mut client, tokens).await
}

/// Every page of some orders; what the first and the last of them take.
async fn lists(client: &mut Client, tokens: usize) -> Outcome {
    for order_by in ["create_time", "name desc", "subject", "expire_time"] {
        let mut request = v1::ListRequest {
            namespace: "notes".to_owned(),
            page_size: 1000,
            order_by: order_by.to_owned(),
            ..Default::default()
        };
        let (mut listed, mut spans) = (0, Vec::new());
        loop {
            let begun = SystemClock.uptime();
            let page = client.tokens.list(request.clone()).await?.into_inner();
            if page.tokens.len() == 1000 {
                spans.push(SystemClock.uptime().saturating_sub(begun));
            }
            listed += page.tokens.len();
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(listed, tokens, "{order_by}");
        let median = |spans: &[Duration]| {
            let mut spans = spans.to_vec();
            spans.sort_unstable();
            spans.get(spans.len() / 2).copied().unwrap_or_default()
        };
        let some = spans.len().min(10);
        let (first, last) = (median(&spans[..some]), median(&spans[spans.len() - some..]));
        report(format_args!("{order_by}: first pages {first:?}, last {last:?}"));
    }
    Ok(())
}
