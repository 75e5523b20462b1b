//! Where an answer waits until a test lets it go.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

const ARRIVED_WITHIN: Duration = Duration::from_secs(30);

/// Holds an answer back, and says when it has come.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    arrived: Arc<Semaphore>,
    opened: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate {
            arrived: Arc::new(Semaphore::new(0)),
            opened: Arc::new(Semaphore::new(0)),
        }
    }
}

impl Gate {
    /// Returns when an answer waits at the gate. A test that waits in vain fails, and does not hang.
    pub(crate) async fn arrived(&self) {
        let arrived = tokio::time::timeout(ARRIVED_WITHIN, self.arrived.acquire());
        arrived.await.expect("no call came to the gate").unwrap().forget();
    }

    pub(crate) fn open(&self) {
        self.opened.close();
    }

    pub(super) async fn pass(&self) {
        self.arrived.add_permits(1);
        // It never has a permit: an error says that it is closed, which opens the gate.
        let _ = self.opened.acquire().await;
    }
}
