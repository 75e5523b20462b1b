//! Access logs, from the call that is judged to the call that asks who called.

mod erased;
mod exact;
mod rules;

use tokenward::proto::v1::{self, AccessLog, AccessLogFull, Verdict};
use tokenward::serve::Running;
use tonic::{Code, Status};

use crate::admin::Bearer;
use crate::place::{Fallible, Place};
use crate::server::{Client, Outcome, hex, stop};

const AGENT: &str = "access-test/1.0";

fn policy(access_log: AccessLog, access_log_full: AccessLogFull) -> v1::NamespacePolicy {
    v1::NamespacePolicy {
        access_log: access_log.into(),
        access_log_full: access_log_full.into(),
        ..Default::default()
    }
}

async fn create(client: &mut Client, slug: &str, prefix: &str, policy: v1::NamespacePolicy) -> Outcome {
    let namespace = v1::Namespace {
        slug: slug.to_owned(),
        format: Some(v1::SecretFormat {
            prefix: prefix.to_owned(),
            body: Some(hex(40)),
        }),
        policy: Some(policy),
        ..Default::default()
    };
    let request = v1::CreateNamespaceRequest {
        namespace: Some(namespace),
        ..Default::default()
    };
    client.namespaces.create_namespace(request).await?;
    Ok(())
}

fn in_notes() -> v1::ListAccessRequest {
    v1::ListAccessRequest {
        namespace: "notes".to_owned(),
        ..Default::default()
    }
}

/// All that a listing has, and how many pages that were.
async fn listed(
    client: &mut Client,
    request: v1::ListAccessRequest,
) -> Result<(Vec<v1::AccessRecord>, usize), Status> {
    let mut request = request;
    let (mut records, mut pages) = (Vec::new(), 0);
    loop {
        let page = client.audit.list_access(request.clone()).await?.into_inner();
        records.extend(page.records);
        pages += 1;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok((records, pages));
        }
    }
}

/// The records of `notes` once there are so many: they are there a while after.
async fn until(client: &mut Client, count: usize) -> Fallible<Vec<v1::AccessRecord>> {
    loop {
        let (records, _) = listed(client, in_notes()).await?;
        if records.len() >= count {
            return Ok(records);
        }
        tokio::task::yield_now().await;
    }
}

async fn present(client: &mut Client, secret: &str, address: &str) -> Result<Verdict, Status> {
    let request = v1::VerifyRequest {
        secret: secret.to_owned(),
        context: Some(v1::RequestContext {
            client_address: address.to_owned(),
            user_agent: AGENT.to_owned(),
            method: "GET".to_owned(),
            path: "/notes?token=of-somebody".to_owned(),
        }),
        ..Default::default()
    };
    Ok(client.verification.verify(request).await?.into_inner().verdict())
}

async fn issue(client: &mut Client, subject: &str) -> Result<(String, String), Status> {
    let request = v1::IssueRequest {
        namespace: "notes".to_owned(),
        subject: subject.to_owned(),
        scopes: vec!["read".to_owned()],
        ..Default::default()
    };
    let issued = client.tokens.issue(request).await?.into_inner();
    Ok((issued.token.unwrap_or_default().id, issued.secret))
}

struct Scene {
    server: Running,
    client: Client,
    place: Place,
}

impl Scene {
    async fn start(place: Place) -> Fallible<Scene> {
        let server = place.start()?;
        let client = Client::connect(server.address()).await?;
        Ok(Scene {
            server,
            client,
            place,
        })
    }

    async fn stop(self) -> Fallible<Place> {
        stop(self.server).await?;
        Ok(self.place)
    }

    /// A client with a credential that has these permissions, and the name that records have for it.
    async fn caller(&mut self, permissions: &[&str]) -> Fallible<(Client, String)> {
        let (credential, secret) = self.client.issue("system", permissions).await?;
        let endpoint = tonic::transport::Endpoint::new(format!("http://{}", self.server.address()))?;
        let client = Client::with(endpoint.connect_lazy(), Bearer::new(&secret));
        Ok((client, format!("token:{}", credential.id)))
    }
}

fn facts(record: &v1::AccessRecord) -> (&str, &str, Verdict, &str) {
    let subject = record.subject.as_str();
    (
        &record.token_id,
        subject,
        record.verdict(),
        &record.client_address,
    )
}

