//! Rate limits as clients meet them: exact at one server, and shared by several.

use std::time::Duration;

use tokenward::proto::v1::{self, Propagation, RateLimitHolder, Verdict};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::admin::Bearer;
use crate::metrics::{scrape, value};
use crate::refusal::refused;
use crate::server::{Client, Outcome, Server, hex};
use crate::shared::Fleet;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// So long a test waits for what must come.
const BOUND: Duration = Duration::from_mins(1);
const HOUR: i64 = 3600;

fn limit(requests: i32, seconds: i64) -> v1::RateLimit {
    v1::RateLimit {
        requests,
        period: Some(prost_types::Duration { seconds, nanos: 0 }),
    }
}

/// A token of this subject, with a limit of its own.
async fn issue(
    client: &mut Client,
    subject: &str,
    rate_limit: Option<v1::RateLimit>,
) -> Fallible<(v1::Token, String)> {
    let request = v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: subject.to_owned(),
        rate_limit,
        ..Default::default()
    };
    let issued = client.tokens.issue(request).await?.into_inner();
    Ok((issued.token.unwrap_or_default(), issued.secret))
}

async fn verify(client: &mut Client, secret: &str, cost: Option<i32>) -> Result<v1::VerifyResponse, Status> {
    let request = v1::VerifyRequest {
        secret: secret.to_owned(),
        cost,
        ..Default::default()
    };
    Ok(client.verification.verify(request).await?.into_inner())
}

/// What is left, as this server knows.
async fn remaining(client: &mut Client, secret: &str) -> Fallible<i32> {
    let judged = verify(client, secret, Some(0)).await?;
    assert_eq!(judged.verdict(), Verdict::Accepted);
    Ok(judged.rate_limit.ok_or("no limit")?.remaining)
}

async fn until_remaining(client: &mut Client, secret: &str, wanted: i32) -> Outcome {
    let told = tokio::time::timeout(BOUND, async {
        while remaining(client, secret).await? != wanted {}
        Ok(())
    });
    told.await.map_err(|_| format!("{wanted} never remain"))?
}

async fn set_rate_limit(
    client: &mut Client,
    subject: &str,
    rate_limit: Option<v1::RateLimit>,
) -> Result<v1::SetRateLimitResponse, Status> {
    let request = v1::SetRateLimitRequest {
        namespace: "notes".to_owned(),
        subject: subject.to_owned(),
        rate_limit,
        ..Default::default()
    };
    Ok(client.subjects.set_rate_limit(request).await?.into_inner())
}

async fn scene() -> Fallible<(Server, Client)> {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    Ok((server, client))
}

