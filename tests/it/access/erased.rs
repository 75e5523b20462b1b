//! Records are personal data: who may read them, how they are forgotten, and what is no such request.

use super::*;

/// It is personal data: it can be forgotten, and the journal has no part in it.
async fn records_can_be_erased(place: Place) -> Outcome {
    let mut scene = Scene::start(place).await?;
    let all = policy(AccessLog::All, AccessLogFull::Drop);
    create(&mut scene.client, "notes", "kn_", all).await?;
    let (ada, secret) = issue(&mut scene.client, "ada").await?;
    let (_, other) = issue(&mut scene.client, "bob").await?;
    for secret in [&secret, &other, &secret, &other, &secret] {
        present(&mut scene.client, secret, "192.0.2.77").await?;
    }
    let records = until(&mut scene.client, 5).await?;
    let head = v1::GetHeadRequest {};
    let before = scene.client.audit.get_head(head).await?.into_inner();
    let erase = |token_id: &str, subject: &str, time_before| v1::EraseAccessRequest {
        namespace: "notes".to_owned(),
        token_id: token_id.to_owned(),
        subject: subject.to_owned(),
        time_before,
    };
    let (_, since) = (records[4].time, records[1].time);
    for (request, erased, left) in [
        (erase(&ada, "", since), 2, 3),
        (erase("", "bob", None), 2, 1),
        (erase("", "bob", None), 0, 1),
        (erase("", "", since), 0, 1),
        (erase(&ada, "", None), 1, 0),
    ] {
        let answer = scene.client.audit.erase_access(request).await?.into_inner();
        assert_eq!((answer.erased_count, answer.is_done), (erased, true));
        assert_eq!(listed(&mut scene.client, in_notes()).await?.0.len(), left);
    }
    assert_eq!(before, scene.client.audit.get_head(head).await?.into_inner());

    // Who may read may not erase, and neither of them elsewhere.
    let (mut reader, _) = scene.caller(&["usage.read:notes"]).await?;
    assert_eq!(listed(&mut reader, in_notes()).await?.0, []);
    let tasks = v1::ListAccessRequest {
        namespace: "tasks".to_owned(),
        ..in_notes()
    };
    let elsewhere = listed(&mut reader, tasks).await.map(drop);
    let erased = reader.audit.erase_access(erase(&ada, "", None)).await.map(drop);
    for refused in [elsewhere, erased] {
        let status = refused.err().ok_or("it was answered")?;
        assert_eq!(status.code(), Code::PermissionDenied);
    }
    scene.stop().await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_can_be_erased_on_sqlite() -> Outcome {
    records_can_be_erased(Place::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_can_be_erased_on_postgres() -> Outcome {
    records_can_be_erased(Place::postgres().await?).await
}

/// Each field at fault is named.
#[tokio::test]
async fn bad_input_is_refused() -> Outcome {
    let mut scene = Scene::start(Place::sqlite()?).await?;
    let wrong_time = Some(prost_types::Timestamp {
        seconds: 0,
        nanos: -1,
    });
    let list = |change: fn(&mut v1::ListAccessRequest)| {
        let mut request = in_notes();
        change(&mut request);
        request
    };
    for (field, request) in [
        ("namespace", list(|it| it.namespace = String::new())),
        ("page_size", list(|it| it.page_size = -1)),
        ("token_id", list(|it| it.token_id = "no id".to_owned())),
        ("subject", list(|it| it.subject = "\0".to_owned())),
        ("caller", list(|it| it.caller = "\0".to_owned())),
        ("verdicts[1]", list(|it| it.verdicts = vec![1, 99])),
        (
            "verdicts[0]",
            list(|it| it.verdicts = vec![Verdict::Refused.into()]),
        ),
        ("verdicts", list(|it| it.verdicts = vec![1; 17])),
        (
            "time_after",
            v1::ListAccessRequest {
                time_after: wrong_time,
                ..in_notes()
            },
        ),
        (
            "time_before",
            v1::ListAccessRequest {
                time_before: wrong_time,
                ..in_notes()
            },
        ),
    ] {
        let status = scene.client.audit.list_access(request).await.err().ok_or(field)?;
        assert_eq!(named(&status), [field], "{status:?}");
    }
    let erase = |namespace: &str, token_id: &str, subject: &str, time_before| v1::EraseAccessRequest {
        namespace: namespace.to_owned(),
        token_id: token_id.to_owned(),
        subject: subject.to_owned(),
        time_before,
    };
    let id = "019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b";
    for (field, request) in [
        ("namespace", erase("No", id, "", None)),
        ("token_id", erase("notes", "no id", "", None)),
        ("subject", erase("notes", id, "ada", None)),
        ("time_before", erase("notes", "", "", None)),
        ("time_before", erase("notes", id, "", wrong_time)),
    ] {
        let status = scene
            .client
            .audit
            .erase_access(request)
            .await
            .err()
            .ok_or(field)?;
        assert_eq!(named(&status), [field], "{status:?}");
    }
    scene.stop().await.map(drop)
}

fn named(status: &Status) -> Vec<String> {
    use tonic_types::StatusExt as _;
    let violations = status.get_details_bad_request().map(|it| it.field_violations);
    violations.into_iter().flatten().map(|it| it.field).collect()
}
