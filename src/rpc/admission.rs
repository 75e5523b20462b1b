//! The layer before all services: no call is read before it is known who makes it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::guard::{self, Needs};
use super::peer::Identities;
use super::refused::{self, Named};
use super::status::{Problem, Reason};
use crate::audit::Refusals;
use crate::token::caller::Caller;
use crate::usage::Notes;
use crate::verify::Verifier;

/// Lets calls through that the table of the guard allows.
#[derive(Clone, Debug)]
pub struct AdmissionLayer {
    verifier: Arc<Verifier>,
    notes: Notes,
    identities: Identities,
    refusals: Arc<Refusals>,
}

#[derive(Clone, Debug)]
pub struct Admission<S> {
    service: S,
    callers: AdmissionLayer,
}

impl AdmissionLayer {
    /// What callers present themselves with counts as used, as what they ask about does; what is refused is on record.
    pub fn new(
        verifier: Arc<Verifier>,
        notes: Notes,
        identities: Identities,
        refusals: Arc<Refusals>,
    ) -> AdmissionLayer {
        AdmissionLayer {
            verifier,
            notes,
            identities,
            refusals,
        }
    }

    async fn admit(&self, needs: Needs, request: &mut Request<Body>) -> Result<Caller, Problem> {
        let recognised = guard::recognise((&self.verifier, &self.notes), &self.identities, request).await;
        let caller = recognised.inspect_err(|problem| {
            if matches!(
                problem,
                Problem::Unauthenticated { .. } | Problem::NotIdentified { .. }
            ) {
                self.refusals.unauthenticated();
            }
        })?;
        guard::check(needs, &caller).inspect_err(|_| {
            let path = request.uri().path();
            refused::record_unread(&self.refusals, caller.actor(), path, Reason::PermissionDenied);
        })?;
        Ok(caller)
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, service: S) -> Admission<S> {
        Admission {
            service,
            callers: self.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Admission<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let needs = guard::needs(request.uri().path());
        if needs == Needs::Nothing {
            return Box::pin(self.service.call(request));
        }
        let callers = self.callers.clone();
        // The one that said it is ready makes the call; the clone says so for itself next time.
        let next = self.service.clone();
        let mut service = std::mem::replace(&mut self.service, next);
        Box::pin(async move {
            match callers.admit(needs, &mut request).await {
                Ok(caller) if !refused::is_recorded(request.uri().path()) => {
                    request.extensions_mut().insert(Arc::new(caller));
                    service.call(request).await
                }
                Ok(caller) => {
                    let (actor, path, named) = (caller.actor(), request.uri().clone(), Named::default());
                    request.extensions_mut().insert(Arc::new(caller));
                    request.extensions_mut().insert(named.clone());
                    let response = service.call(request).await?;
                    refused::record(&callers.refusals, &actor, path.path(), &named, &response);
                    Ok(response)
                }
                Err(problem) => Ok(Status::from(problem).into_http()),
            }
        })
    }
}
