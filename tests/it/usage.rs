//! What tokens are used for, from the call that uses them to the call that asks.

use std::time::Duration;

use tokenward::proto::v1::{self, Verdict};
use tokenward::serve::{Options, Running};
use tonic::Code;
use tonic_types::StatusExt;

use crate::place::{Fallible, Place};
use crate::server::{Client, Outcome, hex, stop};

/// Nothing is flushed by itself within a test; or at once, as far as that goes.
const LATE: Duration = Duration::from_mins(1);
const SOON: Duration = Duration::from_secs(1);

const AGENT: &str = "usage-test/1.0";

struct Scene {
    servers: Vec<Running>,
    clients: Vec<Client>,
    place: Place,
}

impl Scene {
    async fn start(place: Place, servers: usize, change: impl Fn(&mut Options)) -> Fallible<Scene> {
        let mut options = place.options()?;
        change(&mut options);
        let servers: Vec<_> = (0..servers)
            .map(|_| Running::start(options.clone()))
            .collect::<Result<_, _>>()?;
        let mut clients = Vec::new();
        for server in &servers {
            clients.push(Client::connect(server.address()).await?);
        }
        Ok(Scene {
            servers,
            clients,
            place,
        })
    }

    /// One server that flushes soon, with the namespace `notes`.
    async fn with_notes(place: Place) -> Fallible<Scene> {
        let mut scene = Scene::start(place, 1, |options| options.usage_flush = Some(SOON)).await?;
        scene.clients[0].create_namespace("notes", "kn_", hex(40)).await?;
        Ok(scene)
    }

    async fn stop(self) -> Fallible<Place> {
        for server in self.servers {
            stop(server).await?;
        }
        Ok(self.place)
    }

    fn client(&mut self) -> &mut Client {
        &mut self.clients[0]
    }

    async fn usage(&mut self, token_id: &str) -> Fallible<v1::TokenUsage> {
        let token_id = token_id.to_owned();
        let request = v1::GetUsageRequest { token_id };
        let answer = self.client().tokens.get_usage(request).await?;
        Ok(answer.into_inner().usage.unwrap_or_default())
    }

    /// The usage once the token was accepted so often: it is told a while after.
    async fn usage_of(&mut self, token_id: &str, uses: i64) -> Fallible<v1::TokenUsage> {
        loop {
            let usage = self.usage(token_id).await?;
            if count(&usage, Verdict::Accepted) >= uses {
                return Ok(usage);
            }
            tokio::task::yield_now().await;
        }
    }

    async fn list(&mut self, filter: v1::TokenFilter) -> Result<Vec<v1::Token>, tonic::Status> {
        let request = v1::ListRequest {
            namespace: "notes".to_owned(),
            filter: Some(filter),
            ..Default::default()
        };
        Ok(self.client().tokens.list(request).await?.into_inner().tokens)
    }
}

fn count(usage: &v1::TokenUsage, verdict: Verdict) -> i64 {
    let counts = usage.counts.iter();
    counts
        .filter(|count| count.verdict() == verdict)
        .map(|count| count.count)
        .sum()
}

async fn present(client: &mut Client, secret: &str, agent: &str) -> Result<Verdict, tonic::Status> {
    let request = v1::VerifyRequest {
        secret: secret.to_owned(),
        context: Some(v1::RequestContext {
            client_address: "192.0.2.77".to_owned(),
            user_agent: agent.to_owned(),
            method: "GET".to_owned(),
            path: "/notes?token=of-somebody".to_owned(),
        }),
        ..Default::default()
    };
    Ok(client.verification.verify(request).await?.into_inner().verdict())
}

fn micros(time: Option<prost_types::Timestamp>) -> Option<i64> {
    time.map(|time| time.seconds * 1_000_000 + i64::from(time.nanos) / 1000)
}

fn ids(tokens: &[v1::Token]) -> Vec<&str> {
    tokens.iter().map(|token| token.id.as_str()).collect()
}

