//! A server of a test's own, and clients of it.

use std::net::SocketAddr;

use tempfile::TempDir;
use tokenward::proto::v1;
use tokenward::proto::v1::audit_service_client::AuditServiceClient;
use tokenward::proto::v1::caller_service_client::CallerServiceClient;
use tokenward::proto::v1::import_service_client::ImportServiceClient;
use tokenward::proto::v1::namespace_service_client::NamespaceServiceClient;
use tokenward::proto::v1::revocation_service_client::RevocationServiceClient;
use tokenward::proto::v1::secret_format::Body;
use tokenward::proto::v1::subject_service_client::SubjectServiceClient;
use tokenward::proto::v1::token_service_client::TokenServiceClient;
use tokenward::proto::v1::verification_service_client::VerificationServiceClient;
use tokenward::proto::v1::webhook_service_client::WebhookServiceClient;
use tokenward::serve::{Options, Running, StoreAddress};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::admin::{self, Bearer};

/// A connection on which every call carries a credential.
pub(crate) type Wire = InterceptedService<Channel, Bearer>;

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A server on a store of its own, in a folder that goes with it.
pub(crate) struct Server {
    running: Option<Running>,
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
}

/// Clients over one connection.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) tokens: TokenServiceClient<Wire>,
    pub(crate) verification: VerificationServiceClient<Wire>,
    pub(crate) revocations: RevocationServiceClient<Wire>,
    pub(crate) namespaces: NamespaceServiceClient<Wire>,
    pub(crate) audit: AuditServiceClient<Wire>,
    pub(crate) caller: CallerServiceClient<Wire>,
    pub(crate) imports: ImportServiceClient<Wire>,
    pub(crate) subjects: SubjectServiceClient<Wire>,
    pub(crate) webhooks: WebhookServiceClient<Wire>,
}

impl Server {
    pub(crate) fn start() -> Result<Server, Box<dyn std::error::Error>> {
        Server::start_with(|_| {})
    }

    pub(crate) fn start_with(
        change: impl FnOnce(&mut Options),
    ) -> Result<Server, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let mut options = Options::new(
            StoreAddress::Sqlite(folder.path().join("tokenward.db")),
            SocketAddr::from(([127, 0, 0, 1], 0)),
        );
        admin::known_to(&mut options);
        change(&mut options);
        let running = Running::start(options)?;
        Ok(Server {
            address: running.address(),
            running: Some(running),
            folder,
        })
    }

    pub(crate) fn endpoint(&self) -> Result<Endpoint, tonic::transport::Error> {
        Endpoint::new(format!("http://{}", self.address))
    }

    pub(crate) async fn client(&self) -> Result<Client, tonic::transport::Error> {
        Ok(Client::over(self.endpoint()?.connect().await?))
    }

    pub(crate) fn running(&self) -> Result<&Running, &'static str> {
        self.running.as_ref().ok_or("it was ended")
    }

    /// Ends the server as SIGTERM does.
    pub(crate) async fn stop(self) -> Outcome {
        self.stop_keeping_folder().await.map(drop)
    }

    /// Ends the server, and leaves its store to the next one.
    pub(crate) async fn stop_keeping_folder(mut self) -> Result<TempDir, Box<dyn std::error::Error>> {
        if let Some(running) = self.running.take() {
            stop(running).await?;
        }
        Ok(std::mem::replace(&mut self.folder, tempfile::tempdir()?))
    }
}

/// Ends a server as SIGTERM does, beside the test's own runtime, which its connections need to close.
pub(crate) async fn stop(running: Running) -> Outcome {
    Ok(tokio::task::spawn_blocking(|| running.stop()).await??)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // Not waited for: the test's own runtime has to run for its connections to close.
            std::thread::spawn(|| running.stop());
        }
    }
}

impl Client {
    pub(crate) async fn connect(address: impl std::fmt::Display) -> Result<Client, tonic::transport::Error> {
        Ok(Client::over(
            Endpoint::new(format!("http://{address}"))?.connect().await?,
        ))
    }

