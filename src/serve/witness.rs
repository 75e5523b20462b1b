//! What a server keeps so that it can be shown later what happened: refused calls, and signed checkpoints.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::checkpoint_key::{self, CheckpointKeyError};
use super::options::Options;
use crate::audit::{Notary, Refusals};
use crate::clock::{Clock, Entropy};
use crate::journal::checkpoint::SigningKey;
use crate::store::Store;

/// How long the last refused calls may take to be kept.
const KEEP_MAX: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Witness {
    pub(super) refusals: Arc<Refusals>,
    pub(super) notary: Option<Arc<Notary>>,
    keeping: JoinHandle<()>,
    stop_keeping: CancellationToken,
    /// Dropped, it ends.
    _signing: Option<AbortOnDropHandle<()>>,
}

impl Witness {
    /// The key to sign with, if there is to be one.
    pub(super) fn key(
        options: &Options,
        entropy: &dyn Entropy,
    ) -> Result<Option<SigningKey>, CheckpointKeyError> {
        match (options.checkpoint_key_path(), &options.checkpoint_key_file) {
            (None, None) => Ok(None),
            (_, Some(path)) => checkpoint_key::load(path).map(Some),
            (Some(path), None) => checkpoint_key::load_or_create(&path, entropy).map(Some),
        }
    }

    /// Starts to keep and to sign, in tasks of the current runtime. A call may stop waiting for the store it is given.
    pub(super) fn start(
        key: Option<SigningKey>,
        options: &Options,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
    ) -> Witness {
        let notary = key.map(|key| Arc::new(Notary::new(key, Arc::clone(store), Arc::clone(clock))));
        let signing = notary.as_ref().map(|notary| {
            let (notary, every) = (Arc::clone(notary), options.checkpoint_interval);
            AbortOnDropHandle::new(tokio::spawn(async move { notary.keep_signing(every).await }))
        });
        let (refusals, arriving) = Refusals::new(Arc::clone(clock));
        let stop_keeping = CancellationToken::new();
        let keeping = tokio::spawn(Refusals::keep(
            Arc::clone(store),
            Arc::clone(clock),
            arriving,
            stop_keeping.clone(),
        ));
        Witness {
            refusals: Arc::new(refusals),
            notary,
            keeping,
            stop_keeping,
            _signing: signing,
        }
    }

    /// Keeps what was refused by now; signs no more.
    pub(super) async fn end(self) {
        self.stop_keeping.cancel();
        // What the store does not take by then is lost, and the log has said so.
        let _ = timeout(KEEP_MAX, self.keeping).await;
    }
}
