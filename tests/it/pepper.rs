//! A pepper is changed under tokens that are in use, and none of them is lost.

use std::time::Duration;

use tokenward::proto::v1::{self, EntryKind, Verdict};
use tokenward::serve::{Options, Running, ServeError};

use crate::place::{Fallible, Place, database};
use crate::program::{PATH, deaf};
use crate::receiver::{Mood, Receiver};
use crate::server::{Client, Outcome, hex, native, stop};
use crate::webhooks;

const SOON: Duration = Duration::from_secs(30);

fn store(place: &Place) -> String {
    match place {
        Place::Sqlite(folder) => format!("sqlite:{}", database(folder).display()),
        Place::Postgres(store, _) => store.database.url.clone(),
    }
}

/// What `tokenward pepper` says, and its exit code.
fn change(args: &[&str], place: &Place) -> Fallible<(Option<i32>, String)> {
    let mut command = deaf(PATH);
    command
        .arg("pepper")
        .arg(args[0])
        .arg(place.pepper())
        .args(&args[1..]);
    if args[0] == "retire" {
        command.args(["--store", &store(place)]);
    }
    let said = command.output()?;
    let told = [said.stdout, said.stderr].concat();
    Ok((said.status.code(), String::from_utf8_lossy(&told).into_owned()))
}

/// Returns once so many secrets were redigested.
async fn redigested(client: &mut Client, wanted: usize) -> Outcome {
    let counted = async {
        loop {
            let request = v1::ListEntriesRequest::default();
            let entries = client.audit.list_entries(request).await?.into_inner().entries;
            let of_it = |entry: &&v1::Entry| entry.kind() == EntryKind::TokenRedigested;
            if entries.iter().filter(of_it).count() >= wanted {
                return Outcome::Ok(());
            }
        }
    };
    tokio::time::timeout(SOON, counted).await?
}

