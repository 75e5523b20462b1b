//! Who may call what: every role against every RPC, over the wire.

mod calls;
mod credentials;
mod first;
mod foreign;
mod late;
mod self_management;
mod streams;
mod webhooks;

use std::collections::BTreeSet;

use prost::Message as _;
use tokenward::proto::v1;
use tokenward::rpc::guard;
use tokenward::token::permission::Role;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

use crate::admin::Bearer;
use crate::server::{Client, Outcome, Server, hex, native};
use calls::{About, call};

/// The namespaces `notes` and `tasks`, and clients of whoever is asked for.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) admin: Client,
    channel: Channel,
}

impl Scene {
    pub(super) async fn start() -> Result<Scene, Box<dyn std::error::Error>> {
        let server = Server::start()?;
        let channel = server.endpoint()?.connect().await?;
        let mut admin = Client::over(channel.clone());
        admin.create_namespace("notes", "kn_", hex(40)).await?;
        admin.create_namespace("tasks", "kt_", native()).await?;
        Ok(Scene {
            server,
            admin,
            channel,
        })
    }

    pub(super) fn client(&self, credential: &str) -> Client {
        Client::with(self.channel.clone(), Bearer::new(credential))
    }

    /// A credential with these permissions, and a client that calls with it.
    pub(super) async fn caller(&mut self, permissions: &[String]) -> Result<(v1::Token, Client), Status> {
        let scopes: Vec<_> = permissions.iter().map(String::as_str).collect();
        let (token, secret) = self.admin.issue("system", &scopes).await?;
        let client = self.client(&secret);
        Ok((token, client))
    }
}

/// Who may call it, by the last part of its path; everybody else may not.
const ALLOWED: &[(&str, &[&str])] = &[
    ("Verify", &["verifier", "admin"]),
    ("BatchVerify", &["verifier", "admin"]),
    ("Issue", &["issuer", "admin"]),
    ("Get", &["issuer", "auditor", "admin"]),
    ("List", &["issuer", "auditor", "admin"]),
    ("Revoke", &["issuer", "admin"]),
    ("RevokeMatching", &["issuer", "admin"]),
    ("RevokeLeaked", &["admin"]),
    ("Rotate", &["issuer", "admin"]),
    ("Update", &["issuer", "admin"]),
    ("Suspend", &["issuer", "admin"]),
    ("Resume", &["issuer", "admin"]),
    ("GetUsage", &["auditor", "admin"]),
    ("EraseUsage", &["admin"]),
    ("WatchRevocations", &["watcher", "admin"]),
    ("CreateNamespace", &["admin"]),
    ("GetNamespace", &["issuer", "auditor", "admin"]),
    ("ListNamespaces", &["issuer", "auditor", "admin"]),
    ("UpdateNamespace", &["admin"]),
    ("Import", &["admin"]),
    ("GetSubject", &["issuer", "auditor", "admin"]),
    ("ListSubjects", &["issuer", "auditor", "admin"]),
    ("UpdateSubject", &["admin"]),
    ("SuspendSubject", &["admin"]),
    ("ResumeSubject", &["admin"]),
    ("SetRateLimit", &["admin"]),
    ("RevokeIssued", &["admin"]),
    ("CreateEndpoint", &["admin"]),
    ("GetEndpoint", &["auditor", "admin"]),
    ("ListEndpoints", &["auditor", "admin"]),
    ("UpdateEndpoint", &["admin"]),
    ("DeleteEndpoint", &["admin"]),
    ("RotateEndpointSecret", &["admin"]),
    ("TestEndpoint", &["admin"]),
    ("ListDeliveries", &["auditor", "admin"]),
    ("ListEntries", &["auditor", "admin"]),
    ("GetHead", &["auditor", "admin"]),
    ("ListRefusedCalls", &["auditor", "admin"]),
    ("ListAccess", &["auditor", "admin"]),
    ("EraseAccess", &["admin"]),
    ("GetCheckpoint", &["auditor", "admin"]),
    ("ListCheckpoints", &["auditor", "admin"]),
    (
        "GetCaller",
        &["verifier", "issuer", "watcher", "auditor", "admin", "nothing"],
    ),
];

/// The paths of all RPCs that the contract has.
fn described() -> Result<BTreeSet<String>, prost::DecodeError> {
    let files = prost_types::FileDescriptorSet::decode(tokenward::proto::DESCRIPTORS)?;
    let own = files.file.iter().filter(|file| file.package() == "tokenward.v1");
    let services = own.flat_map(|file| &file.service);
    Ok(services
        .flat_map(|service| {
            let path = |method: &str| format!("/tokenward.v1.{}/{method}", service.name());
            service.method.iter().map(move |method| path(method.name()))
        })
        .collect())
}

