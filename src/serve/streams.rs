//! Streams end with the server and with their connection, and say so: whoever keeps one open holds neither up.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Request, Response};
use http_body::Frame;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::occupancy::Occupancy;
use crate::rpc::Problem;
use crate::watch::Ended;

/// For the services that have streams.
#[derive(Clone, Debug)]
pub(super) struct StreamsLayer {
    pub(super) drain: CancellationToken,
}

#[derive(Clone, Debug)]
pub(super) struct Streams<S> {
    service: S,
    drain: CancellationToken,
}

impl<S> Layer<S> for StreamsLayer {
    type Service = Streams<S>;

    fn layer(&self, service: S) -> Streams<S> {
        Streams {
            service,
            drain: self.drain.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Streams<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Occupancy>().cloned();
        let (of_request, of_response) = (
            end(self.drain.clone(), peer.clone()),
            end(self.drain.clone(), peer),
        );
        // What a client streams holds its call up as well.
        let request = request.map(|body| Ending::of(body, Direction::Request, of_request));
        let response = self.service.call(request);
        Box::pin(async move {
            let response = response.await?;
            Ok(response.map(|body| Ending::of(body, Direction::Response, of_response)))
        })
    }
}

/// Why streams are not to go on, as soon as they are not to.
async fn end(drain: CancellationToken, peer: Option<Occupancy>) -> Problem {
    let grown_old = async {
        match peer {
            Some(peer) => peer.grown_old().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = drain.cancelled() => Problem::Ended(Ended::Draining),
        () = grown_old => Problem::ConnectionTooOld,
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Request,
    Response,
}

/// A body that ends early. What it has to say at once is said before.
struct Ending {
    body: Body,
    direction: Direction,
    /// `None` once it has ended.
    end: Option<Pin<Box<dyn Future<Output = Problem> + Send>>>,
}

impl Ending {
    fn of(body: Body, direction: Direction, end: impl Future<Output = Problem> + Send + 'static) -> Body {
        Body::new(Ending {
            body,
            direction,
            end: Some(Box::pin(end)),
        })
    }
}

impl http_body::Body for Ending {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let this = &mut *self;
        let Some(end) = &mut this.end else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let status = Status::from(ready!(end.as_mut().poll(context)));
        this.end = None;
        Poll::Ready(Some(match this.direction {
            Direction::Request => Err(status),
            Direction::Response => {
                let mut trailers = HeaderMap::new();
                status
                    .add_header(&mut trailers)
                    .map(|()| Frame::trailers(trailers))
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none() || self.body.is_end_stream()
    }
}
