//! `tokenward demo`: a server of its own, and the whole life of a token over a real socket.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use console::style;
use tokio::sync::mpsc;

use super::connect::{Address, Wire};
use super::credential::{self, Bearer};
use super::failure::{Failure, Outcome};
use super::output;
use crate::clock::{Clock, SystemClock};
use crate::journal::link::Link;
use crate::proto::v1;
use crate::proto::v1::audit_service_client::AuditServiceClient;
use crate::proto::v1::namespace_service_client::NamespaceServiceClient;
use crate::proto::v1::revocation_service_client::RevocationServiceClient;
use crate::proto::v1::rotate_request::OverlapMode;
use crate::proto::v1::secret_format::Body;
use crate::proto::v1::token_service_client::TokenServiceClient;
use crate::proto::v1::verification_service_client::VerificationServiceClient;
use crate::proto::v1::watch_revocations_response::Event;
use crate::serve::{Options, Running, StoreAddress};
use crate::token::time::Timestamp;

/// How long the demo waits for a revocation it has made to come by on the stream.
const EVENT_WITHIN: Duration = Duration::from_secs(10);

/// The namespaces of the demo: four products, one of them with an environment in its prefix.
const PRODUCTS: [&str; 5] = [
    "krokanti-notes",
    "krokanti-tasks",
    "knowmind",
    "tooken-live",
    "tooken-test",
];

