//! The gRPC services: decode, call, encode; one file a verb.

mod access;
mod admission;
mod audit;
mod caller;
mod convert;
mod decode;
mod evidence;
mod filter;
pub mod guard;
mod import;
mod issue;
mod list;
mod namespaces;
mod page;
mod peer;
mod policy;
mod refused;
mod revoke;
mod revoke_leaked;
mod revoke_matching;
mod rotate;
mod services;
mod status;
mod suspend;
mod update;
mod subjects;
mod usage;
mod verify;
mod watch;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use tonic::{Response, Status};

use crate::audit::Notary;
use crate::authority::{Ask, Authority};
use crate::clock::Clock;
use crate::journal::cursor::Cursor;
use crate::membership::{Barrier, Reached};
use crate::store::Store;
use crate::token::caller::Caller;
use crate::usage::Notes;
use crate::verify::{NotYetApplied, Verifier};
use crate::watch::Watch;
use crate::webhook::Sender;
pub use admission::AdmissionLayer;
use decode::Fields;
pub use peer::{Identities, Identity, IdentityTable, Peer};
pub use revoke_matching::PROGRESS_INTERVAL;
pub use status::{Problem, Reason};

/// How long a mutation waits to be in force here before it says that it is not confirmed.
const APPLIED_WITHIN: Duration = Duration::from_secs(5);

/// What the services stand on.
#[derive(Clone, Debug)]
pub struct Api {
    authority: Arc<Authority>,
    verifier: Arc<Verifier>,
    in_force: InForce,
    watch: Arc<Watch>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    identities: Identities,
    progress_interval: Duration,
    notes: Notes,
    sender: Arc<Sender>,
    notary: Option<Arc<Notary>>,
}

/// Where a change must be in force before it is answered.
#[derive(Clone, Debug)]
pub enum InForce {
    /// At this process: no other one answers for the store.
    Here,
    /// At every member.
    Everywhere(Barrier),
    /// Nowhere. For tests, which must see what comes of it.
    #[doc(hidden)]
    Unawaited,
}

impl InForce {
    /// How long the oldest change has waited that is not yet known to be in force wherever it has to be.
    pub fn oldest_wait(&self) -> Duration {
        match self {
            InForce::Everywhere(barrier) => barrier.oldest_wait(),
            InForce::Here | InForce::Unawaited => Duration::ZERO,
        }
    }
}

impl Api {
    #[expect(clippy::too_many_arguments, reason = "one for each thing they stand on")]
    pub fn new(
        authority: Arc<Authority>,
        (verifier, notes): (Arc<Verifier>, Notes),
        in_force: InForce,
        watch: Arc<Watch>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        identities: Identities,
        sender: Arc<Sender>,
    ) -> Api {
        Api {
            authority,
            verifier,
            in_force,
            watch,
            store,
            clock,
            identities,
            notes,
            sender,
            notary: None,
            progress_interval: PROGRESS_INTERVAL,
        }
    }

    /// Says how far an execution is so often.
    #[must_use]
    pub fn with_progress_interval(self, progress_interval: Duration) -> Api {
        Api {
            progress_interval,
            ..self
        }
    }

    /// The same, with somebody who signs checkpoints.
    pub fn with_notary(self, notary: Option<Arc<Notary>>) -> Api {
        Api { notary, ..self }
    }

    /// Returns once the change is in force. What it narrowed, no later Verify accepts.
    async fn in_force(&self, cursor: Cursor) -> Result<Reached, Problem> {
        match &self.in_force {
            InForce::Here => {
                self.verifier.applied(cursor.revision, APPLIED_WITHIN).await?;
                Ok(Reached::Acknowledged)
            }
            InForce::Everywhere(barrier) => {
                let waited = Duration::ZERO;
                let reached = barrier.reached(cursor.revision).await;
                Ok(reached.map_err(|_| NotYetApplied { waited })?)
            }
            InForce::Unawaited => Ok(Reached::Acknowledged),
        }
    }
}

/// Who asks for a change; an empty request id is none.
fn ask(caller: &Caller, fields: &mut Fields, request_id: &str) -> Ask {
    Ask {
        caller: caller.clone(),
        request_id: fields.request_id(request_id),
    }
}

fn answer<T>(result: Result<T, Problem>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Status::from)
}
