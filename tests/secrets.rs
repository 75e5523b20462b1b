//! No secret at rest, in a log or in an error: the whole flow, with everything it leaves behind searched.
//!
//! A binary of its own: the server has threads of its own, so the log is captured for the whole process.

#[path = "support/admin.rs"]
mod admin;
#[path = "secrets/access.rs"]
mod access;
#[path = "secrets/disguise.rs"]
mod disguise;
#[path = "secrets/import.rs"]
mod import;
#[path = "secrets/leaked.rs"]
mod leaked;
#[path = "support/log.rs"]
mod log;
#[path = "secrets/webhooks.rs"]
mod webhooks;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "not all of it is needed here")]
mod server;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use tokenward::clock::{SystemEntropy, random};
use tokenward::proto::v1;
use tokenward::proto::v1::watch_revocations_response::Event;
use tokenward::token::id::{RequestDigest, RequestId};
use tonic::Status;

use admin::Bearer;
use log::Log;
use server::{Client, Outcome, Server, hex, native};

/// A leak of twice as many characters of a secret's body is found wherever it begins; a hint shows 4.
const PIECE: usize = 12;

/// What a secret looks like in a place where it must not be: pieces of its body, and of what common
/// encodings make of it.
fn traces(secret: &str) -> Vec<Vec<u8>> {
    let mut traces: Vec<Vec<u8>> = Vec::new();
    let body = secret.rsplit('_').next().unwrap_or(secret);
    traces.extend(body.as_bytes().chunks_exact(PIECE).map(<[u8]>::to_vec));
    for encoding in [BASE64, BASE64URL] {
        // Wherever it begins in what was encoded, one of three alignments shows.
        for shift in 0..3 {
            traces.push(
                encoding
                    .encode(&body.as_bytes()[shift..shift + PIECE])
                    .into_bytes(),
            );
        }
    }
    for encoding in [HEXLOWER, HEXUPPER] {
        traces.push(encoding.encode(&body.as_bytes()[..PIECE]).into_bytes());
    }
    // As `{:?}` shows a list of bytes.
    let list = format!("{:?}", &body.as_bytes()[..PIECE]);
    traces.push(list.trim_matches(['[', ']']).as_bytes().to_vec());
    traces
}

/// Everything the flow has left behind, by where.
#[derive(Default)]
struct Left(BTreeMap<String, Vec<u8>>);

impl Left {
    fn shown(&mut self, place: &str, message: &impl Debug) {
        let text = format!("{message:?} {message:#?}");
        self.0
            .entry(place.to_owned())
            .or_default()
            .extend_from_slice(text.as_bytes());
    }

    fn error(&mut self, status: &Status) {
        self.shown("errors", status);
        let errors = self.0.entry("errors".to_owned()).or_default();
        errors.extend_from_slice(status.message().as_bytes());
        errors.extend_from_slice(status.details());
    }

    fn files(&mut self, when: &str, folder: &Path) -> io::Result<()> {
        for file in std::fs::read_dir(folder)? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            self.0
                .insert(format!("{name} {when}"), std::fs::read(file.path())?);
        }
        Ok(())
    }

    /// The places where any of `traces` is found.
    fn with(&self, traces: &[Vec<u8>]) -> Vec<&str> {
        let traces: Vec<String> = traces.iter().map(|trace| latin(trace)).collect();
        let found = self.0.iter().filter(|(_, bytes)| {
            let text = latin(bytes);
            traces.iter().any(|trace| text.contains(trace))
        });
        found.map(|(place, _)| place.as_str()).collect()
    }
}

