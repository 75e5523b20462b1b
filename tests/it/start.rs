//! What a server refuses to start on, and what it tells of itself once it has.

use std::net::SocketAddr;

use tokenward::serve::{Options, Running, ServeError, StoreAddress};
use tokio_stream::StreamExt;
use tonic::service::interceptor::InterceptedService;
use tonic_reflection::pb::{v1, v1alpha};

use crate::admin::{self, Bearer};
use crate::server::{Outcome, Server, stop};

const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

#[tokio::test]
async fn a_file_has_one_server() -> Outcome {
    let server = Server::start()?;
    let file = server.folder.path().join("tokenward.db");
    let mut options = Options::new(StoreAddress::Sqlite(file.clone()), SocketAddr::from(LOOPBACK));
    admin::known_to(&mut options);
    let error = Running::start(options.clone()).err().ok_or("it started")?;
    assert_eq!(
        error.to_string(),
        format!(
            "{} is in use by another tokenward process: stop it first, or name another file",
            file.display()
        )
    );
    let folder = server.stop_keeping_folder().await?;
    let next = Running::start(options)?;
    stop(next).await?;
    folder.close()?;
    Ok(())
}

#[tokio::test]
async fn a_port_has_one_server() -> Outcome {
    let server = Server::start()?;
    let options = Options::new(StoreAddress::Memory, server.address);
    let error = Running::start(options).err().ok_or("it started")?;
    assert!(matches!(error, ServeError::Bind(_)), "{error}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on {}: ", server.address))
    );
    // The first one was not disturbed.
    server.client().await?;
    server.stop().await
}

#[test]
fn beyond_loopback_it_listens_only_if_told_to() -> Outcome {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let mut options = Options::new(StoreAddress::Memory, everywhere);
    let error = Running::start(options.clone()).err().ok_or("it started")?;
    assert!(matches!(error, ServeError::NotLoopback { listen } if listen == everywhere));
    options.insecure = true;
    Running::start(options)?.stop()?;
    Ok(())
}

/// The services that a server is expected to tell of, among its own and those of gRPC.
const SERVICES: [&str; 9] = [
    "tokenward.v1.AuditService",
    "tokenward.v1.CallerService",
    "tokenward.v1.ImportService",
    "tokenward.v1.NamespaceService",
    "tokenward.v1.RevocationService",
    "tokenward.v1.SubjectService",
    "tokenward.v1.TokenService",
    "tokenward.v1.VerificationService",
    "tokenward.v1.WebhookService",
];

#[tokio::test]
async fn reflection_lists_the_services_in_both_its_versions() -> Outcome {
    let server = Server::start()?;
    let channel = InterceptedService::new(server.endpoint()?.connect().await?, Bearer::admin());
    let mut names = Vec::new();

    let request = v1::ServerReflectionRequest {
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
        ..Default::default()
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(tokio_stream::once(request)).await?;
    let answer = answers.into_inner().next().await.ok_or("no answer")??;
    match answer.message_response {
        Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(list)) => {
            names.push(
                list.service
                    .into_iter()
                    .map(|service| service.name)
                    .collect::<Vec<_>>(),
            );
        }
        other => return Err(format!("{other:?}").into()),
    }

    let request = v1alpha::ServerReflectionRequest {
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
        ..Default::default()
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::once(request)).await?;
    let answer = answers.into_inner().next().await.ok_or("no answer")??;
    match answer.message_response {
        Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) => {
            names.push(
                list.service
                    .into_iter()
                    .map(|service| service.name)
                    .collect::<Vec<_>>(),
            );
        }
        other => return Err(format!("{other:?}").into()),
    }

    for mut names in names {
        names.retain(|name| name.starts_with("tokenward."));
        names.sort_unstable();
        assert_eq!(names, SERVICES);
    }
    server.stop().await
}