    /// The admin's.
    pub(crate) fn over(channel: Channel) -> Client {
        Client::with(channel, Bearer::admin())
    }

    /// Somebody's.
    pub(crate) fn with(channel: Channel, bearer: Bearer) -> Client {
        let channel = InterceptedService::new(channel, bearer);
        Client {
            tokens: TokenServiceClient::new(channel.clone()),
            verification: VerificationServiceClient::new(channel.clone()),
            revocations: RevocationServiceClient::new(channel.clone()),
            namespaces: NamespaceServiceClient::new(channel.clone()),
            audit: AuditServiceClient::new(channel.clone()),
            caller: CallerServiceClient::new(channel.clone()),
            imports: ImportServiceClient::new(channel.clone()),
            subjects: SubjectServiceClient::new(channel.clone()),
            webhooks: WebhookServiceClient::new(channel),
        }
    }

    pub(crate) async fn create_namespace(&mut self, slug: &str, prefix: &str, body: Body) -> Outcome {
        let namespace = v1::Namespace {
            slug: slug.to_owned(),
            format: Some(v1::SecretFormat {
                prefix: prefix.to_owned(),
                body: Some(body),
            }),
            ..Default::default()
        };
        let request = v1::CreateNamespaceRequest {
            namespace: Some(namespace),
            ..Default::default()
        };
        self.namespaces.create_namespace(request).await?;
        Ok(())
    }

    /// A token for `ada` in `namespace`, with its secret.
    pub(crate) async fn issue(
        &mut self,
        namespace: &str,
        scopes: &[&str],
    ) -> Result<(v1::Token, String), tonic::Status> {
        let request = v1::IssueRequest {
            namespace: namespace.to_owned(),
            subject: "ada".to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..Default::default()
        };
        let issued = self.tokens.issue(request).await?.into_inner();
        Ok((issued.token.unwrap_or_default(), issued.secret))
    }

    pub(crate) async fn verdict(&mut self, secret: &str) -> Result<v1::Verdict, tonic::Status> {
        Ok(self.verify(secret, &[]).await?.verdict())
    }

    pub(crate) async fn verify(
        &mut self,
        secret: &str,
        scopes: &[&str],
    ) -> Result<v1::VerifyResponse, tonic::Status> {
        let request = v1::VerifyRequest {
            secret: secret.to_owned(),
            required_scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..Default::default()
        };
        Ok(self.verification.verify(request).await?.into_inner())
    }

    /// Imports rows, a message each; what became of each message.
    pub(crate) async fn import(
        &mut self,
        start: v1::ImportStart,
        messages: Vec<Vec<v1::ImportRow>>,
    ) -> Result<Vec<v1::ImportResponse>, tonic::Status> {
        let start = v1::ImportRequest {
            start: Some(start),
            ..Default::default()
        };
        let rows = messages.into_iter().map(|rows| v1::ImportRequest {
            rows,
            ..Default::default()
        });
        let sent: Vec<_> = std::iter::once(start).chain(rows).collect();
        let mut answers = self.imports.import(tokio_stream::iter(sent)).await?.into_inner();
        let mut told = Vec::new();
        while let Some(answer) = answers.message().await? {
            told.push(answer);
        }
        Ok(told)
    }

    pub(crate) async fn revoke(&mut self, token_id: &str) -> Result<v1::RevokeResponse, tonic::Status> {
        let request = v1::RevokeRequest {
            token_id: token_id.to_owned(),
            reason: "left".to_owned(),
            ..Default::default()
        };
        Ok(self.tokens.revoke(request).await?.into_inner())
    }
}

pub(crate) fn hex(length: i32) -> Body {
    Body::Hex(v1::HexBody { length })
}

pub(crate) fn native() -> Body {
    Body::Native(v1::NativeBody {})
}