/// Bytes as text, one character each: the standard library searches text, and fast.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The flow: everything that handles a secret, done right and done wrong. The secrets it made, and the request
/// ids that show them again.
async fn flow(
    client: &mut Client,
    left: &mut Left,
) -> Result<(Vec<String>, Vec<String>), Box<dyn std::error::Error>> {
    client.create_namespace("notes", "kn_", hex(40)).await?;
    client.create_namespace("tasks", "tw_", native()).await?;
    let watched = client
        .revocations
        .watch_revocations(v1::WatchRevocationsRequest::default());
    let mut watched = watched.await?.into_inner();
    let (mut secrets, mut request_ids) = (Vec::new(), Vec::new());
    let mut revoked = 0;
    access::put_on_record(client, "notes").await?;
    for namespace in ["notes", "tasks"] {
        let issue = v1::IssueRequest {
            namespace: namespace.to_owned(),
            subject: "ada".to_owned(),
            scopes: vec!["read".to_owned()],
            request_id: RequestId::new(random(&SystemEntropy)).expose(),
            ..Default::default()
        };
        left.shown("messages", &issue);
        let issued = client.tokens.issue(issue.clone()).await?.into_inner();
        left.shown("messages", &issued);
        assert_eq!(client.tokens.issue(issue.clone()).await?.into_inner(), issued);
        request_ids.push(issue.request_id);
        let id = issued.token.unwrap_or_default().id;
        secrets.push(issued.secret);
        for _ in 0..2 {
            let rotate = v1::RotateRequest {
                token_id: id.clone(),
                request_id: RequestId::new(random(&SystemEntropy)).expose(),
                ..Default::default()
            };
            left.shown("messages", &rotate);
            let rotated = client.tokens.rotate(rotate.clone()).await?.into_inner();
            left.shown("messages", &rotated);
            assert_eq!(client.tokens.rotate(rotate.clone()).await?.into_inner(), rotated);
            request_ids.push(rotate.request_id);
            secrets.push(rotated.secret);
        }
        verify_all(client, left, &secrets).await?;
        let get = v1::GetRequest { token_id: id.clone() };
        left.shown("messages", &client.tokens.get(get).await?);
        left.shown("messages", &client.revoke(&id).await?);
        revoked += 1;
        verify_all(client, left, &secrets).await?;
    }
    secrets.push(leaked::leak(client, left).await?);
    revoked += 1;
    while revoked > 0 {
        let message = watched.message().await?.ok_or("the stream ended")?;
        left.shown("messages", &message);
        revoked -= i32::from(matches!(message.event, Some(Event::Revoked(_))));
    }
    import::import(client, left, &mut secrets).await?;
    webhooks::webhooks(client, left, (&mut secrets, &mut request_ids)).await?;
    for secret in &secrets {
        misplace(client, left, secret).await?;
    }
    access::access(client, left, &secrets).await?;
    let list = v1::ListEntriesRequest {
        page_size: 1000,
        ..Default::default()
    };
    for entry in client.audit.list_entries(list).await?.into_inner().entries {
        left.shown("messages", &entry);
        left.0
            .entry("journal bodies".to_owned())
            .or_default()
            .extend(&entry.body);
    }
    Ok((secrets, request_ids))
}

/// Verifies each secret as it is, cut off, mistyped, too long, for too much, and in a batch.
async fn verify_all(client: &mut Client, left: &mut Left, secrets: &[String]) -> Outcome {
    let request = |secret: String| v1::VerifyRequest {
        secret,
        required_scopes: vec!["write".to_owned()],
        ..Default::default()
    };
    let mut requests = Vec::new();
    for secret in secrets {
        let last = if secret.ends_with('0') { "1" } else { "0" };
        let mistyped = format!("{}{last}", &secret[..secret.len() - 1]);
        let odd = [
            format!("Bearer {secret}"),
            secret.repeat(9),
            secret[..30].to_owned(),
            mistyped,
        ];
        requests.extend(odd.into_iter().chain([secret.clone()]).map(request));
    }
    for request in &requests {
        left.shown("messages", request);
        left.shown("messages", &client.verification.verify(request.clone()).await?);
    }
    let mut batch = v1::BatchVerifyRequest { requests };
    left.shown("messages", &batch);
    left.shown(
        "messages",
        &client.verification.batch_verify(batch.clone()).await?,
    );
    batch.requests[0].namespace.push_str("No");
    let refused = client
        .verification
        .batch_verify(batch)
        .await
        .err()
        .ok_or("answered")?;
    left.error(&refused);
    Ok(())
}

/// Sends a secret in every field that is for something else. Each is refused, without repeating it.
async fn misplace(client: &mut Client, left: &mut Left, secret: &str) -> Outcome {
    let text = || secret.to_owned();
    let mut errors = Vec::new();
    let get = v1::GetRequest { token_id: text() };
    errors.push(client.tokens.get(get).await.err());
    let revoke = v1::RevokeRequest {
        token_id: text(),
        request_id: text(),
        ..Default::default()
    };
    errors.push(client.tokens.revoke(revoke).await.err());
    let token = v1::Token {
        id: text(),
        name: format!("{secret}\0"),
        scopes: vec![format!("{secret} ")],
        labels: [(format!("{secret} "), text())].into(),
        networks: vec![text()],
        etag: text(),
        ..Default::default()
    };
    let update = v1::UpdateRequest {
        token: Some(token),
        update_mask: Some(prost_types::FieldMask { paths: vec![text()] }),
        request_id: text(),
    };
    errors.push(client.tokens.update(update).await.err());
    let suspend = v1::SuspendRequest {
        reason: format!("{secret}\0"),
        token_id: text(),
        request_id: text(),
    };
    errors.push(client.tokens.suspend(suspend).await.err());
    let [token_id, request_id, client_address] = [text(), text(), text()];
    let resume = v1::ResumeRequest { token_id, request_id };
    errors.push(client.tokens.resume(resume).await.err());
    let context = Some(v1::RequestContext {
        client_address,
        ..Default::default()
    });
    let list = v1::ListRequest {
        namespace: "notes".to_owned(),
        page_token: text(),
        ..Default::default()
    };
    errors.push(client.tokens.list(list).await.err());
    errors.extend(leaked::misplaced(client, secret).await);
    let issue = v1::IssueRequest {
        namespace: text(),
        request_id: text(),
        subject: format!("{secret}\0"),
        scopes: vec![format!("{secret} ")],
        labels: [(format!("{secret} "), text())].into(),
        ..Default::default()
    };
    errors.push(client.tokens.issue(issue).await.err());
    let verify = v1::VerifyRequest {
        namespace: text(),
        required_scopes: vec![format!("{secret} ")],
        context,
        ..Default::default()
    };
    errors.push(client.verification.verify(verify).await.err());
    let watch = v1::WatchRevocationsRequest {
        cursor: text(),
        namespaces: vec![text()],
        ..Default::default()
    };
    errors.push(client.revocations.watch_revocations(watch).await.err());
    let namespace = v1::Namespace {
        slug: "notes".to_owned(),
        etag: text(),
        ..Default::default()
    };
    let update = v1::UpdateNamespaceRequest {
        namespace: Some(namespace),
        ..Default::default()
    };
    errors.push(client.namespaces.update_namespace(update.clone()).await.err());
    let mask = v1::UpdateNamespaceRequest {
        update_mask: Some(prost_types::FieldMask { paths: vec![text()] }),
        ..update
    };
    errors.push(client.namespaces.update_namespace(mask).await.err());
    let get = v1::GetNamespaceRequest { namespace: text() };
    errors.push(client.namespaces.get_namespace(get).await.err());
    for error in errors {
        left.error(&error.ok_or("a misplaced secret was taken")?);
    }
    Ok(())
}

