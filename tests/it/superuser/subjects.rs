//! Whoever gives a suspended subject its tokens back past the server: none is accepted, and nobody goes by the row.

use tokenward::proto::v1::{self, Verdict};

use super::attacks::OF_SUBJECTS;
use super::{Scene, corrupt, log};
use crate::place::{Fallible, Place};
use crate::server::{Client, Outcome, stop};
use crate::subjects::suspend;

async fn refuses(place: Place, name: &str, (sql, wrong): (&str, &str)) -> Outcome {
    let log = log::start()?;
    let mut scene = Scene::start(place).await?;
    let issue = v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: name.to_owned(),
        ..Default::default()
    };
    let secret = scene.client.tokens.issue(issue).await?.into_inner().secret;
    let planned = v1::UpdateSubjectRequest {
        subject: Some(v1::Subject {
            namespace: "notes".to_owned(),
            subject: name.to_owned(),
            plan: "pro".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    scene.client.subjects.update_subject(planned).await?;
    scene
        .attack("CREATE TABLE kept_subject AS SELECT * FROM subject")
        .await?;
    scene.client.subjects.suspend_subject(suspend(name)).await?;
    assert_eq!(scene.judge(&secret).await?, Verdict::Suspended);
    scene.attack(sql).await?;
    // Nor is it written over, which would make it good.
    corrupt(scene.client.subjects.suspend_subject(suspend(name)).await)?;
    let asked = v1::GetSubjectRequest {
        namespace: "notes".to_owned(),
        subject: name.to_owned(),
    };
    corrupt(scene.client.subjects.get_subject(asked).await)?;
    let told = format!("subject {name} of notes");
    assert!(
        log::says(log, &[&told, wrong]),
        "the log does not say {told} {wrong}"
    );
    // A new server has nothing to go by but the row.
    let place = scene.stop().await?;
    let running = place.start()?;
    let mut client = Client::connect(running.address()).await?;
    corrupt(client.verdict(&secret).await)?;
    stop(running).await
}

async fn every_attack(store: &str, place: impl AsyncFn() -> Fallible<Place>) -> Outcome {
    for (number, attack) in OF_SUBJECTS.iter().enumerate() {
        // The log is that of all tests: this name is of one attack only.
        let refused = refuses(place().await?, &format!("{store}-{number}"), *attack).await;
        refused.map_err(|error| format!("{}: {error}", attack.0))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_resumes_a_subject_past_the_server_in_sqlite() -> Outcome {
    every_attack("sqlite", async || Place::sqlite()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_resumes_a_subject_past_the_server_in_postgres() -> Outcome {
    every_attack("postgres", Place::postgres).await
}
