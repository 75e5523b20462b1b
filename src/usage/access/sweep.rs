//! Forgets records when their time is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::store::access::AccessOf;
use crate::store::{SWEEP_MAX, Store, StoreError};
use crate::token::policy::Policy;
use crate::token::time::{Span, Timestamp};

/// How often that is done.
pub const SWEEP_INTERVAL: Duration = Duration::from_mins(10);

/// Forgets what is older than its namespace wants it kept, so often, for as long as it is let.
pub async fn sweep(store: Arc<dyn Store>, clock: Arc<dyn Clock>) {
    let mut pace = interval(SWEEP_INTERVAL);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        match once(&*store, clock.now()).await {
            Ok(0) => {}
            Ok(records) => tracing::debug!(records, "forgot old records of calls"),
            Err(error) => {
                let cause = error.cause().unwrap_or_default();
                tracing::warn!(%error, cause, "old records of calls could not be forgotten; trying again later");
            }
        }
    }
}

/// How many were forgotten one by one. What was forgotten by the day is not counted.
pub(super) async fn once(store: &dyn Store, now: Timestamp) -> Result<u64, StoreError> {
    let directory = store.directory().await?.record;
    let until = |kept: Span| now.earlier(kept.duration());
    let retentions = || {
        directory
            .iter()
            .map(|namespace| namespace.policy.access_log_retention())
    };
    let longest = retentions().max().unwrap_or(Policy::ACCESS_LOG_RETENTION_DEFAULT);
    store.tend_access(now, until(longest)).await?;
    let mut forgotten = 0;
    for namespace in directory.iter() {
        let of = AccessOf {
            namespace: namespace.slug.clone(),
            holder: None,
        };
        let until = until(namespace.policy.access_log_retention());
        loop {
            let erased = store.erase_access(of.clone(), until).await?;
            forgotten += erased;
            if erased < u64::from(SWEEP_MAX) {
                break;
            }
        }
    }
    Ok(forgotten)
}
