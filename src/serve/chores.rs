//! What a server does although nobody asked for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::authority::Authority;
use crate::lifecycle::Timekeeper;
use crate::token::change::{Redigest, Used};
use crate::token::text::Actor;
use crate::verify::{Following, Stop};
use crate::webhook::Courier;

/// How often answers are forgotten that are kept no longer.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
/// Secrets that wait to be kept under the current pepper; further ones wait for their next use.
pub(super) const REDIGESTS_MAX: usize = 1024;

/// The tasks of it. They end with this value, wherever they are.
#[derive(Debug)]
pub(super) struct Chores {
    tasks: JoinSet<()>,
}

impl Chores {
    /// Starts them on the current runtime; `forked` is cancelled once the store is found to be another one.
    pub(super) fn start(
        authority: &Arc<Authority>,
        actor: Actor,
        (redigests, uses): (mpsc::Receiver<Redigest>, mpsc::Receiver<Used>),
        following: watch::Receiver<Following>,
        forked: CancellationToken,
        (courier, timekeeper): (Courier, Timekeeper),
    ) -> Chores {
        let mut tasks = JoinSet::new();
        tasks.spawn(sweep(Arc::clone(authority)));
        let (noting, noted_by) = (Arc::clone(authority), actor.clone());
        tasks.spawn(async move { noting.note_uses(noted_by, uses).await });
        let authority = Arc::clone(authority);
        tasks.spawn(async move { authority.redigest_used(actor, redigests).await });
        tasks.spawn(courier.run());
        tasks.spawn(timekeeper.run());
        tasks.spawn(cancel_when_forked(following, forked));
        Chores { tasks }
    }

    pub(super) fn abort(mut self) {
        self.tasks.abort_all();
    }
}

/// Forgets sealed answers as their time ends, a little later. None of them is shown meanwhile.
async fn sweep(authority: Arc<Authority>) {
    let mut pace = interval(SWEEP_INTERVAL);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        match authority.sweep_answers().await {
            Ok(0) => {}
            Ok(answers) => tracing::debug!(answers, "forgot what retries are not answered with any more"),
            Err(error) => tracing::warn!(%error, "old answers could not be forgotten; trying again later"),
        }
    }
}

async fn cancel_when_forked(mut following: watch::Receiver<Following>, forked: CancellationToken) {
    let is_forked = |following: &Following| matches!(following, Following::Stopped(Stop::Forked { .. }));
    if following.wait_for(is_forked).await.is_ok() {
        forked.cancel();
    }
}
