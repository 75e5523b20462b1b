//! Callers who are known by their certificate.

use std::fs;

use tokenward::proto::v1;
use tokenward::proto::v1::audit_service_client::AuditServiceClient;
use tokenward::proto::v1::caller_service_client::CallerServiceClient;
use tokenward::proto::v1::namespace_service_client::NamespaceServiceClient;
use tokenward::proto::v1::revocation_service_client::RevocationServiceClient;
use tokenward::serve::TlsOptions;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Channel;

use super::{BOUND, Error, Outcome, connect};
use crate::admin::Bearer;
use crate::certificates::{Ca, Pair};
use crate::refusal::refused;
use crate::server::{Client, Server, hex};

const GATEWAY: &str = "spiffe://example.org/ns/prod/sa/gateway";

/// A server whose identities file says `identities`, and whom to trust and be.
struct World {
    folder: tempfile::TempDir,
    server: Server,
    servers: Ca,
    clients: Ca,
}

impl World {
    fn start(identities: &str) -> Result<World, Error> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let (servers, clients) = (Ca::new("servers")?, Ca::new("clients")?);
        servers.server(1)?.write(folder.path())?;
        fs::write(path("clients.crt"), clients.pem())?;
        fs::write(path("identities.toml"), identities)?;
        let server = Server::start_with(|options| {
            options.tls = TlsOptions {
                certificate: Some(path("tls.crt")),
                key: Some(path("tls.key")),
                client_ca: Some(path("clients.crt")),
                identities: Some(path("identities.toml")),
                ..TlsOptions::default()
            };
        })?;
        Ok(World {
            folder,
            server,
            servers,
            clients,
        })
    }

    async fn connect(&self, client: Option<&Pair>) -> Result<Channel, tonic::transport::Error> {
        connect(&self.server.address.to_string(), &self.servers, client).await
    }

    fn rewrite(&self, identities: &str) -> std::io::Result<()> {
        fs::write(self.folder.path().join("identities.toml"), identities)
    }
}

async fn who(channel: &Channel) -> Result<v1::GetCallerResponse, tonic::Status> {
    let mut client = CallerServiceClient::new(channel.clone());
    Ok(client.get_caller(v1::GetCallerRequest {}).await?.into_inner())
}

fn row(san: &str, permissions: &str) -> String {
    format!("[[identity]]\nsan = \"{san}\"\npermissions = [\"{permissions}\"]\n")
}

#[tokio::test]
async fn a_caller_may_do_what_the_file_says_of_its_name_and_signs_for_it() -> Outcome {
    let identities = [
        row(GATEWAY, "namespaces.manage"),
        row("b.example", "audit.read:*"),
    ];
    let world = World::start(&identities.concat())?;
    let gateway = world.connect(Some(&world.clients.client(&[GATEWAY])?)).await?;
    let answer = who(&gateway).await?;
    assert_eq!((answer.actor.as_str(), answer.token_id.as_str()), (GATEWAY, ""));
    assert_eq!(answer.permissions, ["namespaces.manage"]);
    let namespace = v1::Namespace {
        slug: "notes".to_owned(),
        format: Some(v1::SecretFormat {
            prefix: "kn_".to_owned(),
            body: Some(hex(40)),
        }),
        ..Default::default()
    };
    let request = v1::CreateNamespaceRequest {
        namespace: Some(namespace),
        ..Default::default()
    };
    NamespaceServiceClient::new(gateway.clone())
        .create_namespace(request)
        .await?;
    let mut audit = AuditServiceClient::new(gateway);
    let refusal = refused(audit.get_head(v1::GetHeadRequest {}).await)?;
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::PermissionDenied, "PERMISSION_DENIED")
    );

    // The second of its names is in the file.
    let hosts = world.clients.client(&["a.example", "B.example"])?;
    let auditor = world.connect(Some(&hosts)).await?;
    assert_eq!(who(&auditor).await?.actor, "b.example");
    let entries = AuditServiceClient::new(auditor)
        .list_entries(v1::ListEntriesRequest::default())
        .await?
        .into_inner()
        .entries;
    assert!(entries.iter().any(|entry| entry.actor == GATEWAY), "{entries:?}");
    world.server.stop().await
}

#[tokio::test]
async fn who_is_not_in_the_file_is_told_so_and_a_credential_goes_before_a_certificate() -> Outcome {
    let world = World::start(&row(GATEWAY, "namespaces.manage"))?;
    let stranger = world
        .connect(Some(&world.clients.client(&["a.example", "c.example"])?))
        .await?;
    let refusal = refused(who(&stranger).await.map(tonic::Response::new))?;
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::PermissionDenied, "PERMISSION_DENIED")
    );
    assert_eq!(
        refusal.metadata.get("names").map(String::as_str),
        Some("a.example, c.example")
    );

    let nobody = world.connect(None).await?;
    let refusal = refused(who(&nobody).await.map(tonic::Response::new))?;
    assert_eq!(refusal.reason, "UNAUTHENTICATED");

    let gateway = world.connect(Some(&world.clients.client(&[GATEWAY])?)).await?;
    for channel in [&stranger, &nobody, &gateway] {
        let mut admin = Client::with(channel.clone(), Bearer::admin());
        let answer = admin.caller.get_caller(v1::GetCallerRequest {}).await?;
        assert!(answer.into_inner().actor.starts_with("token:"));
    }
    // A bad credential is not made good by a certificate.
    let mut bad = Client::with(gateway, Bearer::new("kn_nonsense"));
    let refusal = refused(bad.caller.get_caller(v1::GetCallerRequest {}).await)?;
    assert_eq!(refusal.reason, "UNAUTHENTICATED");
    world.server.stop().await
}

#[tokio::test]
async fn a_changed_file_counts_for_connections_and_streams_that_are_open() -> Outcome {
    let world = World::start(&row("a.example", "revocations.watch:*"))?;
    let client = world.clients.client(&["a.example"])?;
    let channel = world.connect(Some(&client)).await?;
    let mut watcher = RevocationServiceClient::new(channel.clone());
    let request = v1::WatchRevocationsRequest::default;
    let mut stream = watcher.watch_revocations(request()).await?.into_inner();
    stream.message().await?.ok_or("no first message")?;

    // What cannot be read changes nothing: the good file after it is the next to count.
    world.rewrite("[[identity]]\nsan = 7")?;
    assert_eq!(who(&channel).await?.permissions, ["revocations.watch:*"]);
    world.rewrite(&row("a.example", "audit.read:*"))?;
    let counts = async {
        while who(&channel).await?.permissions != ["audit.read:*"] {}
        Outcome::Ok(())
    };
    timeout(BOUND, counts).await??;
    let refusal = refused(watcher.watch_revocations(request()).await)?;
    assert_eq!(refusal.reason, "PERMISSION_DENIED");
    let ended = loop {
        match timeout(BOUND, stream.message()).await? {
            Ok(Some(_)) => {}
            Ok(None) => return Err("it ended without a reason".into()),
            Err(status) => break refused::<()>(Err(status))?,
        }
    };
    assert_eq!(ended.reason, "UNAUTHENTICATED");

    world.rewrite("")?;
    timeout(BOUND, async { while who(&channel).await.is_ok() {} }).await?;
    world.server.stop().await
}
