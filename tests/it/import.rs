//! Tokens that were issued elsewhere move in with their digests, and nobody notices.

use serde_json::Value;
use tokenward::clock::{Clock, SystemClock};
use tokenward::proto::v1::import_row::Digest;
use tokenward::proto::v1::{self, EntryKind, Verdict};
use tonic::Code;

use crate::place::Place;
use crate::refusal::Refusal;
use crate::server::{Client, Outcome, Server, hex, native, stop};

const SOON: std::time::Duration = std::time::Duration::from_secs(30);

pub(crate) const DIGESTS: &str = include_str!("../fixtures/import/digests.jsonl");

/// A text, and the row that its product would write.
fn moved() -> Result<Vec<(String, v1::ImportRow)>, serde_json::Error> {
    let rows: Vec<Value> = DIGESTS
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let row = |(number, row): (usize, &Value)| {
        let text = |field: &str| row[field].as_str().map(str::to_owned);
        let digest = text("sha256").map(Digest::Sha256);
        let digest = digest.or_else(|| text("sha512").map(Digest::Sha512));
        let imported = v1::ImportRow {
            key: number.to_string(),
            subject: "ada".to_owned(),
            scopes: vec!["read".to_owned()],
            hint: text("hint").unwrap_or_default(),
            digest: digest.or_else(|| text("phc").map(Digest::Phc)),
            ..Default::default()
        };
        (text("text").unwrap_or_default(), imported)
    };
    Ok(rows.iter().enumerate().map(row).collect())
}

fn start(namespace: &str) -> v1::ImportStart {
    v1::ImportStart {
        namespace: namespace.to_owned(),
        import_id: "7d444840-9dc0-41d1-b245-5ffdce74fad2".to_owned(),
        dry_run: false,
    }
}

async fn create_namespaces(client: &mut Client) -> Outcome {
    client.create_namespace("notes", "kn_", hex(40)).await?;
    client.create_namespace("tasks", "kt_", hex(40)).await?;
    let body = v1::secret_format::Body::Base64url(v1::Base64UrlBody { length: 48 });
    client.create_namespace("knowmind", "kmt_", body).await
}

const PRODUCTS: [(&str, &str); 3] = [("notes", "kn_"), ("tasks", "kt_"), ("knowmind", "kmt_")];

/// Entries of this kind, oldest first.
async fn entries(client: &mut Client, kind: EntryKind) -> Result<Vec<v1::Entry>, tonic::Status> {
    let request = v1::ListEntriesRequest {
        page_size: 1000,
        ..Default::default()
    };
    let mut entries = client.audit.list_entries(request).await?.into_inner().entries;
    entries.retain(|entry| entry.kind() == kind);
    Ok(entries)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_python_made_verifies_unchanged_and_is_tried_once() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        let running = place.start()?;
        let mut client = Client::connect(running.address()).await?;
        create_namespaces(&mut client).await?;
        let moved = moved()?;
        for (namespace, prefix) in PRODUCTS {
            let of_it = moved.iter().filter(|(text, _)| text.starts_with(prefix));
            let rows: Vec<_> = of_it.map(|(_, row)| row.clone()).collect();
            let count = i32::try_from(rows.len())?;
            // The second time all are there.
            for (imported, already_there) in [(count, 0), (0, count)] {
                let told = client.import(start(namespace), vec![rows.clone()]).await?;
                assert_eq!(told.len(), 1);
                assert_eq!(told[0].refused, []);
                assert_eq!(
                    (told[0].imported, told[0].already_there),
                    (imported, already_there)
                );
            }
        }
        assert_eq!(
            entries(&mut client, EntryKind::TokenImported).await?.len(),
            moved.len()
        );
        for (text, _) in &moved {
            // As it begins, but not as it ends.
            let last = if text.ends_with('a') { 'b' } else { 'a' };
            let wrong = format!("{}{last}", &text[..text.len() - 1]);
            assert_eq!(client.verdict(&wrong).await?, Verdict::Unknown, "{text}");
            let judged = client.verify(text, &["read"]).await?;
            assert_eq!(judged.verdict(), Verdict::Accepted, "{text}");
            assert_eq!(judged.token.map(|token| token.subject).as_deref(), Some("ada"));
        }
        let to_try = moved
            .iter()
            .filter(|(_, row)| !matches!(row.digest, Some(Digest::Sha256(_))));
        let to_try: Vec<_> = to_try.collect();
        let redigested = async {
            while entries(&mut client, EntryKind::TokenRedigested).await?.len() < to_try.len() {}
            Outcome::Ok(())
        };
        tokio::time::timeout(SOON, redigested).await??;
        for (text, _) in &moved {
            assert_eq!(client.verdict(text).await?, Verdict::Accepted, "{text}");
        }
        assert_eq!(
            entries(&mut client, EntryKind::TokenRedigested).await?.len(),
            to_try.len()
        );
        // Revoked like any other.
        let ids = entries(&mut client, EntryKind::TokenImported).await?;
        client.revoke(&ids[0].token_id).await?;
        assert_eq!(client.verdict(&moved[0].0).await?, Verdict::Revoked);
        stop(running).await?;
    }
    Ok(())
}

