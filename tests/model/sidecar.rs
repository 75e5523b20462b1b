//! A sidecar: it hears of changes on a stream, asks a replica for what it has not cached, and may use its
//! cache for a time after a replica has told it how far the journal goes: SYNC.

use crate::mistakes::Mistake;
use crate::protocol::{Protocol, when};
use crate::state::{LS, Life, State, Sync};

impl Protocol {
    /// SYNC, part one: note the time, then send.
    pub(crate) fn send_sync(state: &mut State) -> Option<()> {
        when(state.sidecar.sync == Sync::None)?;
        state.sidecar.sync = Sync::Sent { age: 0 };
        Some(())
    }

    /// SYNC, part two: any replica answers, but only under a lease, for without one it may know nothing of
    /// a revocation that was answered long ago.
    pub(crate) fn answer_sync(&self, state: &mut State, i: usize) -> Option<()> {
        let Sync::Sent { age } = state.sidecar.sync else {
            return None;
        };
        let replica = &state.replicas[i];
        when(replica.life == Life::Serving)?;
        when(replica.lease > 0 || self.has(Mistake::SyncWithoutLease))?;
        state.sidecar.sync = Sync::Answered {
            age,
            applied: replica.applied,
        };
        Some(())
    }

    /// SYNC, part three: apply, then take the time, counted from before the request. An answer that is older
    /// than what is known is ignored.
    pub(crate) fn take_sync(&self, state: &mut State) -> Option<()> {
        let sidecar = &mut state.sidecar;
        let Sync::Answered { age, applied } = sidecar.sync else {
            return None;
        };
        sidecar.sync = Sync::None;
        if applied < sidecar.applied && !self.has(Mistake::SidecarGoesBack) {
            return Some(());
        }
        sidecar.apply(applied);
        sidecar.applied = applied;
        let passed = if self.has(Mistake::SidecarLeaseFromAnswer) {
            0
        } else {
            age
        };
        sidecar.lease = LS - passed;
        Some(())
    }

    /// A request that takes too long is given up. The nonce tells its answer, should it still come, from that
    /// to the next.
    pub(crate) fn give_up_sync(state: &mut State) -> Option<()> {
        when(state.sidecar.sync != Sync::None)?;
        state.sidecar.sync = Sync::None;
        Some(())
    }

    /// An event arrives on the stream. It may have lain in a buffer, so it brings no time.
    pub(crate) fn hear_event(state: &mut State, i: usize) -> Option<()> {
        let replica = &state.replicas[i];
        when(replica.life == Life::Serving && replica.applied > state.sidecar.applied)?;
        state.sidecar.apply(replica.applied);
        Some(())
    }

    /// A miss: a replica that accepts the token answers with it, and with how far it has applied.
    pub(crate) fn ask_replica(state: &mut State, i: usize) -> Option<()> {
        let replica = &state.replicas[i];
        when(state.sidecar.filling.is_none() && replica.life == Life::Serving && replica.accepts())?;
        state.sidecar.filling = Some(replica.applied);
        Some(())
    }

    /// The answer is kept unless it is older than what has been applied meanwhile.
    pub(crate) fn fill(&self, state: &mut State) -> Option<()> {
        let fence = state.sidecar.filling.take()?;
        let fresh = fence >= state.sidecar.applied || self.has(Mistake::FillWithoutFence);
        state.sidecar.cached |= fresh;
        Some(())
    }
}