/// Whatever server has seen them, and whatever it had written when it was told to end.
async fn uses_are_counted_exactly(place: Place, servers: usize) -> Outcome {
    let late = |options: &mut Options| options.usage_flush = Some(LATE);
    let mut scene = Scene::start(place, servers, late).await?;
    scene.client().create_namespace("notes", "kn_", hex(40)).await?;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(scene.client().issue("notes", &["read"]).await?);
    }
    for client in &mut scene.clients {
        for (times, (_, secret)) in (1..).zip(&tokens) {
            for _ in 0..times {
                assert_eq!(present(client, secret, AGENT).await?, Verdict::Accepted);
            }
            assert_eq!(
                client.verify(secret, &["write"]).await?.verdict(),
                Verdict::InsufficientScope
            );
        }
    }
    scene.client().revoke(&tokens[0].0.id).await?;
    for client in &mut scene.clients {
        assert_eq!(client.verdict(&tokens[0].1).await?, Verdict::Revoked);
    }
    let place = scene.stop().await?;

    let mut scene = Scene::start(place, 1, late).await?;
    let servers = i64::try_from(servers)?;
    for (times, (token, _)) in (1..).zip(&tokens) {
        let usage = scene.usage(&token.id).await?;
        assert_eq!(count(&usage, Verdict::Accepted), times * servers);
        assert_eq!(count(&usage, Verdict::InsufficientScope), servers);
        let revoked = if times == 1 { servers } else { 0 };
        assert_eq!(count(&usage, Verdict::Revoked), revoked);
        let last = usage.last_use.ok_or("never used")?;
        assert_eq!(
            (last.address_prefix.as_str(), last.user_agent.as_str()),
            ("192.0.2.0/24", AGENT)
        );
        assert!(last.caller.starts_with("token:"), "{last:?}");
        assert!(micros(last.time) >= micros(usage.first_use_time));
        assert!(usage.recorded_since.is_some());
        let refusal = usage.last_refusal.ok_or("never refused")?;
        assert_ne!(refusal.verdict(), Verdict::Accepted);
        assert_eq!(usage.secrets.len(), 1);
    }
    let listed = scene.list(v1::TokenFilter::default()).await?;
    for (times, token) in (1..).zip(&listed) {
        assert_eq!(token.use_count, times * servers);
        assert!(
            micros(token.last_use_time) >= micros(token.first_use_time) && token.first_use_time.is_some()
        );
        assert_eq!(token.secrets[0].last_use_time, token.last_use_time);
    }
    scene.stop().await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uses_are_counted_exactly_on_sqlite() -> Outcome {
    uses_are_counted_exactly(Place::sqlite()?, 1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uses_are_counted_exactly_on_postgres_by_two_servers() -> Outcome {
    uses_are_counted_exactly(Place::postgres().await?, 2).await
}

/// Tokens are found, and revoked in bulk, by when they were last used.
async fn unused_tokens_are_found(place: Place) -> Outcome {
    let mut scene = Scene::with_notes(place).await?;
    let (used, secret) = scene.client().issue("notes", &[]).await?;
    let (idle, _) = scene.client().issue("notes", &[]).await?;
    let before = idle.create_time;
    present(scene.client(), &secret, AGENT).await?;
    let usage = scene.usage_of(&used.id, 1).await?;
    let time = usage.last_use.and_then(|last| last.time);
    let after = time.map(|time| prost_types::Timestamp {
        seconds: time.seconds + 1,
        ..time
    });
    let by = |last_used_after, last_used_before, unused_since| v1::TokenFilter {
        last_used_after,
        last_used_before,
        unused_since,
        ..Default::default()
    };
    assert_eq!(ids(&scene.list(by(time, None, None)).await?), [&used.id]);
    assert_eq!(ids(&scene.list(by(None, after, None)).await?), [&used.id]);
    assert!(scene.list(by(None, time, None)).await?.is_empty());
    assert!(scene.list(by(after, None, None)).await?.is_empty());
    assert_eq!(ids(&scene.list(by(None, None, time)).await?), [&idle.id]);
    assert_eq!(
        ids(&scene.list(by(None, None, after)).await?),
        [&used.id, &idle.id]
    );
    // One that was never used counts from when it was issued.
    assert!(scene.list(by(None, None, before)).await?.is_empty());
    let named = v1::TokenFilter {
        token_ids: vec![used.id.clone(), idle.id.clone()],
        ..by(None, None, time)
    };
    assert_eq!(ids(&scene.list(named).await?), [&idle.id]);

    let selector = v1::TokenSelector {
        namespace: "notes".to_owned(),
        filter: Some(by(None, None, time)),
        ..Default::default()
    };
    let request = v1::RevokeMatchingRequest {
        selector: Some(selector),
        validate_only: true,
        ..Default::default()
    };
    let mut events = scene.client().tokens.revoke_matching(request).await?.into_inner();
    let event = events.message().await?.and_then(|message| message.event);
    let Some(v1::revoke_matching_response::Event::Preview(preview)) = event else {
        return Err("no preview".into());
    };
    assert_eq!((preview.count, ids(&preview.sample)), (1, vec![idle.id.as_str()]));
    scene.stop().await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unused_tokens_are_found_on_sqlite() -> Outcome {
    unused_tokens_are_found(Place::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unused_tokens_are_found_on_postgres() -> Outcome {
    unused_tokens_are_found(Place::postgres().await?).await
}

/// All tokens would seem unused since before that: nobody is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_recorded_is_not_taken_for_unused() -> Outcome {
    let mut scene = Scene::with_notes(Place::sqlite()?).await?;
    let (token, secret) = scene.client().issue("notes", &[]).await?;
    present(scene.client(), &secret, AGENT).await?;
    let usage = scene.usage_of(&token.id, 1).await?;
    let since = usage.recorded_since.ok_or("it is not recorded")?;
    let unused_since = |time| v1::TokenFilter {
        unused_since: Some(time),
        ..Default::default()
    };
    assert!(scene.list(unused_since(since)).await?.is_empty());
    let earlier = prost_types::Timestamp {
        seconds: since.seconds - 1,
        ..since
    };
    for filter in [
        unused_since(earlier),
        v1::TokenFilter {
            last_used_before: Some(earlier),
            ..Default::default()
        },
    ] {
        let status = scene.list(filter).await.err().ok_or("it was answered")?;
        assert_eq!(status.code(), Code::FailedPrecondition);
        let info = status.get_details_error_info().ok_or("no details")?;
        assert_eq!(info.reason, "USAGE_UNKNOWN");
        assert!(info.metadata.contains_key("recorded_since"));
    }
    let place = scene.stop().await?;

    // A server that does not record leaves what is known, and what can be asked of it.
    let mut scene = Scene::start(place, 1, |options| options.usage_flush = None).await?;
    present(scene.client(), &secret, AGENT).await?;
    let usage = scene.usage(&token.id).await?;
    assert_eq!(
        (count(&usage, Verdict::Accepted), usage.recorded_since),
        (1, None)
    );
    let status = scene
        .list(unused_since(since))
        .await
        .err()
        .ok_or("it was answered")?;
    assert_eq!(status.code(), Code::FailedPrecondition);
    scene.stop().await.map(drop)
}

/// Whatever a client says of itself, it is judged; and where it calls from can be forgotten, for it is in one place.
async fn personal_data_can_be_erased(place: Place) -> Outcome {
    let mut scene = Scene::with_notes(place).await?;
    let (first, secret) = scene.client().issue("notes", &[]).await?;
    let (second, other) = scene.client().issue("notes", &[]).await?;
    let wild = format!("wild\0\n\u{202e}{}", "🦀".repeat(4000));
    assert_eq!(present(scene.client(), &secret, &wild).await?, Verdict::Accepted);
    assert_eq!(present(scene.client(), &other, AGENT).await?, Verdict::Accepted);
    let last = scene.usage_of(&first.id, 1).await?.last_use.ok_or("never used")?;
    let kept = format!("wild\u{fffd}\u{fffd}\u{fffd}{}", "🦀".repeat(249));
    assert_eq!(last.user_agent, kept);
    scene.usage_of(&second.id, 1).await?;
    let head = v1::GetHeadRequest {};
    let before = scene.client().audit.get_head(head).await?.into_inner();

    let erase = |token_id: &str, subject: &str| v1::EraseUsageRequest {
        token_id: token_id.to_owned(),
        subject: (!subject.is_empty()).then(|| v1::SubjectName {
            namespace: "notes".to_owned(),
            subject: subject.to_owned(),
        }),
    };
    for (request, erased) in [
        (erase(&first.id, ""), 1),
        (erase(&first.id, ""), 0),
        (erase("", "nobody"), 0),
        (erase("", "ada"), 1),
    ] {
        let answer = scene.client().tokens.erase_usage(request).await?;
        assert_eq!(answer.into_inner().erased_count, erased);
    }
    for id in [&first.id, &second.id] {
        let usage = scene.usage(id).await?;
        assert_eq!(count(&usage, Verdict::Accepted), 1);
        let last = usage.last_use.ok_or("when it was used stays")?;
        assert_eq!((last.address_prefix.as_str(), last.user_agent.as_str()), ("", ""));
    }
    let after = scene.client().audit.get_head(head).await?.into_inner();
    assert_eq!(before, after, "the journal has no part in it");
    for wrong in [erase("", ""), erase("no id", ""), erase(&first.id, "ada")] {
        let status = scene
            .client()
            .tokens
            .erase_usage(wrong)
            .await
            .err()
            .ok_or("done")?;
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    scene.stop().await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn personal_data_can_be_erased_on_sqlite() -> Outcome {
    personal_data_can_be_erased(Place::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn personal_data_can_be_erased_on_postgres() -> Outcome {
    personal_data_can_be_erased(Place::postgres().await?).await
}

/// A credential is a token: to call with it is to use it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_is_used_by_those_who_call_with_it() -> Outcome {
    let mut scene = Scene::with_notes(Place::sqlite()?).await?;
    let (credential, secret) = scene.client().issue("system", &["tokens.verify:notes"]).await?;
    let endpoint = tonic::transport::Endpoint::new(format!("http://{}", scene.servers[0].address()))?;
    let mut caller = Client::with(endpoint.connect_lazy(), crate::admin::Bearer::new(&secret));
    assert_eq!(caller.verdict("kn_nothing").await?, Verdict::Refused);
    let last = scene
        .usage_of(&credential.id, 1)
        .await?
        .last_use
        .ok_or("never used")?;
    assert_eq!(
        (last.caller.as_str(), last.address_prefix.as_str()),
        ("", "127.0.0.0/24")
    );
    assert!(last.user_agent.starts_with("tonic/"), "{last:?}");
    scene.stop().await.map(drop)
}
