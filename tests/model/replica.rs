//! A replica: JOIN, RENEW, apply, VERIFY, LEAVE.

use crate::mistakes::Mistake;
use crate::protocol::{Connection, Protocol, when};
use crate::state::{Facts, L, Life, Member, Node, Renewal, Replica, Revision, State, Verify};

impl Protocol {
    /// JOIN. The row is committed before the head is read for the first time, or Revoke could answer
    /// without having heard of a replica that knows nothing of the revocation. It starts at the head, and
    /// drops what it has cached in the same instant: a look-up that was under way would fill a cache dropped
    /// any earlier with what nobody will evict. (To go on from where it was, cache and all, would do as well.)
    pub(crate) fn join(&self, state: &mut State, i: usize) -> Option<()> {
        let replica = &mut state.replicas[i];
        when(replica.life == Life::Outside && replica.nodes.renewals == Node::Primary)?;
        if self.has(Mistake::HeadReadWhileJoining) {
            replica.life = Life::Joining;
            replica.applied = state.head;
            replica.lease = L;
            return Some(());
        }
        state.members[i] = Some(Member {
            acked: Revision::Before,
            unheard: None,
        });
        let start = state.head_on(state.replicas[i].nodes.journal);
        let replica = &mut state.replicas[i];
        replica.life = Life::Serving;
        if self.has(Mistake::JoinGoesOn) {
            return Some(());
        }
        replica.applied = start;
        replica.cached &= self.has(Mistake::JoinKeepsCache) || self.has(Mistake::JoinDropsCacheTooEarly);
        if self.has(Mistake::JoinForgetsFence) {
            state
                .verify
                .iter_mut()
                .for_each(|verify| verify.pass_off_as(start));
        }
        Some(())
    }

    /// The row becomes visible, too late.
    pub(crate) fn commit_join(state: &mut State, i: usize) -> Option<()> {
        when(state.replicas[i].life == Life::Joining)?;
        state.replicas[i].life = Life::Serving;
        state.members[i] = Some(Member {
            acked: Revision::Before,
            unheard: None,
        });
        Some(())
    }

    /// The journal may be read and applied at any time. That alone extends nothing: what was read may be old.
    pub(crate) fn apply_journal(state: &mut State, i: usize) -> Option<()> {
        let journal = state.head_on(state.replicas[i].nodes.journal);
        let replica = &mut state.replicas[i];
        when(replica.life == Life::Serving && journal > replica.applied)?;
        replica.apply(journal);
        Some(())
    }

    /// RENEW, part one: note the time, then send. It acknowledges what has been applied by now; nothing else
    /// ever publishes an acknowledgement.
    pub(crate) fn send_renewal(state: &mut State, i: usize) -> Option<()> {
        let replica = &mut state.replicas[i];
        when(replica.life == Life::Serving && replica.renewal == Renewal::None)?;
        replica.renewal = Renewal::Sent {
            age: 0,
            acked: replica.applied,
        };
        Some(())
    }

    /// RENEW, part two, in the store: one statement writes beat and acknowledgement and reads the head. A
    /// deposed primary cannot complete it.
    pub(crate) fn execute_renewal(&self, state: &mut State, i: usize) -> Option<()> {
        let Renewal::Sent { age, acked } = state.replicas[i].renewal else {
            return None;
        };
        let node = state.replicas[i].nodes.renewals;
        let head = state.head_on(node);
        let head = match (node, &mut state.members[i]) {
            (Node::Primary, Some(member)) => {
                member.unheard = None;
                member.acked = if self.has(Mistake::AckBeforeApply) {
                    head
                } else {
                    acked
                };
                Some(head)
            }
            (Node::Primary, None) => None,
            (Node::Deposed, _) => {
                when(self.has(Mistake::RenewalIsRead))?;
                Some(head)
            }
        };
        state.replicas[i].renewal = Renewal::Answered { age, head };
        Some(())
    }

    /// RENEW, part three: apply the journal up to the head of the answer, and only then take the lease,
    /// counted from before the request. What was applied is acknowledged by the next renewal, sent at once.
    /// Without a row nobody waits for this replica: it refuses until it has joined again.
    pub(crate) fn take_answer(&self, state: &mut State, i: usize) -> Option<()> {
        let journal = state.head_on(state.replicas[i].nodes.journal);
        let replica = &mut state.replicas[i];
        let Renewal::Answered { age, head } = replica.renewal else {
            return None;
        };
        replica.renewal = Renewal::None;
        let Some(head) = head else {
            replica.life = Life::Outside;
            replica.lease = 0;
            replica.cached &= !self.has(Mistake::JoinDropsCacheTooEarly);
            return Some(());
        };
        if !self.has(Mistake::LeaseBeforeApply) && head > replica.applied {
            replica.apply(journal);
        }
        let told = head <= replica.applied
            || self.has(Mistake::LeaseBeforeApply)
            || self.has(Mistake::LeaseAlthoughBehind);
        if told {
            let passed = if self.has(Mistake::LeaseFromAnswer) {
                0
            } else {
                age
            };
            replica.lease = L - passed;
        }
        Some(())
    }