#[test]
fn every_rpc_has_a_row_in_the_guards_table() -> Outcome {
    let rows: BTreeSet<_> = guard::TABLE.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(rows.len(), guard::TABLE.len(), "a row stands twice");
    assert_eq!(
        described()?,
        rows,
        "the contract on the left, the table on the right"
    );
    Ok(())
}

fn method(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Whether the guard stood in the way. What one may not know of is not there.
fn refused(path: &str, answer: &Result<(), Status>) -> bool {
    let over_token = [
        "Get",
        "Revoke",
        "Rotate",
        "Update",
        "Suspend",
        "Resume",
        "GetUsage",
        "EraseUsage",
    ]
    .contains(&method(path));
    match answer {
        Ok(()) => false,
        Err(status) => match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => true,
            Code::NotFound => over_token,
            _ => false,
        },
    }
}

#[tokio::test]
async fn every_role_may_call_what_it_is_for_and_nothing_else() -> Outcome {
    let mut scene = Scene::start().await?;
    let mut callers = Vec::new();
    for role in Role::ALL {
        let (_, client) = scene.caller(&role.permissions("notes")).await?;
        callers.push((role.as_str(), client));
    }
    let (_, nothing) = scene.caller(&[]).await?;
    callers.push(("nothing", nothing));
    let (revoked, client) = scene.caller(&["*".to_owned()]).await?;
    scene.admin.revoke(&revoked.id).await?;
    callers.push(("revoked", client));
    callers.push(("garbage", scene.client("tokenward_garbage")));
    callers.push(("empty", scene.client("")));
    let (_, product) = scene.admin.issue("notes", &["*", "tokenward:list"]).await?;
    callers.push(("a product's token", scene.client(&product)));

    let mut faults = Vec::new();
    let mut asked = 0;
    for path in described()? {
        let row = ALLOWED.iter().find(|(name, _)| *name == method(&path));
        let (_, allowed) = row.ok_or_else(|| format!("{path} has no row here"))?;
        for (name, client) in &mut callers {
            let (token, _) = scene.admin.issue("notes", &["read"]).await?;
            asked += 1;
            let about = About {
                namespace: "notes".to_owned(),
                token_id: token.id,
                fresh: format!("n{asked}"),
            };
            let answer = call(client, &path, &about).await;
            if refused(&path, &answer) == allowed.contains(name) {
                faults.push(format!("{name} calls {path}: {answer:?}"));
            } else if let (Err(status), true) = (&answer, allowed.contains(name)) {
                faults.push(format!("{name} calls {path}, which fails: {status:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(asked, described()?.len() * callers.len());
    scene.server.stop().await
}

#[tokio::test]
async fn health_is_told_to_everybody_and_reflection_to_callers() -> Outcome {
    let scene = Scene::start().await?;
    let health = HealthClient::new(scene.channel.clone())
        .check(HealthCheckRequest::default())
        .await?;
    assert_eq!(health.into_inner().status(), ServingStatus::Serving);
    let mut reflection = tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(
        scene.channel.clone(),
    );
    let asked = reflection.server_reflection_info(tokio_stream::empty()).await;
    assert_eq!(
        asked.err().map(|status| status.code()),
        Some(Code::Unauthenticated)
    );
    scene.server.stop().await
}

/// Whoever gives more than one credential, or none that can be read, is nobody.
#[tokio::test]
async fn what_is_sent_as_authorization_is_one_bearer_credential() -> Outcome {
    let scene = Scene::start().await?;
    let mut client = v1::caller_service_client::CallerServiceClient::new(scene.channel.clone());
    let credential = &**crate::admin::CREDENTIAL;
    let good = format!("Bearer {credential}");
    for (sent, recognised) in [
        (vec![good.as_str()], true),
        (vec![&format!("bearer {credential}")], true),
        (vec![], false),
        (vec![credential], false),
        (vec!["Basic YTpi"], false),
        (vec!["Bearer "], false),
        (vec![&good, &good], false),
        (vec![&format!("{good} ")], false),
        (vec![&format!("Bearer {}", "k".repeat(300))], false),
    ] {
        let mut request = tonic::Request::new(v1::GetCallerRequest {});
        for value in &sent {
            request.metadata_mut().append("authorization", value.parse()?);
        }
        let answer = client.get_caller(request).await;
        assert_eq!(answer.is_ok(), recognised, "{} of {answer:?}", sent.len());
        if let Err(status) = answer {
            assert_eq!(status.code(), Code::Unauthenticated);
            assert!(
                !format!("{status:?}").contains(&credential[12..]),
                "it is repeated"
            );
        }
    }
    scene.server.stop().await
}
