//! The protocol that makes a revocation hold everywhere, checked in every state it can reach.
//!
//! Replicas keep tokens in a cache and serve under a lease. Revoke answers OK once every member has
//! acknowledged it or every lease granted before it is over. Read `state.rs` for what there is,
//! `replica.rs`, `revoke.rs` and `sidecar.rs` for what each may do and why, `properties.rs` for what comes
//! of it. Each step there stands for one message, one statement or one instant, and any of them may happen
//! between any two others, or never.
//!
//! Every line of the protocol has a mistake in `mistakes.rs` that leaves it out, and a test that finds the
//! run in which a revoked token is accepted. So no line can go unnoticed, and none is there for nothing.
//!
//! Not in the model: clocks that run at different rates, for which leases are waited out 1 % longer; a virtual
//! machine that is paused without its clock showing it; a primary that loses what it acknowledged; more than
//! one failover, and more than one revocation.
//!
//! `TOKENWARD_TEST_FULL=1` checks the larger fleets too: minutes, in release.

mod mistakes;
mod properties;
mod protocol;
mod replica;
mod revoke;
mod sidecar;
mod state;

use stateright::{Checker, HasDiscoveries, Model, Path};

use mistakes::Mistake;
use properties::{ACK_IS_KEPT, CACHE_IS_FRESH, LEASE_KNOWS, NO_WRONG_YES, NO_YES_UNLEASED, SIDECAR_BOUND};
use protocol::Protocol;

/// Two replicas, and nothing goes wrong but messages and timing.
const FLEET: Protocol = Protocol {
    replicas: 2,
    crashes: false,
    leaves: false,
    gc: false,
    failover: false,
    strong: false,
    sidecar: false,
    one_instant: false,
    mistake: None,
};

/// One replica. Whoever revokes is somebody else, so most can be seen here.
const ALONE: Protocol = Protocol { replicas: 1, ..FLEET };

/// One replica, and all that can happen to it.
const REPLICA: Protocol = Protocol {
    replicas: 1,
    crashes: true,
    leaves: true,
    gc: true,
    failover: true,
    strong: true,
    ..FLEET
};

/// A sidecar of one replica.
const SIDECAR: Protocol = Protocol {
    replicas: 1,
    crashes: true,
    sidecar: true,
    ..FLEET
};

#[test]
fn a_replica_to_which_everything_happens() {
    holds(REPLICA);
}

#[test]
fn a_fleet_whose_members_come_and_go() {
    holds(Protocol {
        crashes: true,
        leaves: true,
        ..FLEET
    });
}

#[test]
fn a_sidecar_of_one_replica() {
    holds(SIDECAR);
}

#[test]
fn a_fleet_with_failover_in_full() {
    holds_in_full(Protocol {
        crashes: true,
        gc: true,
        failover: true,
        ..FLEET
    });
}

#[test]
fn a_sidecar_of_a_fleet_with_failover_in_full() {
    holds_in_full(Protocol {
        failover: true,
        sidecar: true,
        one_instant: true,
        ..FLEET
    });
}

#[test]
fn a_sidecar_of_a_fleet_that_crashes_in_full() {
    holds_in_full(Protocol {
        crashes: true,
        sidecar: true,
        ..FLEET
    });
}

#[test]
fn a_sidecar_of_a_replica_to_which_everything_happens_in_full() {
    holds_in_full(Protocol {
        sidecar: true,
        ..REPLICA
    });
}

