//! Whoever revokes, and whoever tidies the list of members: REVOKE, GC.

use crate::mistakes::Mistake;
use crate::protocol::{Protocol, when};
use crate::state::{L, Revision, Revoke, State};

impl Protocol {
    /// Only with a mistake does Revoke do anything before its commit.
    pub(crate) fn call_revoke(&self, state: &mut State) -> Option<()> {
        when(self.has(Mistake::MembersReadBeforeCommit) || self.has(Mistake::WaitsFromBeforeCommit))?;
        when(state.revoke == Revoke::NotCalled)?;
        state.revoke = Revoke::Called {
            age: 0,
            without_members: state.members.iter().all(Option::is_none),
        };
        Some(())
    }

    /// REVOKE, part one: commit, with its entry in the journal. The wait begins when the commit has returned.
    pub(crate) fn commit_revoke(&self, state: &mut State) -> Option<()> {
        let committed = match state.revoke {
            Revoke::Called {
                without_members: true,
                ..
            } if self.has(Mistake::MembersReadBeforeCommit) => Revoke::Answered { ago: 0 },
            Revoke::Called { age, .. } if self.has(Mistake::WaitsFromBeforeCommit) => {
                Revoke::Committed { waited: age }
            }
            Revoke::NotCalled | Revoke::Called { .. } => Revoke::Committed { waited: 0 },
            Revoke::Committed { .. } | Revoke::Abandoned | Revoke::Answered { .. } => return None,
        };
        state.head = Revision::Revoked;
        state.revoke = committed;
        Some(())
    }

    /// REVOKE, part two, the fast way: OK as soon as no member is behind. The members are read after the
    /// commit, and from a node that has it.
    pub(crate) fn hear_from_all(&self, state: &mut State) -> Option<()> {
        let Revoke::Committed { .. } = state.revoke else {
            return None;
        };
        let mut members = state.members.iter().flatten();
        let deposed_list_is_empty = state.deposed.is_some_and(|node| node.without_members);
        when(
            members.all(|member| member.acked >= Revision::Revoked)
                || self.has(Mistake::MembersReadOnDeposed) && deposed_list_is_empty
                || self.has(Mistake::RevokeDoesNotWait),
        )?;
        state.revoke = Revoke::Answered { ago: 0 };
        Some(())
    }

    /// REVOKE, part two, the slow way: OK once every lease that was granted before the commit is over.
    pub(crate) fn wait_out(&self, state: &mut State) -> Option<()> {
        let Revoke::Committed { waited } = state.revoke else {
            return None;
        };
        let enough = if self.has(Mistake::WaitsTooShort) {
            L - 1
        } else {
            L
        };
        when(waited >= enough)?;
        state.revoke = Revoke::Answered { ago: 0 };
        Some(())
    }

    /// The process that waited crashes, or its client goes away: nobody was told OK.
    pub(crate) fn abandon_revoke(state: &mut State) -> Option<()> {
        when(matches!(state.revoke, Revoke::Committed { .. }))?;
        state.revoke = Revoke::Abandoned;
        Some(())
    }

    /// Revoke is called again. The token is revoked already, but not necessarily everywhere: wait again.
    pub(crate) fn repeat_revoke(&self, state: &mut State) -> Option<()> {
        when(state.revoke == Revoke::Abandoned)?;
        state.revoke = if self.has(Mistake::RepeatedRevokeDoesNotWait) {
            Revoke::Answered { ago: 0 }
        } else {
            Revoke::Committed { waited: 0 }
        };
        Some(())
    }

    /// GC, part one: somebody notes the beat of a member.
    pub(crate) fn note_beat(state: &mut State, i: usize) -> Option<()> {
        let member = state.members[i].as_mut()?;
        when(member.unheard.is_none())?;
        member.unheard = Some(0);
        Some(())
    }

    /// GC, part two: the row goes if the beat is the same after the time of a lease. Any lease was granted
    /// for a renewal that was sent before that beat, so it is over.
    pub(crate) fn remove_member(&self, state: &mut State, i: usize) -> Option<()> {
        let unheard = state.members[i]?.unheard?;
        when(unheard >= L || self.has(Mistake::RemovedTooEarly))?;
        state.members[i] = None;
        Some(())
    }
}
