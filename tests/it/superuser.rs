//! Whoever can write the database, but has not the pepper: what they gain is nothing, and what they did is named.
//!
//! A server goes by what it has cached until that changes, so each look here is a strong one, or of a new server.

mod attacks;
mod log;
mod subjects;

use std::time::Duration;

use tempfile::TempDir;
use tokenward::proto::v1::consistency::Requirement;
use tokenward::proto::v1::{self, Verdict};
use tokenward::serve::{Running, ServeError};
use tonic::{Code, Status};

use crate::admin::FILES;
use crate::log::Log;
use crate::place::{Fallible, Place, database};
use crate::program::{PATH, deaf};
use crate::server::{Client, Outcome, hex, stop};
use attacks::{OF_ROWS, OF_THE_JOURNAL, READ_OUT, RowAttack};

/// A server, and two tokens: Ann's is good, Bob's is revoked. The table `kept` has the rows of before that.
struct Scene {
    place: Place,
    running: Running,
    client: Client,
    ann: (v1::Token, String),
    bob: (v1::Token, String),
}

impl Scene {
    async fn start(place: Place) -> Fallible<Scene> {
        let running = place.start()?;
        let mut client = Client::connect(running.address()).await?;
        client.create_namespace("notes", "kn_", hex(40)).await?;
        let ann = client.issue("notes", &["read"]).await?;
        let bob = client.issue("notes", &["read"]).await?;
        place.execute("CREATE TABLE kept AS SELECT * FROM token").await?;
        client.revoke(&bob.0.id).await?;
        Ok(Scene {
            place,
            running,
            client,
            ann,
            bob,
        })
    }

    /// `{ann}` and `{bob}` in a statement are their ids, `{eve}` is one that nobody has.
    async fn attack(&self, sql: &str) -> Outcome {
        let sql = sql
            .replace("{ann}", &self.place.literal(&self.ann.0.id))
            .replace("{bob}", &self.place.literal(&self.bob.0.id))
            .replace("{eve}", &self.place.literal(EVE));
        self.place.execute(&sql).await
    }

    fn id_of(&self, name: &str) -> &str {
        match name {
            "ann" => &self.ann.0.id,
            "bob" => &self.bob.0.id,
            _ => EVE,
        }
    }

    async fn judge(&mut self, secret: &str) -> Result<Verdict, Status> {
        let request = v1::VerifyRequest {
            secret: secret.to_owned(),
            consistency: Some(v1::Consistency {
                requirement: Some(Requirement::Strong(v1::Strong {})),
            }),
            ..Default::default()
        };
        Ok(self
            .client
            .verification
            .verify(request)
            .await?
            .into_inner()
            .verdict())
    }

    async fn list(&mut self) -> Result<(), Status> {
        let request = v1::ListRequest {
            namespace: "notes".to_owned(),
            ..Default::default()
        };
        self.client.tokens.list(request).await.map(drop)
    }

    async fn stop(self) -> Fallible<Place> {
        stop(self.running).await?;
        Ok(self.place)
    }
}

const EVE: &str = "01a3185c-5000-7000-8000-0000000000ee";

/// What the offline audit says of the file, with its exit code.
fn audit(folder: &TempDir) -> Fallible<(Option<i32>, String)> {
    let said = deaf(PATH)
        .args(["audit", "verify", "--database"])
        .arg(database(folder))
        .output()?;
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    Ok((said.status.code(), told))
}

fn corrupt<T>(answer: Result<T, Status>) -> Result<(), String> {
    match answer {
        Err(status) if status.code() == Code::Internal && status.message() == "the store is corrupt" => {
            Ok(())
        }
        Err(status) => Err(format!("another error: {status:?}")),
        Ok(_) => Err("it was believed".to_owned()),
    }
}

