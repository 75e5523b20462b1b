//! The protocol as a machine: every step that the fleet, the network and the store can take.

use stateright::{Model, Property};

use crate::mistakes::Mistake;
use crate::properties::properties;
use crate::state::{Deposed, Node, Nodes, Revision, State};

/// The protocol, with what may happen in it and what is wrong with it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing that may happen or not"
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    /// How many replicas there are; at most [`REPLICAS`](crate::state::REPLICAS).
    pub(crate) replicas: usize,
    /// Replicas crash, at any time and any number of times.
    pub(crate) crashes: bool,
    /// Replicas leave.
    pub(crate) leaves: bool,
    /// Members are removed that have not been heard of.
    pub(crate) gc: bool,
    /// Once, the primary is deposed, and replica 0 stays connected to it.
    pub(crate) failover: bool,
    /// Strong reads are asked for.
    pub(crate) strong: bool,
    pub(crate) sidecar: bool,
    /// A Verify is asked and answered in one instant, which spares states.
    pub(crate) one_instant: bool,
    pub(crate) mistake: Option<Mistake>,
}

/// A number is that of a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Tick,
    Join(usize),
    CommitJoin(usize),
    ApplyJournal(usize),
    SendRenewal(usize),
    ExecuteRenewal(usize),
    TakeAnswer(usize),
    GiveUpRenewal(usize),
    Ask(usize),
    AskStrong(usize),
    ReadFence,
    Answer,
    Leave(usize),
    RemoveOwnRow(usize),
    End(usize),
    Reconnect(usize, Connection),
    CallRevoke,
    CommitRevoke,
    HearFromAll,
    WaitOut,
    AbandonRevoke,
    RepeatRevoke,
    NoteBeat(usize),
    RemoveMember(usize),
    FailOver,
    SendSync,
    AnswerSync(usize),
    TakeSync,
    GiveUpSync,
    HearEvent(usize),
    AskReplica(usize),
    Fill,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Connection {
    Renewals,
    Journal,
    LookUps,
}

/// The guard of a step.
pub(crate) fn when(condition: bool) -> Option<()> {
    condition.then_some(())
}

impl Protocol {
    pub(crate) fn has(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// A standby becomes the primary. Replication is synchronous, so it has all that was acknowledged; only a
    /// failover before the revocation leaves a node behind that does not show it.
    fn fail_over(state: &mut State) -> Option<()> {
        when(state.deposed.is_none() && state.head == Revision::Before)?;
        state.deposed = Some(Deposed {
            without_members: state.members.iter().all(Option::is_none),
        });
        state.replicas[0].nodes = Nodes::all(Node::Deposed);
        Some(())
    }

    /// Takes the step if it is possible.
    fn take(&self, state: &mut State, step: Step) -> Option<()> {
        match step {
            Step::Tick => state.tick(),
            Step::Join(i) => self.join(state, i)?,
            Step::CommitJoin(i) => Protocol::commit_join(state, i)?,
            Step::ApplyJournal(i) => Protocol::apply_journal(state, i)?,
            Step::SendRenewal(i) => Protocol::send_renewal(state, i)?,
            Step::ExecuteRenewal(i) => self.execute_renewal(state, i)?,
            Step::TakeAnswer(i) => self.take_answer(state, i)?,
            Step::GiveUpRenewal(i) => Protocol::give_up_renewal(state, i)?,
            Step::Ask(i) => {
                self.ask(state, i, false)?;
                if self.one_instant {
                    self.answer(state)?;
                }
            }
            Step::AskStrong(i) => self.ask(state, i, true)?,
            Step::ReadFence => Protocol::read_fence(state)?,
            Step::Answer => self.answer(state)?,
            Step::Leave(i) => self.leave(state, i)?,
            Step::RemoveOwnRow(i) => Protocol::remove_own_row(state, i)?,
            Step::End(i) => self.end(state, i)?,
            Step::Reconnect(i, connection) => Protocol::reconnect(state, i, connection)?,
            Step::CallRevoke => self.call_revoke(state)?,
            Step::CommitRevoke => self.commit_revoke(state)?,
            Step::HearFromAll => self.hear_from_all(state)?,
            Step::WaitOut => self.wait_out(state)?,
            Step::AbandonRevoke => Protocol::abandon_revoke(state)?,
            Step::RepeatRevoke => self.repeat_revoke(state)?,
            Step::NoteBeat(i) => Protocol::note_beat(state, i)?,
            Step::RemoveMember(i) => self.remove_member(state, i)?,
            Step::FailOver => Protocol::fail_over(state)?,
            Step::SendSync => Protocol::send_sync(state)?,
            Step::AnswerSync(i) => self.answer_sync(state, i)?,
            Step::TakeSync => self.take_sync(state)?,
            Step::GiveUpSync => Protocol::give_up_sync(state)?,
            Step::HearEvent(i) => Protocol::hear_event(state, i)?,
            Step::AskReplica(i) => Protocol::ask_replica(state, i)?,
            Step::Fill => self.fill(state)?,
        }
        Some(())
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new()]
    }

    /// Every step there is; whether it is possible, its guard says.
    fn actions(&self, _: &State, steps: &mut Vec<Step>) {
        steps.extend([
            Step::Tick,
            Step::ReadFence,
            Step::Answer,
            Step::CallRevoke,
            Step::CommitRevoke,
            Step::HearFromAll,
            Step::WaitOut,
            Step::AbandonRevoke,
            Step::RepeatRevoke,
        ]);
        if self.failover {
            steps.push(Step::FailOver);
        }
        if self.sidecar {
            steps.extend([Step::SendSync, Step::TakeSync, Step::GiveUpSync, Step::Fill]);
        }
        for i in 0..self.replicas {
            steps.extend([
                Step::Join(i),
                Step::CommitJoin(i),
                Step::ApplyJournal(i),
                Step::SendRenewal(i),
                Step::ExecuteRenewal(i),
                Step::TakeAnswer(i),
                Step::GiveUpRenewal(i),
                Step::Ask(i),
                Step::End(i),
            ]);
            if self.strong {
                steps.push(Step::AskStrong(i));
            }
            if self.leaves {
                steps.extend([Step::Leave(i), Step::RemoveOwnRow(i)]);
            }
            if self.gc {
                steps.extend([Step::NoteBeat(i), Step::RemoveMember(i)]);
            }
            if self.failover {
                steps.extend([
                    Step::Reconnect(i, Connection::Renewals),
                    Step::Reconnect(i, Connection::Journal),
                    Step::Reconnect(i, Connection::LookUps),
                ]);
            }
            if self.sidecar {
                steps.extend([Step::AnswerSync(i), Step::HearEvent(i), Step::AskReplica(i)]);
            }
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = *state;
        self.take(&mut next, step)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Protocol>> {
        properties(self)
    }
}