/// Each judged call is there, with what is known of it, and no other.
async fn what_happened_is_on_record(place: Place) -> Outcome {
    let mut scene = Scene::start(place).await?;
    let all = policy(AccessLog::All, AccessLogFull::Refuse);
    create(&mut scene.client, "notes", "kn_", all).await?;
    scene.client.create_namespace("tasks", "kt_", hex(40)).await?;
    let (ada, secret) = issue(&mut scene.client, "ada").await?;
    let (bob, other) = issue(&mut scene.client, "bob").await?;
    let (_, elsewhere) = scene.client.issue("tasks", &[]).await?;
    let (mut gateway, name) = scene.caller(&["tokens.verify:*"]).await?;
    let (mut stranger, _) = scene.caller(&["tokens.verify:tasks"]).await?;
    let unknown = format!("kn_{}", "0".repeat(40));
    let present_all = [
        (&secret, "192.0.2.77", Verdict::Accepted),
        (&other, "2001:db8:1:2::3", Verdict::Accepted),
        (&unknown, "", Verdict::Refused),
        (&"kn_short".to_owned(), "", Verdict::Refused),
        (&elsewhere, "192.0.2.77", Verdict::Accepted),
        (&"nothing".to_owned(), "192.0.2.77", Verdict::Refused),
    ];
    for (secret, address, verdict) in present_all {
        assert_eq!(present(&mut gateway, secret, address).await?, verdict);
    }
    assert_eq!(
        present(&mut stranger, &secret, "192.0.2.77").await?,
        Verdict::Refused
    );
    let batch = v1::BatchVerifyRequest {
        requests: [&["read"][..], &["write"]]
            .map(|scopes| v1::VerifyRequest {
                secret: secret.clone(),
                required_scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
                ..Default::default()
            })
            .to_vec(),
    };
    scene.client.verification.batch_verify(batch).await?;
    scene.client.revoke(&bob).await?;
    assert_eq!(
        present(&mut gateway, &other, "192.0.2.78").await?,
        Verdict::Refused
    );

    let records = until(&mut scene.client, 7).await?;
    let newest_first: Vec<_> = records.iter().map(facts).collect();
    let (ada_id, bob_id) = (ada.as_str(), bob.as_str());
    assert_eq!(newest_first[0], (bob_id, "bob", Verdict::Revoked, "192.0.2.0/24"));
    let mut of_the_batch = newest_first[1..3].to_vec();
    of_the_batch.sort_by_key(|facts| facts.2 as i32);
    assert_eq!(
        of_the_batch,
        [
            (ada_id, "ada", Verdict::Accepted, ""),
            (ada_id, "ada", Verdict::InsufficientScope, "")
        ]
    );
    assert_eq!(
        newest_first[3..],
        [
            ("", "", Verdict::Malformed, ""),
            ("", "", Verdict::Unknown, ""),
            (bob_id, "bob", Verdict::Accepted, "2001:db8:1::/48"),
            (ada_id, "ada", Verdict::Accepted, "192.0.2.0/24"),
        ]
    );
    let first = &records[6];
    assert_eq!(
        (
            first.method.as_str(),
            first.path.as_str(),
            first.user_agent.as_str()
        ),
        ("GET", "/notes", AGENT)
    );
    assert_eq!((first.namespace.as_str(), &first.caller), ("notes", &name));

    each_filter(&scene, &records, &bob, &name).await?;
    pages_are_parts_of_the_same(&mut scene.client, &records, &bob).await?;
    scene.stop().await.map(drop)
}

/// Each filter, and two of them, on what has happened.
async fn each_filter(scene: &Scene, records: &[v1::AccessRecord], bob: &str, name: &str) -> Outcome {
    let found = |request: v1::ListAccessRequest| {
        let mut client = scene.client.clone();
        async move { listed(&mut client, request).await.map(|(records, _)| records) }
    };
    let ids = |numbers: &[usize]| -> Vec<_> { numbers.iter().map(|i| records[*i].clone()).collect() };
    let by_token = v1::ListAccessRequest {
        token_id: bob.to_owned(),
        ..in_notes()
    };
    assert_eq!(found(by_token).await?, ids(&[0, 5]));
    let by_subject = v1::ListAccessRequest {
        subject: "ada".to_owned(),
        ..in_notes()
    };
    assert_eq!(found(by_subject).await?, ids(&[1, 2, 6]));
    let by_caller = v1::ListAccessRequest {
        caller: name.to_owned(),
        ..in_notes()
    };
    assert_eq!(found(by_caller).await?, ids(&[0, 3, 4, 5, 6]));
    let by_verdict = v1::ListAccessRequest {
        verdicts: vec![Verdict::Unknown.into(), Verdict::Revoked.into()],
        ..in_notes()
    };
    assert_eq!(found(by_verdict).await?, ids(&[0, 4]));
    let within = v1::ListAccessRequest {
        time_after: records[5].time,
        time_before: records[3].time,
        ..in_notes()
    };
    assert_eq!(found(within).await?, ids(&[4, 5]));
    let both = v1::ListAccessRequest {
        token_id: bob.to_owned(),
        subject: "ada".to_owned(),
        ..in_notes()
    };
    assert_eq!(found(both).await?, []);
    let tasks = v1::ListAccessRequest {
        namespace: "tasks".to_owned(),
        ..in_notes()
    };
    assert_eq!(found(tasks).await?, []);

    Ok(())
}

/// And a page token is good for the list it came with.
async fn pages_are_parts_of_the_same(
    client: &mut Client,
    records: &[v1::AccessRecord],
    bob: &str,
) -> Outcome {
    let ids = |numbers: &[usize]| -> Vec<_> { numbers.iter().map(|i| records[*i].clone()).collect() };
    let by_subject = v1::ListAccessRequest {
        subject: "ada".to_owned(),
        ..in_notes()
    };
    for (request, numbers) in [(in_notes(), &[0, 1, 2, 3, 4, 5, 6][..]), (by_subject, &[1, 2, 6])] {
        let by_two = v1::ListAccessRequest {
            page_size: 2,
            ..request
        };
        let (records, pages) = listed(client, by_two).await?;
        assert_eq!((records, pages), (ids(numbers), numbers.len().div_ceil(2)));
    }
    let page = v1::ListAccessRequest {
        page_size: 1,
        token_id: bob.to_owned(),
        ..in_notes()
    };
    let token = client.audit.list_access(page).await?.into_inner().next_page_token;
    let wrong = v1::ListAccessRequest {
        page_token: token,
        ..in_notes()
    };
    let status = client
        .audit
        .list_access(wrong)
        .await
        .err()
        .ok_or("it was answered")?;
    assert_eq!(status.code(), Code::InvalidArgument);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_is_on_record_on_sqlite() -> Outcome {
    what_happened_is_on_record(Place::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_is_on_record_on_postgres() -> Outcome {
    what_happened_is_on_record(Place::postgres().await?).await
}