/// Nobody goes by a row that was tampered with, and the log names it.
async fn refuses(scene: &mut Scene, attack: &RowAttack, log: &Log) -> Outcome {
    let (_, spared) = scene.client.issue("notes", &["read"]).await?;
    scene.attack(attack.sql).await?;
    let secret = match attack.presents {
        "ann" => scene.ann.1.clone(),
        _ => scene.bob.1.clone(),
    };
    let named = scene.id_of(attack.named).to_owned();
    corrupt(scene.judge(&secret).await)?;
    let told = format!("token {named}");
    assert!(
        log::says(log, &[&told, attack.wrong]),
        "the log does not say {told} {}",
        attack.wrong
    );
    // A later write would make the forgery good.
    corrupt(scene.client.revoke(&named).await)?;
    corrupt(scene.judge(&secret).await)?;
    corrupt(scene.list().await)?;
    assert_eq!(scene.judge(&spared).await?, Verdict::Accepted);
    if let Place::Sqlite(folder) = &scene.place {
        let (code, finding) = audit(folder)?;
        assert_eq!(code, Some(i32::from(attack.audit.is_some())), "{finding}");
        assert!(finding.contains(attack.audit.unwrap_or_default()), "{finding}");
    }
    Ok(())
}

async fn every_row_attack(place: impl AsyncFn() -> Fallible<Place>) -> Outcome {
    let log = log::start()?;
    for attack in OF_ROWS {
        let mut scene = Scene::start(place().await?).await?;
        let refused = refuses(&mut scene, attack, log).await;
        refused.map_err(|error| format!("{}: {error}", attack.sql))?;
        scene.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_past_the_server_is_refused_in_sqlite() -> Outcome {
    every_row_attack(async || Place::sqlite()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_past_the_server_is_refused_in_postgres() -> Outcome {
    every_row_attack(Place::postgres).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_server_goes_by_nothing_that_was_forged() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        let scene = Scene::start(place).await?;
        scene.attack(attacks::CLEARED).await?;
        let (ann, bob) = (scene.ann.1.clone(), scene.bob.1.clone());
        let place = scene.stop().await?;
        let running = place.start()?;
        let mut client = Client::connect(running.address()).await?;
        corrupt(client.verdict(&bob).await)?;
        assert_eq!(client.verdict(&ann).await?, Verdict::Accepted);
        stop(running).await?;

        place
            .execute("UPDATE namespace SET display_name = 'Eve' WHERE slug = 'notes'")
            .await?;
        match place.options().map(Running::start)? {
            Err(ServeError::Store(error)) => {
                let told = error.to_string();
                assert!(told.contains("namespace notes: its row is not the one"), "{told}");
            }
            other => return Err(format!("a forged namespace was taken: {other:?}").into()),
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_was_tampered_with_is_named_by_an_audit() -> Outcome {
    for (sql, finding) in OF_THE_JOURNAL {
        let scene = Scene::start(Place::sqlite()?).await?;
        if let Place::Sqlite(folder) = &scene.place {
            assert_eq!(audit(folder)?.0, Some(0));
            scene.attack(sql).await?;
            let (code, told) = audit(folder)?;
            assert_eq!(code, Some(1), "{sql}: {told}");
            assert!(
                told.starts_with("tokenward: ") && told.contains(finding),
                "{sql}: {told}"
            );
        }
        scene.stop().await?;
    }
    Ok(())
}

/// Whatever the store is: with a server to read it, and nothing that the server says believed but what is linked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_was_tampered_with_is_named_through_a_server() -> Outcome {
    for (sql, finding) in READ_OUT {
        let scene = Scene::start(Place::postgres().await?).await?;
        let address = format!("http://{}", scene.running.address());
        let verify = || {
            let mut command = deaf(PATH);
            command
                .args(["audit", "verify", "--address", &address])
                .env("TOKENWARD_CREDENTIAL_FILE", &FILES.admin);
            command.output()
        };
        assert_eq!(verify()?.status.code(), Some(0));
        scene.attack(sql).await?;
        let said = verify()?;
        let told = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(1), "{sql}: {told}");
        assert!(told.contains(finding), "{sql}: {told}");
        scene.stop().await?;
    }
    Ok(())
}

/// The one who deletes the last entries, and puts rows and head back as they were: a store that was restored. What
/// is left in the file is whole, so only those who remember a later head can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_runs_names_a_journal_that_was_cut_off() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        let mut scene = Scene::start(place).await?;
        scene.attack(attacks::CUT_OFF).await?;
        let secret = scene.bob.1.clone();
        let named = async {
            loop {
                match scene.judge(&secret).await {
                    Err(status) if status.message().contains("not the one") => break Ok(()),
                    // It may not have looked at the head yet; what it reads is older than what it has seen.
                    Err(status) if status.code() == Code::Unavailable => {}
                    other => break Err(format!("{other:?}")),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), named).await??;
        scene.stop().await?;
    }
    Ok(())
}