    /// A renewal that takes too long is given up; whether it was executed is not known.
    pub(crate) fn give_up_renewal(state: &mut State, i: usize) -> Option<()> {
        when(state.replicas[i].renewal != Renewal::None)?;
        state.replicas[i].renewal = Renewal::None;
        Some(())
    }

    /// VERIFY, asked: only under a lease, in whatever state of life. Facts come from the cache, else from the store; those of a strong
    /// Verify always from the store. Facts that say "revoked" are refused, and no more is heard of them.
    pub(crate) fn ask(&self, state: &mut State, i: usize, strong: bool) -> Option<()> {
        let replica = &state.replicas[i];
        when(state.verify.is_none() && replica.life != Life::Outside)?;
        when(replica.lease > 0 || self.needs_no_lease(strong))?;
        let facts = if replica.cached && !strong {
            when(replica.lease > 0)?;
            Facts::Cached
        } else {
            let head = state.head_on(replica.nodes.look_ups);
            when(head == Revision::Before)?;
            // Row and head are read in one statement.
            let fence = (!self.has(Mistake::FenceReadAfterRow)).then_some(head);
            Facts::Read { fence, strong }
        };
        state.verify = Some(Verify {
            replica: i,
            facts,
            applied: replica.applied,
            after_revoke: state.revoke.is_answered(),
        });
        Some(())
    }

    /// The second statement of a look-up that should have been one.
    pub(crate) fn read_fence(state: &mut State) -> Option<()> {
        let head = state.head_on(state.replicas[state.verify?.replica].nodes.look_ups);
        let Facts::Read { fence, .. } = &mut state.verify.as_mut()?.facts else {
            return None;
        };
        when(fence.is_none())?;
        *fence = Some(head);
        Some(())
    }

    /// VERIFY, answered: the lease is looked at again, and what was read may not be older than what had been
    /// applied when it was asked, for the connection that reads may lead to a deposed primary. The cache takes
    /// it unless it is older than what has been applied by now.
    pub(crate) fn answer(&self, state: &mut State) -> Option<()> {
        let verify = state.verify.take()?;
        let replica = &mut state.replicas[verify.replica];
        let (fresh, leased) = match verify.facts {
            Facts::Cached => (true, replica.lease > 0 || self.has(Mistake::LeaseNotCheckedAgain)),
            Facts::Read { fence, strong } => {
                let fence = fence?;
                if !strong && (fence >= replica.applied || self.has(Mistake::FillWithoutFence)) {
                    replica.cached = true;
                }
                (
                    fence >= verify.applied || self.has(Mistake::AnswerBelowFence),
                    replica.lease > 0 || self.needs_no_lease(strong),
                )
            }
        };
        if fresh && leased {
            state.seen.accepted_after_revoke |= verify.after_revoke;
            state.seen.accepted_without_lease |= replica.lease == 0;
        }
        Some(())
    }

    fn needs_no_lease(&self, strong: bool) -> bool {
        self.has(if strong {
            Mistake::StrongWithoutLease
        } else {
            Mistake::ReadThroughWithoutLease
        })
    }

    /// LEAVE, part one: the lease is dropped, and whatever is under way can bring no other.
    pub(crate) fn leave(&self, state: &mut State, i: usize) -> Option<()> {
        let replica = &mut state.replicas[i];
        when(replica.life == Life::Serving)?;
        replica.life = Life::Leaving;
        if !self.has(Mistake::LeavesBeforeLeaseIsDropped) {
            replica.lease = 0;
        }
        if !self.has(Mistake::LeavingTakesLease) {
            replica.renewal = Renewal::None;
        }
        Some(())
    }

    /// LEAVE, part two: nothing is accepted here any more, so nobody needs to wait.
    pub(crate) fn remove_own_row(state: &mut State, i: usize) -> Option<()> {
        when(state.replicas[i].life == Life::Leaving && state.members[i].is_some())?;
        when(state.replicas[i].nodes.renewals == Node::Primary)?;
        state.members[i] = None;
        Some(())
    }

    /// The process ends, and may be started again: after LEAVE, or at any time.
    pub(crate) fn end(&self, state: &mut State, i: usize) -> Option<()> {
        let Replica { life, nodes, .. } = state.replicas[i];
        when(life == Life::Leaving || self.crashes && life != Life::Outside)?;
        state.replicas[i] = Replica::outside(nodes);
        state.verify = state.verify.filter(|verify| verify.replica != i);
        Some(())
    }

    /// A connection to the deposed primary breaks at last, with what was under way on it.
    pub(crate) fn reconnect(state: &mut State, i: usize, connection: Connection) -> Option<()> {
        let replica = &mut state.replicas[i];
        let node = match connection {
            Connection::Renewals => &mut replica.nodes.renewals,
            Connection::Journal => &mut replica.nodes.journal,
            Connection::LookUps => &mut replica.nodes.look_ups,
        };
        when(*node == Node::Deposed)?;
        *node = Node::Primary;
        if connection == Connection::Renewals {
            replica.renewal = Renewal::None;
        }
        Some(())
    }
}

impl Verify {
    /// Passes facts off as newer than they are.
    fn pass_off_as(&mut self, revision: Revision) {
        if let Facts::Read { fence, .. } = &mut self.facts {
            *fence = Some(revision);
        }
    }
}