fn row(number: usize) -> v1::ImportRow {
    v1::ImportRow {
        key: number.to_string(),
        subject: "ada".to_owned(),
        hint: "kn_".to_owned(),
        digest: Some(Digest::Sha256(format!("{number:064x}"))),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_cut_off_is_gone_on_with() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        let running = place.start()?;
        let mut client = Client::connect(running.address()).await?;
        client.create_namespace("notes", "kn_", hex(40)).await?;
        let messages: Vec<Vec<_>> = (0..8)
            .map(|n| (n * 50..(n + 1) * 50).map(row).collect())
            .collect();
        // One that never ends: its client waits for three answers and is gone; then the server is.
        let begun = v1::ImportRequest {
            start: Some(start("notes")),
            ..Default::default()
        };
        let rows = messages.iter().map(|rows| v1::ImportRequest {
            rows: rows.clone(),
            ..Default::default()
        });
        let sent: Vec<_> = std::iter::once(begun).chain(rows).collect();
        let endless = tokio_stream::StreamExt::chain(tokio_stream::iter(sent), tokio_stream::pending());
        let mut answers = client.imports.import(endless).await?.into_inner();
        for _ in 0..3 {
            assert_eq!(answers.message().await?.map(|answer| answer.imported), Some(50));
        }
        drop(answers);
        stop(running).await?;

        let running = place.start()?;
        let mut client = Client::connect(running.address()).await?;
        let told = client.import(start("notes"), messages.clone()).await?;
        let sum = |of: fn(&v1::ImportResponse) -> i32| told.iter().map(of).sum::<i32>();
        let (imported, there) = (sum(|told| told.imported), sum(|told| told.already_there));
        assert!(imported + there == 400 && there >= 150, "{imported} and {there}");
        assert_eq!(entries(&mut client, EntryKind::TokenImported).await?.len(), 400);
        stop(running).await?;
    }
    Ok(())
}

/// The digests are the same, so of each pair one is refused; no row takes its neighbours along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_imports_of_the_same_digests_each_is_imported_once() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        let running = place.start()?;
        let mut client = Client::connect(running.address()).await?;
        client.create_namespace("notes", "kn_", hex(40)).await?;
        let messages: Vec<Vec<_>> = (0..4)
            .map(|n| (n * 25..(n + 1) * 25).map(row).collect())
            .collect();
        let importing = [
            "8d444840-9dc0-41d1-b245-5ffdce74fad2",
            "9d444840-9dc0-41d1-b245-5ffdce74fad2",
        ]
        .map(|id| {
            let (mut client, messages) = (client.clone(), messages.clone());
            let import_id = id.to_owned();
            tokio::spawn(async move {
                let start = v1::ImportStart {
                    import_id,
                    ..start("notes")
                };
                client.import(start, messages).await
            })
        });
        let (mut imported, mut refused) = (0, 0);
        for told in importing {
            for told in told.await?? {
                imported += told.imported;
                refused += told.refused.len();
            }
        }
        assert_eq!((imported, refused), (100, 100));
        assert_eq!(entries(&mut client, EntryKind::TokenImported).await?.len(), 100);
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_import_begins_with_its_start_and_goes_on_with_rows() -> Outcome {
    let server = Server::start()?;
    let mut client = server.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    client.create_namespace("tw", "tw_", native()).await?;
    let rows = |rows: Vec<v1::ImportRow>| v1::ImportRequest { rows, start: None };
    let begin = |start: v1::ImportStart| v1::ImportRequest {
        start: Some(start),
        rows: Vec::new(),
    };
    let both = v1::ImportRequest {
        rows: vec![row(1)],
        ..begin(start("notes"))
    };
    let odd_id = v1::ImportStart {
        import_id: "x".to_owned(),
        ..start("notes")
    };
    for (sent, code, why) in [
        (vec![], Code::InvalidArgument, "INVALID_FIELD"),
        (vec![rows(vec![row(1)])], Code::InvalidArgument, "INVALID_FIELD"),
        (vec![both], Code::InvalidArgument, "INVALID_FIELD"),
        (vec![begin(odd_id)], Code::InvalidArgument, "INVALID_FIELD"),
        (
            vec![begin(start("notes")), begin(start("notes"))],
            Code::InvalidArgument,
            "INVALID_FIELD",
        ),
        (
            vec![begin(start("notes")), rows(vec![])],
            Code::InvalidArgument,
            "INVALID_FIELD",
        ),
        (
            vec![begin(start("notes")), rows((0..257).map(row).collect())],
            Code::InvalidArgument,
            "INVALID_FIELD",
        ),
        (
            vec![begin(start("nowhere"))],
            Code::NotFound,
            "NAMESPACE_NOT_FOUND",
        ),
        (
            vec![begin(start("tw"))],
            Code::FailedPrecondition,
            "FORMAT_TAGGED",
        ),
    ] {
        let mut answers = client
            .imports
            .import(tokio_stream::iter(sent))
            .await?
            .into_inner();
        let ended = answers.message().await.err().ok_or("it was taken")?;
        let refusal = Refusal::from(ended);
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (code, why),
            "{refusal:?}"
        );
    }
    assert_eq!(entries(&mut client, EntryKind::TokenImported).await?, []);
    server.stop().await
}