fn span(span: Option<prost_types::Duration>) -> Fallible<Duration> {
    Ok(Duration::try_from(span.ok_or("it is not told")?)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_a_minute_are_a_hundred_and_then_it_says_how_long_to_wait() -> Outcome {
    let (server, mut client) = scene().await?;
    let (_, secret) = issue(&mut client, "ada", Some(limit(100, 60))).await?;
    let interval = Duration::from_millis(600);
    let mut accepted = 0;
    let (refusal, reset) = loop {
        let judged = verify(&mut client, &secret, None).await?;
        let told = judged.rate_limit.ok_or("no limit is told")?;
        assert_eq!(told.limit, Some(limit(100, 60)));
        assert_eq!(told.holder(), RateLimitHolder::Token);
        assert_eq!(
            judged.cache_ttl.unwrap_or_default(),
            prost_types::Duration::default()
        );
        let reset = span(told.reset)?;
        if judged.verdict() != Verdict::Accepted {
            break (judged, reset);
        }
        accepted += 1;
    };
    assert_eq!(refusal.verdict(), Verdict::RateLimited);
    // What was taken since the first came back meanwhile, which the answer itself tells.
    let elapsed = (interval * accepted)
        .checked_sub(reset)
        .ok_or("reset is too long")?;
    let came_back = elapsed.as_micros() / interval.as_micros();
    assert_eq!(u128::from(accepted), 100 + came_back);
    let told = refusal.rate_limit.ok_or("no limit is told")?;
    assert_eq!(told.remaining, 0);
    let wait = span(told.retry_after)?;
    assert_eq!(reset + interval, Duration::from_mins(1) + wait);
    assert!(!wait.is_zero() && wait <= interval);
    // The token is known to be good, and what it is.
    assert_eq!(refusal.token.ok_or("no token")?.subject, "ada");
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_all_at_once_gets_exactly_what_there_is() -> Outcome {
    let (server, mut client) = scene().await?;
    let (_, secret) = issue(&mut client, "ada", Some(limit(100, HOUR))).await?;
    let mut calling = JoinSet::new();
    for _ in 0..64 {
        let (mut client, secret) = (client.clone(), secret.clone());
        calling.spawn(async move {
            let mut accepted = 0;
            for _ in 0..3 {
                match verify(&mut client, &secret, None).await?.verdict() {
                    Verdict::Accepted => accepted += 1,
                    verdict => assert_eq!(verdict, Verdict::RateLimited),
                }
            }
            Ok::<_, Status>(accepted)
        });
    }
    let mut accepted = 0;
    while let Some(called) = calling.join_next().await {
        accepted += called??;
    }
    assert_eq!(accepted, 100);
    // Each of a batch counts by itself.
    let (_, secret) = issue(&mut client, "ada", Some(limit(5, HOUR))).await?;
    let request = v1::VerifyRequest {
        secret,
        ..Default::default()
    };
    let requests = vec![request; 8];
    let batch = v1::BatchVerifyRequest { requests };
    let responses = client
        .verification
        .batch_verify(batch)
        .await?
        .into_inner()
        .responses;
    let good = responses
        .iter()
        .filter(|judged| judged.verdict() == Verdict::Accepted);
    assert_eq!(good.count(), 5);
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_good_for_all_else_takes_and_as_much_as_it_says() -> Outcome {
    let (server, mut client) = scene().await?;
    let (token, secret) = issue(&mut client, "ada", Some(limit(10, HOUR))).await?;
    let judged = client.verify(&secret, &["write"]).await?;
    assert_eq!(judged.verdict(), Verdict::InsufficientScope);
    assert_eq!(judged.rate_limit, None);
    assert_eq!(remaining(&mut client, &secret).await?, 10);
    assert_eq!(
        verify(&mut client, &secret, Some(7)).await?.verdict(),
        Verdict::Accepted
    );
    let refused_for_now = verify(&mut client, &secret, Some(4)).await?;
    assert_eq!(refused_for_now.verdict(), Verdict::RateLimited);
    assert!(
        refused_for_now
            .rate_limit
            .ok_or("no limit")?
            .retry_after
            .is_some()
    );
    let refused_for_ever = verify(&mut client, &secret, Some(11)).await?;
    assert_eq!(refused_for_ever.verdict(), Verdict::RateLimited);
    assert_eq!(refused_for_ever.rate_limit.ok_or("no limit")?.retry_after, None);
    assert_eq!(remaining(&mut client, &secret).await?, 3);
    for wrong in [-1, 1_000_001] {
        let answer = verify(&mut client, &secret, Some(wrong)).await;
        let refusal = refused(answer)?;
        assert_eq!(
            (refusal.code, refusal.fields),
            (Code::InvalidArgument, vec!["cost".to_owned()])
        );
    }

    // Everybody is told, also who is told no other reason.
    let (_, credential) = client.issue("system", &["tokens.verify:notes"]).await?;
    let mut stranger = Client::with(server.endpoint()?.connect().await?, Bearer::new(&credential));
    assert_eq!(
        verify(&mut stranger, &secret, Some(3)).await?.verdict(),
        Verdict::Accepted
    );
    assert_eq!(stranger.verdict(&secret).await?, Verdict::RateLimited);
    client.revoke(&token.id).await?;
    assert_eq!(stranger.verdict(&secret).await?, Verdict::Refused);
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_has_one_budget_for_all_its_tokens() -> Outcome {
    let (server, mut client) = scene().await?;
    let (_, first) = issue(&mut client, "ada", None).await?;
    let (_, second) = issue(&mut client, "ada", Some(limit(3, HOUR))).await?;
    let (_, other) = issue(&mut client, "bob", None).await?;
    let judged = verify(&mut client, &first, None).await?;
    assert_eq!((judged.verdict(), judged.rate_limit), (Verdict::Accepted, None));

    let set = set_rate_limit(&mut client, "ada", Some(limit(5, HOUR))).await?;
    assert_eq!(set.propagation(), Propagation::Acknowledged);
    assert_eq!(set.subject.ok_or("no subject")?.rate_limit, Some(limit(5, HOUR)));
    // In force with its answer, for tokens that were in the cache.
    assert_eq!(
        verify(&mut client, &second, Some(3)).await?.verdict(),
        Verdict::Accepted
    );
    let judged = verify(&mut client, &second, None).await?;
    assert_eq!(
        judged.rate_limit.ok_or("no limit")?.holder(),
        RateLimitHolder::Token
    );
    // What the token refused was not taken from the subject.
    let judged = verify(&mut client, &first, Some(2)).await?;
    assert_eq!(judged.verdict(), Verdict::Accepted);
    let judged = verify(&mut client, &first, None).await?;
    assert_eq!(judged.verdict(), Verdict::RateLimited);
    assert_eq!(
        judged.rate_limit.ok_or("no limit")?.holder(),
        RateLimitHolder::Subject
    );
    assert_eq!(client.verdict(&other).await?, Verdict::Accepted);

    // More: what was taken stays taken. None of its own: as the namespace says.
    set_rate_limit(&mut client, "ada", Some(limit(50, HOUR))).await?;
    assert_eq!(remaining(&mut client, &first).await?, 45);
    let policy = v1::NamespacePolicy {
        rate_limit_subject_default: Some(limit(1, HOUR)),
        ..Default::default()
    };
    let request = v1::UpdateNamespaceRequest {
        namespace: Some(v1::Namespace {
            slug: "notes".to_owned(),
            policy: Some(policy),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["policy.rate_limit_subject_default".to_owned()],
        }),
        ..Default::default()
    };
    client.namespaces.update_namespace(request).await?;
    assert_eq!(remaining(&mut client, &first).await?, 45);
    let set = set_rate_limit(&mut client, "ada", None).await?;
    assert_eq!(set.subject.ok_or("no subject")?.rate_limit, None);
    for secret in [&first, &second] {
        assert_eq!(
            verify(&mut client, secret, None).await?.verdict(),
            Verdict::RateLimited
        );
    }
    assert_eq!(client.verdict(&other).await?, Verdict::Accepted);
    assert_eq!(client.verdict(&other).await?, Verdict::RateLimited);

    // One entry a change; the one that changes nothing is none.
    set_rate_limit(&mut client, "ada", None).await?;
    let request = v1::ListEntriesRequest {
        namespace: "notes".to_owned(),
        ..Default::default()
    };
    let entries = client.audit.list_entries(request).await?.into_inner().entries;
    let set = entries
        .iter()
        .filter(|entry| entry.kind() == v1::EntryKind::SubjectRateLimitSet);
    assert_eq!(set.count(), 3);
    let stale = v1::SetRateLimitRequest {
        namespace: "notes".to_owned(),
        subject: "ada".to_owned(),
        etag: "old".to_owned(),
        ..Default::default()
    };
    let refusal = refused(client.subjects.set_rate_limit(stale).await)?;
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::Aborted, "ETAG_MISMATCH")
    );
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_servers_share_a_budget_and_overshoot_no_more_than_is_said() -> Outcome {
    const LIMIT: i32 = 100;
    let mut fleet = Fleet::start(4).await?;
    let (_, secret) = issue(&mut fleet.clients[0], "ada", Some(limit(LIMIT, 24 * HOUR))).await?;
    // Each takes its turn, and each hears of what was taken before: nothing is taken twice.
    for (number, taken) in [(0, 40), (1, 30), (2, 20), (3, 6)] {
        let judged = verify(&mut fleet.clients[number], &secret, Some(taken)).await?;
        assert_eq!(judged.verdict(), Verdict::Accepted);
    }
    for client in &mut fleet.clients {
        until_remaining(client, &secret, LIMIT - 96).await?;
    }
    // All at once, from everywhere: each server lets no more through than what it knows to be left.
    let mut calling = JoinSet::new();
    for client in &fleet.clients {
        let (mut client, secret) = (client.clone(), secret.clone());
        calling.spawn(async move {
            let mut accepted = 0;
            while verify(&mut client, &secret, None).await?.verdict() == Verdict::Accepted {
                accepted += 1;
            }
            Ok::<_, Status>(accepted)
        });
    }
    let mut accepted = 96;
    while let Some(called) = calling.join_next().await {
        accepted += called??;
    }
    let servers = i32::try_from(fleet.clients.len())?;
    let overshoot = (servers - 1) * (LIMIT - 96);
    assert!((LIMIT..=LIMIT + overshoot).contains(&accepted), "{accepted}");
    // What was too much is owed: nobody gets anything before it has come back.
    for client in &mut fleet.clients {
        until_remaining(client, &secret, 0).await?;
        assert_eq!(client.verdict(&secret).await?, Verdict::RateLimited);
    }
    let metrics = scrape(&fleet.servers[0]).await?;
    let told = |name: &str| value(&metrics, name).ok_or_else(|| format!("no {name}: {metrics:?}"));
    assert!(told("tokenward_rate_limit_budgets_shared_total")? >= 2.0);
    assert!(told("tokenward_rate_limited_total{holder=\"token\"}")? >= 2.0);
    assert!(told("tokenward_rate_limit_budgets")? >= 1.0);
    assert!(told("tokenward_rate_limit_share_lag_seconds")? < BOUND.as_secs_f64());
    fleet.stop().await
}