/// Explores every state that can be reached: there is neither a depth nor a time at which it gives up.
#[expect(
    clippy::print_stdout,
    reason = "how much was checked is what one runs this for"
)]
fn holds(protocol: Protocol) {
    let checker = protocol.checker().spawn_bfs().join();
    assert!(checker.is_done());
    println!(
        "{protocol:?}: {} states, {} steps deep",
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

fn holds_in_full(protocol: Protocol) {
    if std::env::var_os("TOKENWARD_TEST_FULL").is_some() {
        holds(protocol);
    }
}

/// Finds the shortest run in which `mistake` breaks `property`: it has `steps` steps.
#[expect(clippy::print_stdout, reason = "the run shows why the line is there")]
fn breaks(protocol: Protocol, mistake: Mistake, property: &'static str, steps: usize) {
    let protocol = Protocol {
        mistake: Some(mistake),
        ..protocol
    };
    // A limit of depth, since a run found with none need not be the shortest.
    let found_within = |steps: usize| {
        let checker = protocol
            .checker()
            // The depth counts states, and those at the limit are not looked at.
            .target_max_depth(steps + 2)
            .finish_when(HasDiscoveries::AnyOf([property].into()))
            .spawn_bfs()
            .join();
        checker.discovery(property).map(Path::into_actions)
    };
    let run = found_within(steps);
    assert!(run.is_some(), "{mistake:?} is not found within {steps} steps");
    println!("{mistake:?}, {steps} steps: {run:?}");
    assert!(found_within(steps - 1).is_none(), "{mistake:?} is found sooner");
}

macro_rules! mistakes {
    ($($test:ident: $mistake:ident in $protocol:ident breaks $property:ident in $steps:literal;)*) => {$(
        #[test]
        fn $test() {
            breaks($protocol, Mistake::$mistake, $property, $steps);
        }
    )*};
}

mistakes! {
    revoke_must_wait: RevokeDoesNotWait in ALONE breaks NO_WRONG_YES in 8;
    revoke_must_wait_for_a_whole_lease: WaitsTooShort in ALONE breaks NO_WRONG_YES in 9;
    the_wait_begins_after_the_commit: WaitsFromBeforeCommit in ALONE breaks NO_WRONG_YES in 11;
    members_are_read_after_the_commit: MembersReadBeforeCommit in ALONE breaks NO_WRONG_YES in 8;
    members_are_read_on_the_primary: MembersReadOnDeposed in REPLICA breaks NO_WRONG_YES in 10;
    a_repeated_revoke_must_wait: RepeatedRevokeDoesNotWait in ALONE breaks NO_WRONG_YES in 9;

    the_row_is_committed_before_the_head_is_read: HeadReadWhileJoining in ALONE breaks NO_WRONG_YES in 5;
    a_cache_does_not_outlive_a_start_at_the_head: JoinKeepsCache in REPLICA breaks NO_WRONG_YES in 19;
    the_cache_is_dropped_where_the_start_is_set: JoinDropsCacheTooEarly in REPLICA breaks NO_WRONG_YES in 19;
    a_look_up_under_way_keeps_its_fence: JoinForgetsFence in REPLICA breaks NO_WRONG_YES in 19;
    a_lease_counts_from_before_the_request: LeaseFromAnswer in ALONE breaks NO_WRONG_YES in 13;
    the_journal_is_applied_before_the_lease: LeaseBeforeApply in ALONE breaks NO_WRONG_YES in 13;
    the_journal_is_applied_up_to_the_head: LeaseAlthoughBehind in REPLICA breaks NO_WRONG_YES in 10;
    a_renewal_is_a_write: RenewalIsRead in REPLICA breaks NO_WRONG_YES in 11;
    only_what_is_applied_is_acknowledged: AckBeforeApply in ALONE breaks ACK_IS_KEPT in 9;
    a_member_is_removed_after_its_lease: RemovedTooEarly in REPLICA breaks NO_WRONG_YES in 10;
    the_lease_is_dropped_before_the_row: LeavesBeforeLeaseIsDropped in REPLICA breaks NO_WRONG_YES in 10;
    who_leaves_takes_no_lease: LeavingTakesLease in REPLICA breaks NO_WRONG_YES in 10;

    a_fill_is_not_older_than_what_is_applied: FillWithoutFence in ALONE breaks NO_WRONG_YES in 11;
    an_answer_is_not_older_than_what_is_applied: AnswerBelowFence in REPLICA breaks NO_WRONG_YES in 11;
    row_and_head_are_read_at_once: FenceReadAfterRow in ALONE breaks NO_WRONG_YES in 12;
    a_miss_needs_a_lease: ReadThroughWithoutLease in REPLICA breaks NO_WRONG_YES in 7;
    a_strong_read_needs_a_lease: StrongWithoutLease in REPLICA breaks NO_WRONG_YES in 7;
    the_lease_is_checked_when_the_answer_is_ready: LeaseNotCheckedAgain in ALONE breaks NO_YES_UNLEASED in 10;

    a_sidecar_counts_from_before_the_request: SidecarLeaseFromAnswer in SIDECAR breaks SIDECAR_BOUND in 17;
    only_a_replica_under_a_lease_answers_sync: SyncWithoutLease in SIDECAR breaks SIDECAR_BOUND in 17;

    // The properties that those rest on can be broken too.
    a_lease_knows_of_what_was_answered: LeaseAlthoughBehind in REPLICA breaks LEASE_KNOWS in 8;
    a_cache_is_as_fresh_as_what_is_applied: FillWithoutFence in ALONE breaks CACHE_IS_FRESH in 8;
}

#[test]
fn a_sidecar_that_goes_back_only_flickers() {
    holds(Protocol {
        mistake: Some(Mistake::SidecarGoesBack),
        ..SIDECAR
    });
}

#[test]
fn a_sidecar_that_goes_back_from_one_replica_to_another_only_flickers_in_full() {
    holds_in_full(Protocol {
        replicas: 2,
        one_instant: true,
        mistake: Some(Mistake::SidecarGoesBack),
        ..SIDECAR
    });
}

#[test]
fn a_replica_that_joins_again_may_go_on_from_where_it_was() {
    holds(Protocol {
        mistake: Some(Mistake::JoinGoesOn),
        ..REPLICA
    });
}
