//! What is on record, and what of it, is for the namespace to say.

use super::*;

/// What is on record follows the rules of the namespace, at once; and those tell of themselves in the journal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_namespace_says_what_is_on_record() -> Outcome {
    let mut scene = Scene::start(Place::sqlite()?).await?;
    scene.client.create_namespace("notes", "kn_", hex(40)).await?;
    let (_, secret) = issue(&mut scene.client, "ada").await?;
    let unknown = format!("kn_{}", "0".repeat(40));
    let call = async |client: &mut Client| -> Outcome {
        present(client, &secret, "192.0.2.77").await?;
        present(client, &unknown, "192.0.2.77").await?;
        Ok(())
    };
    call(&mut scene.client).await?;
    for (log, whole) in [(AccessLog::Refusals, false), (AccessLog::All, true)] {
        let namespace = v1::Namespace {
            slug: "notes".to_owned(),
            policy: Some(v1::NamespacePolicy {
                access_log: log.into(),
                access_log_whole_addresses: whole,
                access_log_retention: Some(prost_types::Duration {
                    seconds: 3600,
                    nanos: 0,
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let request = v1::UpdateNamespaceRequest {
            namespace: Some(namespace),
            ..Default::default()
        };
        let updated = scene
            .client
            .namespaces
            .update_namespace(request)
            .await?
            .into_inner();
        let policy = updated
            .namespace
            .and_then(|namespace| namespace.policy)
            .unwrap_or_default();
        assert_eq!(
            (policy.access_log(), policy.access_log_full()),
            (log, AccessLogFull::Drop)
        );
        call(&mut scene.client).await?;
    }
    let records = until(&mut scene.client, 3).await?;
    let told: Vec<_> = records
        .iter()
        .map(|record| (record.verdict(), record.client_address.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Verdict::Unknown, "192.0.2.77"),
            (Verdict::Accepted, "192.0.2.77"),
            (Verdict::Unknown, "192.0.2.0/24"),
        ]
    );
    let request = v1::ListEntriesRequest {
        namespace: "notes".to_owned(),
        kinds: vec![v1::EntryKind::NamespaceUpdated.into()],
        ..Default::default()
    };
    let entries = scene
        .client
        .audit
        .list_entries(request)
        .await?
        .into_inner()
        .entries;
    let last = &entries.last().ok_or("no entry")?.changes;
    let change = last
        .iter()
        .find(|change| change.path == "policy.access_log")
        .ok_or("no change")?;
    assert_eq!(
        (change.before.as_str(), change.after.as_str()),
        ("\"refusals\"", "\"all\"")
    );
    scene.stop().await.map(drop)
}

/// A product's token that calls this service is judged like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_calls_this_service_is_on_record() -> Outcome {
    let mut scene = Scene::start(Place::sqlite()?).await?;
    let own = v1::NamespacePolicy {
        self_management: v1::SelfManagement::Own.into(),
        ..policy(AccessLog::All, AccessLogFull::Drop)
    };
    create(&mut scene.client, "notes", "kn_", own).await?;
    let (id, secret) = issue(&mut scene.client, "ada").await?;
    let endpoint = tonic::transport::Endpoint::new(format!("http://{}", scene.server.address()))?;
    let mut holder = Client::with(endpoint.connect_lazy(), Bearer::new(&secret));
    let get = v1::GetRequest { token_id: id.clone() };
    holder.tokens.get(get.clone()).await?;
    // Whoever presents what is none leaves nothing behind.
    let wrong = Bearer::new(&format!("kn_{}", "0".repeat(40)));
    let mut stranger = Client::with(endpoint.connect_lazy(), wrong);
    let refused = stranger.tokens.get(get).await.err().ok_or("it was answered")?;
    assert_eq!(refused.code(), Code::Unauthenticated);
    present(&mut scene.client, &secret, "").await?;
    let records = until(&mut scene.client, 2).await?;
    assert_eq!(records.len(), 2);
    assert_eq!(
        facts(&records[1]),
        (id.as_str(), "ada", Verdict::Accepted, "127.0.0.0/24")
    );
    assert_eq!(
        (
            records[1].caller.as_str(),
            records[1].method.as_str(),
            records[1].path.as_str()
        ),
        ("", "POST", "/tokenward.v1.TokenService/Get")
    );
    scene.stop().await.map(drop)
}
