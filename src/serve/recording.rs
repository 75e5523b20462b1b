//! What takes note of judged calls, and whoever writes what was gathered: started together, and ended with all of it
//! written.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::options::Options;
use crate::clock::{Clock, Entropy};
use crate::store::{Store, StoreError};
use crate::usage::access::{self, Log, WRITE_INTERVAL, Writer};
use crate::usage::{Flusher, Notes, Recorder};

/// How long the last of it may take to be written: a store that does not answer keeps no server from ending.
const LAST_FLUSH_MAX: Duration = Duration::from_secs(5);

/// What takes note of judged calls.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) notes: Notes,
    stop: CancellationToken,
    /// `None`: there is nothing to write.
    flusher: Option<JoinHandle<()>>,
    writer: JoinHandle<()>,
    /// Dropped, it ends.
    _sweeping: AbortOnDropHandle<()>,
}

impl Recording {
    /// Starts it as tasks of the current runtime. If uses are not to be recorded, the store hears that from now on less is
    /// known than there seems to be.
    pub(super) async fn start(
        options: &Options,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<Recording, StoreError> {
        let stop = CancellationToken::new();
        let (recorder, flusher) = if let Some(every) = options.usage_flush {
            let recorder = Arc::new(Recorder::new(options.usage_prefixes));
            let flusher = Flusher::new(
                Arc::clone(&recorder),
                Arc::clone(store),
                Arc::clone(clock),
                entropy,
            );
            (recorder, Some(tokio::spawn(flusher.run(every, stop.clone()))))
        } else {
            store.end_usage().await?;
            (Arc::new(Recorder::off()), None)
        };
        let log = Arc::new(Log::default());
        let writer = Writer::new(Arc::clone(&log), Arc::clone(store), entropy);
        let sweeping = tokio::spawn(access::sweep(Arc::clone(store), Arc::clone(clock)));
        Ok(Recording {
            notes: Notes {
                recorder,
                access: log,
            },
            writer: tokio::spawn(writer.run(WRITE_INTERVAL, stop.clone())),
            stop,
            flusher,
            _sweeping: AbortOnDropHandle::new(sweeping),
        })
    }

    /// Returns when all that was seen is written, or that took too long.
    pub(super) async fn end(self) {
        self.stop.cancel();
        let flushed = async {
            match self.flusher {
                Some(flusher) => ended(flusher).await,
                None => true,
            }
        };
        let (is_flushed, is_written) = tokio::join!(flushed, ended(self.writer));
        if !is_flushed {
            let tokens = self.notes.recorder.told().pending;
            tracing::error!(
                tokens,
                "what tokens were used for last could not be written, and is lost"
            );
        }
        if !is_written {
            let records = self.notes.access.told().pending;
            tracing::error!(
                records,
                "the last records of calls could not be written, and are lost"
            );
        }
    }
}

/// Whether a task came to its end in time; if not, it is ended.
async fn ended(mut task: JoinHandle<()>) -> bool {
    let ended = timeout(LAST_FLUSH_MAX, &mut task).await;
    if ended.is_err() {
        task.abort();
    }
    ended.is_ok_and(|joined| joined.is_ok())
}
