//! Four products move in. What each promises its users is asserted with its number beside it; the numbers are those of
//! `docs/products.md`, which also says what does not hold yet.

mod knowmind;
mod notes;
mod tasks;
mod tooken;
mod waiting;

use tokenward::proto::v1::import_row::Digest;
use tokenward::proto::v1::revoke_matching_response::Event as Matching;
use tokenward::proto::v1::rotate_request::OverlapMode;
use tokenward::proto::v1::secret_format::Body;
use tokenward::proto::v1::watch_revocations_response::Event;
use tokenward::proto::v1::{self, EntryKind, Verdict};
use tokenward::serve::{Options, Running};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use crate::place::{Fallible, Place};
use crate::server::{Client, Outcome, hex, native, stop};

const IMPORT: &str = "3f2a8c1e-0d4b-4e6f-9a7b-1c2d3e4f5a6b";

/// A product that has moved in, on either store.
struct Scene {
    running: Running,
    client: Client,
    place: Place,
}

impl Scene {
    async fn start(place: Place) -> Fallible<Scene> {
        Scene::start_with(place, |_| {}).await
    }

    async fn start_with(place: Place, change: impl FnOnce(&mut Options)) -> Fallible<Scene> {
        let mut options = place.options()?;
        change(&mut options);
        // As often as can be told: what was used shows a moment later.
        options.usage_flush = Some(std::time::Duration::from_secs(1));
        let running = Running::start(options)?;
        let client = Client::connect(running.address()).await?;
        Ok(Scene {
            running,
            client,
            place,
        })
    }

    async fn stop(self) -> Outcome {
        stop(self.running).await?;
        drop(self.place);
        Ok(())
    }

