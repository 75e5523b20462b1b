//! The authority and the writer that it hands its drafts to: started together, and ended with what was queued written.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ServeError;
use crate::authority::{Authority, Writer};
use crate::clock::{Clock, Entropy};
use crate::journal::cursor::Epoch;
use crate::store::Store;
use crate::token::secret::Peppers;

/// What makes changes in a store.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) authority: Arc<Authority>,
    stop: CancellationToken,
    writer: JoinHandle<()>,
}

impl Writing {
    /// Starts the writer over `store`, as a task of the current runtime; the authority reads from `reads`.
    pub(super) fn start(
        store: Arc<dyn Store>,
        reads: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        peppers: Arc<Peppers>,
        epoch: Epoch,
    ) -> Writing {
        let stop = CancellationToken::new();
        let (queue, writer) = Writer::spawn(store, Arc::clone(&clock), stop.clone());
        let authority = Authority::new(reads, queue, clock, entropy, peppers, epoch);
        Writing {
            authority: Arc::new(authority),
            stop,
            writer,
        }
    }

    /// Takes no more drafts.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Returns when all that was queued is written, also for calls that were cut off.
    pub(super) async fn end(self) -> Result<(), ServeError> {
        self.stop();
        self.writer.await.map_err(|_| ServeError::Panicked)
    }
}
