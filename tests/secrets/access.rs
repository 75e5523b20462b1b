//! What is on record of calls, and what of it may be.

use super::*;

/// From now on each judged call is on record.
pub(super) async fn put_on_record(client: &mut Client, namespace: &str) -> Outcome {
    let namespace = v1::Namespace {
        slug: namespace.to_owned(),
        policy: Some(v1::NamespacePolicy {
            access_log: v1::AccessLog::All.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let request = v1::UpdateNamespaceRequest {
        namespace: Some(namespace),
        ..Default::default()
    };
    client.namespaces.update_namespace(request).await?;
    Ok(())
}

/// Calls that come with their secret where it should not be, and what is told of all there were.
pub(super) async fn access(client: &mut Client, left: &mut Left, secrets: &[String]) -> Outcome {
    for secret in secrets {
        let request = v1::VerifyRequest {
            secret: secret.clone(),
            context: Some(v1::RequestContext {
                path: format!("/somewhere?token={secret}"),
                ..Default::default()
            }),
            ..Default::default()
        };
        client.verification.verify(request).await?;
    }
    let list = || v1::ListAccessRequest {
        namespace: "notes".to_owned(),
        page_size: 1000,
        ..Default::default()
    };
    // They are there a while after.
    let records = loop {
        let page = client.audit.list_access(list()).await?.into_inner();
        if page.records.iter().any(|record| record.path == "/somewhere") {
            break page.records;
        }
        tokio::task::yield_now().await;
    };
    for record in &records {
        left.shown("messages", record);
    }
    Ok(())
}