    async fn create(&mut self, slug: &str, prefix: &str, body: Body, policy: v1::NamespacePolicy) -> Outcome {
        let request = v1::CreateNamespaceRequest {
            namespace: Some(v1::Namespace {
                slug: slug.to_owned(),
                format: Some(v1::SecretFormat {
                    prefix: prefix.to_owned(),
                    body: Some(body),
                }),
                policy: Some(policy),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.client.namespaces.create_namespace(request).await?;
        Ok(())
    }

    async fn issue(&mut self, request: v1::IssueRequest) -> Result<(v1::Token, String), Status> {
        let issued = self.client.tokens.issue(request).await?.into_inner();
        Ok((issued.token.unwrap_or_default(), issued.secret))
    }

    async fn get(&mut self, token_id: &str) -> Result<v1::Token, Status> {
        let token_id = token_id.to_owned();
        let answer = self.client.tokens.get(v1::GetRequest { token_id }).await?;
        Ok(answer.into_inner().token.unwrap_or_default())
    }

    async fn list(&mut self, request: v1::ListRequest) -> Result<Vec<v1::Token>, Status> {
        Ok(self.client.tokens.list(request).await?.into_inner().tokens)
    }

    /// The entries about a token, oldest first.
    async fn entries(&mut self, token_id: &str) -> Result<Vec<v1::Entry>, Status> {
        let request = v1::ListEntriesRequest {
            token_id: token_id.to_owned(),
            ..Default::default()
        };
        Ok(self
            .client
            .audit
            .list_entries(request)
            .await?
            .into_inner()
            .entries)
    }

    /// Their kinds.
    async fn story(&mut self, token_id: &str) -> Result<Vec<EntryKind>, Status> {
        let entries = self.entries(token_id).await?;
        Ok(entries.iter().map(v1::Entry::kind).collect())
    }

    /// All that is kept in the journal, as text.
    async fn journal(&mut self) -> Result<String, Status> {
        let request = v1::ListEntriesRequest {
            page_size: 1000,
            ..Default::default()
        };
        let entries = self
            .client
            .audit
            .list_entries(request)
            .await?
            .into_inner()
            .entries;
        Ok(entries
            .iter()
            .map(|entry| String::from_utf8_lossy(&entry.body).into_owned())
            .collect())
    }

    async fn watch(&mut self) -> Fallible<Watch> {
        let request = v1::WatchRevocationsRequest::default();
        let mut stream = self
            .client
            .revocations
            .watch_revocations(request)
            .await?
            .into_inner();
        stream.message().await?.ok_or("no first message")?;
        Ok(Watch(stream))
    }

    /// Every row is imported.
    async fn import(&mut self, namespace: &str, rows: Vec<v1::ImportRow>) -> Outcome {
        let wanted = rows.len();
        let start = v1::ImportStart {
            namespace: namespace.to_owned(),
            import_id: IMPORT.to_owned(),
            ..Default::default()
        };
        let told = self.client.import(start, vec![rows]).await?;
        assert_eq!(usize::try_from(told[0].imported)?, wanted, "{told:?}");
        Ok(())
    }

    async fn revoke(&mut self, token_id: &str, reason: &str) -> Result<v1::Token, Status> {
        let request = v1::RevokeRequest {
            token_id: token_id.to_owned(),
            reason: reason.to_owned(),
            ..Default::default()
        };
        let answer = self.client.tokens.revoke(request).await?.into_inner();
        Ok(answer.token.unwrap_or_default())
    }

    async fn resume(&mut self, token_id: &str) -> Result<(), Status> {
        let request = v1::ResumeRequest {
            token_id: token_id.to_owned(),
            ..Default::default()
        };
        self.client.tokens.resume(request).await.map(drop)
    }

    async fn rotate(&mut self, token_id: &str, overlap: OverlapMode) -> Result<(v1::Token, String), Status> {
        let request = v1::RotateRequest {
            token_id: token_id.to_owned(),
            overlap_mode: Some(overlap),
            ..Default::default()
        };
        let rotated = self.client.tokens.rotate(request).await?.into_inner();
        Ok((rotated.token.unwrap_or_default(), rotated.secret))
    }

    async fn rescope(&mut self, token_id: &str, scopes: &[&str]) -> Outcome {
        let request = v1::UpdateRequest {
            token: Some(v1::Token {
                id: token_id.to_owned(),
                scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["scopes".to_owned()],
            }),
            ..Default::default()
        };
        self.client.tokens.update(request).await?;
        Ok(())
    }

    /// What a subject pays for.
    async fn plan(&mut self, namespace: &str, subject: &str, plan: &str) -> Outcome {
        let request = v1::UpdateSubjectRequest {
            subject: Some(v1::Subject {
                namespace: namespace.to_owned(),
                subject: subject.to_owned(),
                plan: plan.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.client.subjects.update_subject(request).await?;
        Ok(())
    }

    async fn revoke_issued(&mut self, namespace: &str, subject: &str) -> Outcome {
        let request = v1::RevokeIssuedRequest {
            namespace: namespace.to_owned(),
            target: Some(v1::revoke_issued_request::Target::Subject(subject.to_owned())),
            reason: "left".to_owned(),
            ..Default::default()
        };
        self.client.subjects.revoke_issued(request).await?;
        Ok(())
    }

    /// What would be revoked of the tokens whose names begin so.
    async fn preview(&mut self, namespace: &str, prefix: &str) -> Fallible<v1::MatchingPreview> {
        let request = v1::RevokeMatchingRequest {
            selector: Some(named(namespace, prefix)),
            validate_only: true,
            ..Default::default()
        };
        let mut events = self.client.tokens.revoke_matching(request).await?.into_inner();
        match events.message().await?.and_then(|message| message.event) {
            Some(Matching::Preview(preview)) => Ok(preview),
            other => Err(format!("no preview: {other:?}").into()),
        }
    }

    /// Revokes what was previewed; how many.
    async fn carry_out(
        &mut self,
        selector: v1::TokenSelector,
        plan_token: &str,
        count: i64,
    ) -> Result<i64, Status> {
        let request = v1::RevokeMatchingRequest {
            selector: Some(selector),
            plan_token: plan_token.to_owned(),
            expected_count: count,
            ..Default::default()
        };
        let mut events = self.client.tokens.revoke_matching(request).await?.into_inner();
        loop {
            let message = events
                .message()
                .await?
                .ok_or_else(|| Status::unknown("it ended"))?;
            if let Some(Matching::Done(done)) = message.event {
                return Ok(done.revoked);
            }
        }
    }

    async fn leaked(&mut self, secret: &str) -> Result<v1::RevokeLeakedResponse, Status> {
        let request = v1::RevokeLeakedRequest {
            secret: secret.to_owned(),
            ..Default::default()
        };
        Ok(self.client.tokens.revoke_leaked(request).await?.into_inner())
    }

    /// A client that presents this secret itself.
    fn holder(&self, secret: &str) -> Fallible<Client> {
        let channel =
            tonic::transport::Endpoint::new(format!("http://{}", self.running.address()))?.connect_lazy();
        Ok(Client::with(channel, crate::admin::Bearer::new(secret)))
    }
}

/// A stream of what is taken from tokens, after its first message.
struct Watch(Streaming<v1::WatchRevocationsResponse>);

impl Watch {
    async fn next(&mut self) -> Fallible<Event> {
        loop {
            let message = self.0.message().await?.ok_or("the stream ended")?;
            match message.event {
                Some(Event::Heartbeat(_)) => {}
                Some(event) => return Ok(event),
                None => return Err("an event that is unknown".into()),
            }
        }
    }
}

fn code<T>(answer: Result<T, Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}

/// The stable reason of a refusal.
fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map(|info| info.reason).unwrap_or_default()
}

fn named(namespace: &str, prefix: &str) -> v1::TokenSelector {
    v1::TokenSelector {
        namespace: namespace.to_owned(),
        filter: Some(v1::TokenFilter {
            name_prefix: prefix.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn matching(namespace: &str, filter: v1::TokenFilter) -> v1::ListRequest {
    v1::ListRequest {
        filter: Some(filter),
        ..active(namespace)
    }
}

fn none() -> OverlapMode {
    OverlapMode::Overlap(seconds(0))
}

fn at_first_use() -> OverlapMode {
    OverlapMode::OverlapFromFirstUse(seconds(0))
}

/// A row of what a product kept of a token.
fn row(key: &str, subject: &str, name: &str, digest: Digest, text: &str) -> v1::ImportRow {
    v1::ImportRow {
        key: key.to_owned(),
        subject: subject.to_owned(),
        name: name.to_owned(),
        hint: text.to_owned(),
        digest: Some(digest),
        ..Default::default()
    }
}

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

fn days(days: i64) -> prost_types::Duration {
    seconds(days * 86_400)
}

fn per_minute(requests: i32) -> v1::RateLimit {
    v1::RateLimit {
        requests,
        period: Some(seconds(60)),
    }
}

fn issue(namespace: &str, subject: &str, name: &str) -> v1::IssueRequest {
    v1::IssueRequest {
        namespace: namespace.to_owned(),
        subject: subject.to_owned(),
        name: name.to_owned(),
        ..Default::default()
    }
}

fn active(namespace: &str) -> v1::ListRequest {
    v1::ListRequest {
        namespace: namespace.to_owned(),
        state: v1::TokenState::Active.into(),
        ..Default::default()
    }
}