/// A call may take as long as `--deadline-max`; an import is under way for as long as there are rows.
#[tokio::test]
async fn an_import_outlives_the_deadline_of_a_call_and_not_its_caller() -> Outcome {
    let server = Server::start_with(|options| {
        options.limits.deadline_max = std::time::Duration::from_millis(200);
    })?;
    let mut admin = server.client().await?;
    admin.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, credential) = admin.issue("system", &["tokens.import:notes"]).await?;
    let channel = server.endpoint()?.connect().await?;
    let mut client = Client::with(channel, crate::admin::Bearer::new(&credential));
    let (messages, receiver) = tokio::sync::mpsc::channel(1);
    let first = v1::ImportRequest {
        start: Some(start("notes")),
        rows: Vec::new(),
    };
    messages.send(first).await?;
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = client.imports.import(stream).await?.into_inner();
    let clock = SystemClock;
    let over = clock.uptime() + std::time::Duration::from_millis(500);
    let mut number = 0;
    while clock.uptime() < over {
        number += 1;
        let rows = vec![row(number)];
        messages.send(v1::ImportRequest { rows, start: None }).await?;
        assert_eq!(answers.message().await?.map(|answer| answer.imported), Some(1));
    }
    admin.revoke(&token.id).await?;
    let rows = vec![row(number + 1)];
    messages.send(v1::ImportRequest { rows, start: None }).await?;
    let ended = answers.message().await.err().ok_or("it went on")?;
    assert_eq!(ended.code(), Code::Unauthenticated);
    assert_eq!(entries(&mut admin, EntryKind::TokenImported).await?.len(), number);
    server.stop().await
}

/// Each guess begins as a token does that takes long to try. They fill the guesser's places, and nobody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_what_has_to_be_tried_leave_others_alone() -> Outcome {
    let server = Server::start()?;
    let mut admin = server.client().await?;
    create_namespaces(&mut admin).await?;
    let moved = moved()?;
    let row = moved
        .iter()
        .find(|(_, row)| row.hint == "kmt_RGYU")
        .ok_or("no row")?;
    let told = admin.import(start("knowmind"), vec![vec![row.1.clone()]]).await?;
    assert_eq!(told[0].imported, 1);
    let (_, known) = admin.issue("notes", &[]).await?;
    let (_, credential) = admin.issue("system", &["tokens.verify:knowmind"]).await?;
    let channel = server.endpoint()?.connect().await?;
    let attacker = Client::with(channel, crate::admin::Bearer::new(&credential));
    let guesses: Vec<_> = (0..60)
        .map(|number| {
            let mut attacker = attacker.clone();
            tokio::spawn(async move { attacker.verdict(&format!("kmt_RGYU{number:044}")).await })
        })
        .collect();
    for _ in 0..300 {
        assert_eq!(admin.verdict(&known).await?, Verdict::Accepted);
    }
    let mut overloaded = 0;
    for guess in guesses {
        match guess.await? {
            Ok(verdict) => assert_eq!(verdict, Verdict::Refused),
            Err(status) => {
                let reason = Refusal::from(status).reason;
                assert!(
                    ["OVERLOADED", "DEADLINE_EXCEEDED"].contains(&reason.as_str()),
                    "{reason}"
                );
                overloaded += usize::from(reason == "OVERLOADED");
            }
        }
    }
    // It has 16 places, and two threads that free them.
    assert!(overloaded > 0);
    assert_eq!(admin.verdict(&row.0).await?, Verdict::Accepted);
    server.stop().await
}