/// Shows what a token authority does, from the first token to the last event.
pub(super) async fn run() -> Outcome {
    let folder = tempfile::Builder::new().prefix("tokenward-demo-").tempdir()?;
    let store = StoreAddress::Sqlite(folder.path().join("tokenward.db"));
    let options = Options::new(store.clone(), SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = Running::start(options).map_err(Failure::new)?;
    step("A server starts on a store of its own; both are gone when this ends")?;
    say("listening on", server.address())?;
    say("store", &store)?;
    let address: Address = server.address().to_string().parse().map_err(Failure::new)?;
    let admin_file = folder.path().join("tokenward.db.admin");
    let admin = credential::given(Some(&admin_file))?.ok_or_else(|| Failure::new("there is no admin"))?;
    say("first credential", admin_file.display())?;
    Demo::over(address.connect(Bearer::new(&admin)?).await?)
        .walk()
        .await?;
    let stopped = tokio::task::spawn_blocking(|| server.stop()).await;
    stopped
        .map_err(|_| Failure::new("the server panicked"))?
        .map_err(Failure::new)?;
    Ok(ExitCode::SUCCESS)
}

/// Clients over one connection.
struct Demo {
    namespaces: NamespaceServiceClient<Wire>,
    tokens: TokenServiceClient<Wire>,
    verification: VerificationServiceClient<Wire>,
    revocations: RevocationServiceClient<Wire>,
    audit: AuditServiceClient<Wire>,
}

/// A token with the secret it was issued with.
struct Issued {
    token_id: String,
    secret: String,
}

impl Demo {
    fn over(channel: Wire) -> Demo {
        Demo {
            namespaces: NamespaceServiceClient::new(channel.clone()),
            tokens: TokenServiceClient::new(channel.clone()),
            verification: VerificationServiceClient::new(channel.clone()),
            revocations: RevocationServiceClient::new(channel.clone()),
            audit: AuditServiceClient::new(channel),
        }
    }

    async fn walk(mut self) -> Result<(), Failure> {
        step("Four products move in: each namespace has the exact shape its tokens always had")?;
        self.create_namespaces().await?;
        step("A token is issued in each; the server keeps only a digest")?;
        let Issued { token_id, secret } = self.issue_in_each().await?;
        step("Verify answers with a verdict; a refusal is an answer, too")?;
        self.verify("as issued, for read", &secret, &["read"]).await?;
        self.verify("the same, for admin", &secret, &["admin"]).await?;
        self.verify("with an X at its end", &format!("{secret}X"), &[])
            .await?;
        self.verify(
            "one nobody was given",
            "kn_0123456789abcdef0123456789abcdef01234567",
            &[],
        )
        .await?;
        step("Rotate gives it a new secret, and the old one another minute; then again, at once")?;
        let second = self.rotate(&token_id, Duration::from_mins(1)).await?;
        self.verify("the old secret", &secret, &[]).await?;
        self.verify("the new secret", &second, &[]).await?;
        let third = self.rotate(&token_id, Duration::ZERO).await?;
        self.verify("the first secret", &secret, &[]).await?;
        self.verify("the second", &second, &[]).await?;
        self.verify("the third", &third, &[]).await?;
        step("Revoke is for ever, and everyone who watches hears of it")?;
        self.revoke_and_watch(&token_id).await?;
        self.verify("the third secret", &third, &[]).await?;
        step("Every change stands in a hash-linked journal")?;
        self.check_journal().await
    }

    async fn create_namespaces(&mut self) -> Result<(), Failure> {
        let formats = [
            ("kn_", Body::Hex(v1::HexBody { length: 40 })),
            ("kt_", Body::Hex(v1::HexBody { length: 40 })),
            ("kmt_", Body::Base64url(v1::Base64UrlBody { length: 48 })),
            ("tok_live_", Body::Native(v1::NativeBody {})),
            ("tok_test_", Body::Native(v1::NativeBody {})),
        ];
        for (slug, (prefix, body)) in PRODUCTS.into_iter().zip(formats) {
            let shape = match &body {
                Body::Hex(hex) => format!("{} hexadecimal characters", hex.length),
                Body::Base64url(base64url) => format!("{} base64url characters", base64url.length),
                Body::Base62(base62) => format!("{} base62 characters", base62.length),
                Body::Native(_) => "30 random characters, a keyed tag and a checksum".to_owned(),
            };
            let format = v1::SecretFormat {
                prefix: prefix.to_owned(),
                body: Some(body),
            };
            let namespace = v1::Namespace {
                slug: slug.to_owned(),
                format: Some(format),
                ..Default::default()
            };
            let request = v1::CreateNamespaceRequest {
                namespace: Some(namespace),
                ..Default::default()
            };
            self.namespaces.create_namespace(request).await?;
            say(slug, format_args!("{prefix} + {shape}"))?;
        }
        Ok(())
    }

    /// Issues a token in every namespace; the one whose life is told is of the first product.
    async fn issue_in_each(&mut self) -> Result<Issued, Failure> {
        let mut told = None;
        for slug in PRODUCTS {
            let request = v1::IssueRequest {
                namespace: slug.to_owned(),
                name: "demo".to_owned(),
                subject: "ada".to_owned(),
                scopes: vec!["read".to_owned(), "write".to_owned()],
                ..Default::default()
            };
            let issued = self.tokens.issue(request).await?.into_inner();
            say(slug, &issued.secret)?;
            let token_id = issued.token.map(|token| token.id).unwrap_or_default();
            told.get_or_insert(Issued {
                token_id,
                secret: issued.secret,
            });
        }
        told.ok_or_else(|| Failure::new("nothing was issued"))
    }

    async fn verify(&mut self, what: &str, secret: &str, scopes: &[&str]) -> Result<(), Failure> {
        let request = v1::VerifyRequest {
            secret: secret.to_owned(),
            required_scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..Default::default()
        };
        let response = self.verification.verify(request).await?.into_inner();
        let verdict = response.verdict();
        let name = verdict.as_str_name().trim_start_matches("VERDICT_");
        let styled = match verdict {
            v1::Verdict::Accepted => style(name).green(),
            _ => style(name).red(),
        };
        match response.missing_scopes.as_slice() {
            [] => Ok(say(what, styled)?),
            missing => Ok(say(
                what,
                format_args!("{styled}: {} is missing", missing.join(", ")),
            )?),
        }
    }

    async fn rotate(&mut self, token_id: &str, overlap: Duration) -> Result<String, Failure> {
        let overlap = prost_types::Duration::try_from(overlap).ok();
        let request = v1::RotateRequest {
            token_id: token_id.to_owned(),
            overlap_mode: overlap.map(OverlapMode::Overlap),
            ..Default::default()
        };
        let rotated = self.tokens.rotate(request).await?.into_inner();
        say("rotated to", &rotated.secret)?;
        Ok(rotated.secret)
    }

    /// Revokes the token while a stream is open, and tells when its event came.
    async fn revoke_and_watch(&mut self, token_id: &str) -> Result<(), Failure> {
        let request = v1::WatchRevocationsRequest::default();
        let mut stream = self.revocations.watch_revocations(request).await?.into_inner();
        let (arrivals, mut arrived) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok(Some(message)) = stream.message().await {
                if arrivals.send((message, SystemClock.now())).await.is_err() {
                    return;
                }
            }
        });
        match arrived.recv().await {
            Some((message, _)) if matches!(message.event, Some(Event::Started(_))) => {
                say("watching from", format_args!("revision {}", message.revision))?;
            }
            _ => return Err(Failure::new("the stream did not begin")),
        }
        let asked = SystemClock.now();
        let reason = "shown in a demo".to_owned();
        let request = v1::RevokeRequest {
            token_id: token_id.to_owned(),
            reason,
            ..Default::default()
        };
        let answer = self.tokens.revoke(request).await?.into_inner();
        let answered = SystemClock.now();
        say(
            "Revoke answered OK",
            format_args!("after {}", millis(asked, answered)),
        )?;
        let event = async {
            while let Some((message, at)) = arrived.recv().await {
                if let Some(Event::Revoked(revoked)) = message.event {
                    return Some((revoked, message.cursor, at));
                }
            }
            None
        };
        let event = tokio::time::timeout(EVENT_WITHIN, event).await.ok().flatten();
        let Some((revoked, cursor, at)) = event.filter(|(_, cursor, _)| *cursor == answer.cursor) else {
            return Err(Failure::new("the event of the revocation did not arrive"));
        };
        let when = if at < answered {
            format!("{} before that answer", millis(at, answered))
        } else {
            format!("{} after that answer", millis(answered, at))
        };
        say(
            "the event arrived",
            format_args!("{when}: {} ({})", revoked.token_id, revoked.reason),
        )?;
        Ok(say("a watcher resumes at", cursor)?)
    }

    async fn check_journal(&mut self) -> Result<(), Failure> {
        let request = v1::ListEntriesRequest {
            page_size: 1000,
            ..Default::default()
        };
        let entries = self.audit.list_entries(request).await?.into_inner().entries;
        let head = self.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
        let link = entries
            .iter()
            .fold(Link::START, |link, entry| link.then(&entry.body));
        if link.as_bytes()[..] != head.link {
            return Err(Failure::new("the journal does not add up to its head"));
        }
        say(
            "entries",
            format_args!("{}, from the first namespace to the revocation", entries.len()),
        )?;
        Ok(say(
            "recomputed link",
            format_args!("{link}, as the server says"),
        )?)
    }
}

fn step(what: &str) -> io::Result<()> {
    output::line(&format!("\n{}", style(what).bold()))
}

fn say(what: &str, value: impl Display) -> io::Result<()> {
    output::line(&format!("  {what:<22}{value}"))
}

fn millis(from: Timestamp, to: Timestamp) -> String {
    format!("{:.3} ms", from.until(to).as_secs_f64() * 1000.0)
}
