//! A call is as good as its caller is when its message has come, not when its headers had.

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use prost::Message as _;
use tokenward::proto::v1;
use tokio::net::TcpStream;
use tonic::{Code, Status};

use super::Scene;
use crate::server::Outcome;
use crate::wire::message;

type Failure = Box<dyn std::error::Error>;

/// A call of Issue whose headers were sent.
struct Begun {
    answer: h2::client::ResponseFuture,
    body: h2::SendStream<Bytes>,
}

impl Begun {
    async fn issue(client: SendRequest<Bytes>, credential: &str) -> Result<Begun, Failure> {
        let request = Request::post("http://tokenward/tokenward.v1.TokenService/Issue")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {credential}"))
            .body(())?;
        let (answer, body) = client.ready().await?.send_request(request, false)?;
        Ok(Begun { answer, body })
    }

    async fn end(mut self) -> Result<Code, Failure> {
        let request = v1::IssueRequest {
            namespace: "notes".to_owned(),
            subject: "ada".to_owned(),
            ..Default::default()
        };
        let sent = self
            .body
            .send_data(Bytes::from(message(&request.encode_to_vec())), true);
        // It may have been refused already.
        drop(sent);
        let (head, mut body) = self.answer.await?.into_parts();
        let mut told = head.headers;
        while let Some(data) = body.data().await {
            body.flow_control().release_capacity(data?.len())?;
        }
        told.extend(body.trailers().await?.unwrap_or_default());
        Ok(Status::from_header_map(&told).ok_or("no status")?.code())
    }
}

#[tokio::test]
async fn whoever_was_withdrawn_before_the_message_came_is_refused() -> Outcome {
    let mut scene = Scene::start().await?;
    let permissions = ["tokens.issue:notes"];
    let (revoked, secret) = scene.admin.issue("system", &permissions).await?;
    let (_, good) = scene.admin.issue("system", &permissions).await?;
    let (rotated, rotated_secret) = scene.admin.issue("system", &permissions).await?;
    let stream = TcpStream::connect(scene.server.address).await?;
    let (client, connection) = h2::client::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let mut begun = Vec::new();
    for credential in [&secret, &good, &rotated_secret] {
        begun.push(Begun::issue(client.clone(), credential).await?);
    }
    // In order over one connection: what was sent before has been recognised when this is answered.
    let other = Begun::issue(client, &good).await?;
    assert_eq!(other.end().await?, Code::Ok);
    scene.admin.revoke(&revoked.id).await?;
    let request = v1::RotateRequest {
        token_id: rotated.id,
        ..Default::default()
    };
    scene.admin.tokens.rotate(request).await?;
    let mut codes = Vec::new();
    for call in begun {
        codes.push(call.end().await?);
    }
    assert_eq!(codes, [Code::Unauthenticated, Code::Ok, Code::Unauthenticated]);
    connection.abort();
    scene.server.stop().await
}
