//! The recorder of uses and whoever writes what it has gathered: started together, and ended with all of it written.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::options::Options;
use crate::clock::{Clock, Entropy};
use crate::store::{Store, StoreError};
use crate::usage::{Flusher, Recorder};

/// How long the last of it may take to be written: a store that does not answer keeps no server from ending.
const LAST_FLUSH_MAX: Duration = Duration::from_secs(5);

/// What takes note of uses.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) recorder: Arc<Recorder>,
    stop: CancellationToken,
    /// `None`: there is nothing to write.
    flusher: Option<JoinHandle<()>>,
}

impl Recording {
    /// Starts it as a task of the current runtime, if it is asked for; if not, the store hears that from now on less is
    /// known than there seems to be.
    pub(super) async fn start(
        options: &Options,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<Recording, StoreError> {
        let stop = CancellationToken::new();
        let Some(every) = options.usage_flush else {
            store.end_usage().await?;
            return Ok(Recording {
                recorder: Arc::new(Recorder::off()),
                stop,
                flusher: None,
            });
        };
        let recorder = Arc::new(Recorder::new(options.usage_prefixes));
        let flusher = Flusher::new(
            Arc::clone(&recorder),
            Arc::clone(store),
            Arc::clone(clock),
            entropy,
        );
        let flusher = tokio::spawn(flusher.run(every, stop.clone()));
        Ok(Recording {
            recorder,
            stop,
            flusher: Some(flusher),
        })
    }

    /// Returns when all that was seen is written, or that took too long.
    pub(super) async fn end(self) {
        self.stop.cancel();
        let Some(mut flusher) = self.flusher else { return };
        if timeout(LAST_FLUSH_MAX, &mut flusher).await.is_err() {
            flusher.abort();
            let tokens = self.recorder.told().pending;
            tracing::error!(
                tokens,
                "what tokens were used for last could not be written, and is lost"
            );
        }
    }
}
