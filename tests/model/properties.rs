//! What must hold in every state, and what must be possible, or the model shows nothing.

use stateright::Property;

use crate::protocol::Protocol;
use crate::state::{LS, Node, Replica, Revision, Revoke, State};

// What is promised.
pub(crate) const NO_WRONG_YES: &str = "a Verify asked after Revoke answered OK is not accepted";
pub(crate) const SIDECAR_BOUND: &str = "a sidecar accepts no more once its time has passed since OK";
pub(crate) const NO_YES_UNLEASED: &str = "nothing is accepted without a lease";
// What that rests on.
pub(crate) const LEASE_KNOWS: &str = "once Revoke answered OK, only who knows of it has a lease";
pub(crate) const ACK_IS_KEPT: &str = "who has acknowledged the revocation does not accept";
pub(crate) const CACHE_IS_FRESH: &str = "nothing cached is older than what has been applied";

pub(crate) fn properties(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut properties = vec![
        Property::always(NO_WRONG_YES, |_, state: &State| {
            let would_accept = state.replicas.into_iter().any(Replica::accepts);
            !(state.seen.accepted_after_revoke || state.revoke.is_answered() && would_accept)
        }),
        Property::always(NO_YES_UNLEASED, |_, state: &State| {
            !state.seen.accepted_without_lease
        }),
        Property::always(SIDECAR_BOUND, |_, state: &State| {
            !(state.revoke == Revoke::Answered { ago: LS } && state.sidecar.accepts())
        }),
        Property::always(LEASE_KNOWS, |_, state: &State| {
            let mut replicas = state.replicas.iter();
            !state.revoke.is_answered()
                || replicas.all(|replica| replica.lease == 0 || replica.applied == Revision::Revoked)
        }),
        Property::always(ACK_IS_KEPT, |_, state: &State| {
            let mut pairs = state.members.iter().zip(&state.replicas);
            pairs.all(|(member, replica)| {
                !member.is_some_and(|member| member.acked == Revision::Revoked) || !replica.accepts()
            })
        }),
        Property::always(CACHE_IS_FRESH, |_, state: &State| {
            let mut replicas = state.replicas.iter();
            replicas.all(|replica| !replica.cached || replica.applied == Revision::Before)
                && !(state.sidecar.cached && state.sidecar.applied == Revision::Revoked)
        }),
        Property::sometimes("a replica accepts while Revoke waits", |_, state: &State| {
            matches!(state.revoke, Revoke::Committed { .. }) && state.replicas[0].accepts()
        }),
        Property::sometimes("OK by acknowledgement, without any wait", |_, state: &State| {
            state.revoke == Revoke::Answered { ago: 0 }
                && state.replicas[0].lease > 0
                && state.members[0].is_some_and(|row| row.acked == Revision::Revoked)
        }),
        Property::sometimes(
            "OK by waiting, although a member is behind with the token cached",
            |_, state: &State| {
                state.revoke.is_answered()
                    && state.replicas[0].cached
                    && state.members[0].is_some_and(|row| row.acked == Revision::Before)
            },
        ),
    ];
    if protocol.replicas > 1 {
        properties.push(Property::sometimes(
            "one replica knows of the revocation, another accepts",
            |_, state: &State| state.replicas[1].applied == Revision::Revoked && state.replicas[0].accepts(),
        ));
    }
    if protocol.gc {
        properties.push(Property::sometimes(
            "OK although a replica that lost its row has the token cached",
            |_, state: &State| {
                state.revoke.is_answered() && state.replicas[0].cached && state.members[0].is_none()
            },
        ));
    }
    if protocol.failover {
        properties.push(Property::sometimes(
            "OK although a replica waits for a deposed primary",
            |_, state: &State| {
                state.revoke.is_answered()
                    && state.replicas[0].nodes.renewals == Node::Deposed
                    && state.replicas[0].cached
            },
        ));
    }
    if protocol.failover && !protocol.one_instant {
        properties.push(Property::sometimes(
            "under a lease, a deposed primary is read",
            |_, state: &State| {
                state.revoke.is_answered()
                    && state.replicas[0].lease > 0
                    && state.replicas[0].nodes.look_ups == Node::Deposed
                    && (state.verify).is_some_and(|verify| verify.replica == 0 && verify.after_revoke)
            },
        ));
    }
    if protocol.sidecar {
        properties.extend([
            Property::sometimes(
                "a sidecar accepts after OK, within its time",
                |_, state: &State| {
                    state.revoke == Revoke::Answered { ago: LS - 1 } && state.sidecar.accepts()
                },
            ),
            Property::sometimes(
                "a sidecar is under way again after its time was over",
                |_, state: &State| {
                    state.revoke == Revoke::Answered { ago: LS }
                        && state.sidecar.lease > 0
                        && state.sidecar.applied == Revision::Revoked
                },
            ),
        ]);
    }
    properties
}