async fn accepts(client: &mut Client, secret: &str) -> Outcome {
    assert_eq!(client.verdict(secret).await?, Verdict::Accepted);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pepper_is_changed_and_no_token_is_lost() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        let running = place.start()?;
        let mut client = Client::connect(running.address()).await?;
        client.create_namespace("notes", "kn_", hex(40)).await?;
        client.create_namespace("tasks", "kt_", native()).await?;
        let (_, note) = client.issue("notes", &[]).await?;
        let (_, task) = client.issue("tasks", &[]).await?;
        let (unused, _) = client.issue("tasks", &[]).await?;
        stop(running).await?;

        let (code, told) = change(&["rotate"], &place)?;
        assert_eq!(code, Some(0), "{told}");
        let (code, told) = change(&["retire"], &place)?;
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("uses key 2 yet"), "{told}");

        let running = place.start()?;
        let mut client = Client::connect(running.address()).await?;
        for secret in [&note, &task] {
            accepts(&mut client, secret).await?;
        }
        // Theirs, and the credential they are asked with.
        redigested(&mut client, 3).await?;
        let (_, late) = client.issue("tasks", &[]).await?;
        let (code, told) = change(&["retire"], &place)?;
        assert_eq!(code, Some(1), "{told}");
        assert!(
            told.contains("1 secrets that can still be used are kept under key 1"),
            "{told}"
        );
        // Nobody can be asked here.
        assert_eq!(change(&["retire", "--force"], &place)?.0, Some(2));
        client.revoke(&unused.id).await?;
        let (code, told) = change(&["retire"], &place)?;
        assert_eq!(code, Some(0), "{told}");
        stop(running).await?;

        let running = place.start()?;
        let mut client = Client::connect(running.address()).await?;
        for secret in [&note, &task, &late] {
            accepts(&mut client, secret).await?;
        }
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_needed_goes_only_by_force() -> Outcome {
    let place = Place::sqlite()?;
    let running = place.start()?;
    let mut client = Client::connect(running.address()).await?;
    client.create_namespace("tasks", "kt_", native()).await?;
    let (_, secret) = client.issue("tasks", &[]).await?;
    stop(running).await?;
    assert_eq!(change(&["rotate"], &place)?.0, Some(0));
    let running = place.start()?;
    let mut client = Client::connect(running.address()).await?;
    // The credential.
    redigested(&mut client, 1).await?;
    stop(running).await?;
    assert_eq!(change(&["retire", "--force", "--yes"], &place)?.0, Some(0));
    let running = place.start()?;
    let mut client = Client::connect(running.address()).await?;
    assert_eq!(client.verdict(&secret).await?, Verdict::Unknown);
    stop(running).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_change_their_pepper_one_after_another() -> Outcome {
    let place = Place::postgres().await?;
    assert_eq!(change(&["rotate", "--prepare"], &place)?.0, Some(0));
    let behind = place.start()?;
    assert_eq!(change(&["rotate"], &place)?.0, Some(0));
    let ahead = place.start()?;
    let mut clients = [
        Client::connect(behind.address()).await?,
        Client::connect(ahead.address()).await?,
    ];
    clients[0].create_namespace("tasks", "kt_", native()).await?;
    let (_, under_first) = clients[0].issue("tasks", &[]).await?;
    let (_, under_second) = clients[1].issue("tasks", &[]).await?;
    for _ in 0..2 {
        for client in &mut clients {
            accepts(client, &under_first).await?;
            accepts(client, &under_second).await?;
        }
        redigested(&mut clients[1], 2).await?;
    }
    let request = v1::ListEntriesRequest::default();
    let entries = clients[0].audit.list_entries(request).await?.into_inner().entries;
    let redigests = entries
        .iter()
        .filter(|entry| entry.kind() == EntryKind::TokenRedigested);
    assert_eq!(redigests.count(), 2, "the token and the credential, once each");
    stop(behind).await?;
    stop(ahead).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_the_wrong_pepper_does_not_start() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        stop(place.start()?).await?;
        let path = place.pepper();
        let first = std::fs::read(&path)?;
        assert_eq!(change(&["rotate"], &place)?.0, Some(0));
        stop(place.start()?).await?;
        let refusal = |options: Options| match Running::start(options) {
            Err(ServeError::Pepper(error)) => Ok(error.to_string()),
            other => Err(format!("{other:?}")),
        };
        let named = |wrong: &str| format!("{} is not the pepper file of the store: {wrong}", path.display());
        std::fs::write(&path, &first)?;
        let told = refusal(place.options()?)?;
        assert!(
            told.starts_with(&named("the store was written with key 2, which it lacks")),
            "{told}"
        );
        std::fs::write(&path, format!("1 {}\n", "ab".repeat(32)))?;
        let told = refusal(place.options()?)?;
        assert!(
            told.starts_with(&named("its key 1 is not the key 1 of the store")),
            "{told}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signing_secret_outlives_the_pepper_it_was_sealed_with() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        let start = || {
            let mut options = place.options()?;
            webhooks::to_loopback(&mut options);
            Fallible::Ok(Running::start(options)?)
        };
        let receiver = Receiver::start(|| Mood::Take).await?;
        let running = start()?;
        let mut client = Client::connect(running.address()).await?;
        client.create_namespace("notes", "kn_", hex(40)).await?;
        let (endpoint, secret) = webhooks::endpoint(&mut client, receiver.url(), &[]).await?;
        stop(running).await?;
        assert_eq!(change(&["rotate"], &place)?.0, Some(0));
        let running = start()?;
        let mut client = Client::connect(running.address()).await?;
        // The credential.
        redigested(&mut client, 1).await?;
        let retired = async {
            while change(&["retire"], &place)?.0 != Some(0) {
                tokio::task::yield_now().await;
            }
            Outcome::Ok(())
        };
        tokio::time::timeout(SOON, retired).await??;
        stop(running).await?;
        let running = start()?;
        let mut client = Client::connect(running.address()).await?;
        let test = v1::TestEndpointRequest {
            namespace: endpoint.namespace,
            endpoint_id: endpoint.endpoint_id,
        };
        let tested = client.webhooks.test_endpoint(test).await?.into_inner();
        assert!(tested.delivered, "{tested:?}");
        let all = receiver.once(|all| all.len() == 1).await?;
        assert!(all[0].is_signed_with(&secret));
        stop(running).await?;
    }
    Ok(())
}