#[test]
fn no_secret_is_found_in_anything_the_flow_leaves_behind() -> Outcome {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();
    let runtime = tokio::runtime::Runtime::new()?;
    let mut left = Left::default();
    let ((secrets, request_ids), folder) = runtime.block_on(async {
        // As people start it: with files of its own.
        let server = Server::start_with(|options| {
            options.pepper_file = None;
            options.admin_file = None;
        })?;
        let credential = std::fs::read_to_string(server.folder.path().join("tokenward.db.admin"))?;
        let mut client = Client::with(server.endpoint()?.connect().await?, Bearer::new(&credential));
        let mut made = flow(&mut client, &mut left).await?;
        made.0.push(credential);
        left.files("while it ran", server.folder.path())?;
        drop(client);
        Ok::<_, Box<dyn std::error::Error>>((made, server.stop_keeping_folder().await?))
    })?;
    left.files("afterwards", folder.path())?;
    left.0.insert("log".to_owned(), log.written());

    // What is searched is what was meant to be, and holds what it should: else nothing found says nothing.
    for place in [
        "tokenward.db while it ran",
        "tokenward.db-wal while it ran",
        "tokenward.db.lock afterwards",
    ] {
        assert!(left.0.contains_key(place), "{place}: {:?}", left.0.keys());
    }
    for crate_name in ["h2::", "hyper", "sqlx", "tonic", "tokenward"] {
        let logged = left.0["log"]
            .windows(crate_name.len())
            .any(|text| text == crate_name.as_bytes());
        assert!(logged, "nothing of {crate_name} is in the log");
    }
    assert_eq!(secrets.len(), 12);
    let traces: Vec<_> = secrets.iter().flat_map(|secret| traces(secret)).collect();
    // The one file that is there to hold one.
    let found = left.with(&traces);
    let meant = |place: &&str| place.starts_with("tokenward.db.admin ");
    assert!(found.iter().all(meant), "{found:?}");
    assert_eq!(request_ids.len(), 8);
    for id in &request_ids {
        let (id, raw) = (id.clone().into_bytes(), RequestId::parse(id)?.as_bytes().to_vec());
        let encoded = [HEXLOWER.encode(&raw).into(), BASE64.encode(&raw).into(), id, raw];
        assert_eq!(left.with(&encoded), Vec::<&str>::new());
    }
    // Else what is not found says nothing: the journal has digests of them.
    let digest = RequestDigest::of(&RequestId::parse(&request_ids[0])?);
    assert_ne!(left.with(&[digest.to_string().into_bytes()]), Vec::<&str>::new());

    let file = folder.path().join("tokenward.db.pepper");
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let pepper = std::fs::read_to_string(&file)?;
    let key = pepper.trim_end().rsplit(' ').next().ok_or("no key")?.to_owned();
    let raw = HEXLOWER.decode(key.as_bytes())?;
    assert_eq!(raw.len(), 32);
    let forms = [
        key.clone().into_bytes(),
        key.to_uppercase().into_bytes(),
        BASE64.encode(&raw).into_bytes(),
        raw,
    ];
    let pepper_alone = ["afterwards", "while it ran"].map(|when| format!("tokenward.db.pepper {when}"));
    assert_eq!(left.with(&forms), pepper_alone);
    folder.close()?;
    Ok(())
}
