//! What there is: the store, the replicas, a sidecar, and one Revoke, at one instant.
//!
//! One token and one revocation are enough: everything the protocol compares is older or not older than
//! that one entry. Time is relative and stops counting once it no longer matters, so that the states are
//! finitely many although runs are endless.

pub(crate) const REPLICAS: usize = 2;

/// How long a lease lasts, in ticks.
pub(crate) const L: u8 = 2;
/// How long a sidecar may use its cache after it was told that the cache is current, in ticks.
pub(crate) const LS: u8 = 2;

/// Ticks since something, counted up to where they cease to matter.
pub(crate) type Age = u8;

/// How much of the journal: up to before the revocation, or with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Revision {
    Before,
    Revoked,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    pub(crate) head: Revision,
    /// Each replica's row. A row that an earlier life of the replica left behind is not kept: it can only make
    /// Revoke wait longer.
    pub(crate) members: [Option<Member>; REPLICAS],
    pub(crate) deposed: Option<Deposed>,
    pub(crate) replicas: [Replica; REPLICAS],
    /// At most one Verify is under way: two share nothing but the cache.
    pub(crate) verify: Option<Verify>,
    pub(crate) revoke: Revoke,
    pub(crate) sidecar: Sidecar,
    pub(crate) seen: Seen,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Member {
    /// Up to here everything is in force there.
    pub(crate) acked: Revision,
    /// Somebody looked at the beat so long ago, and it is still the same.
    pub(crate) unheard: Option<Age>,
}

/// A former primary that does not know it yet. It commits nothing any more, and shows what it had: nothing
/// of the revocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Deposed {
    /// Whether its list of members was empty.
    pub(crate) without_members: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Node {
    Primary,
    Deposed,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Replica {
    pub(crate) life: Life,
    pub(crate) applied: Revision,
    /// What is left of the lease; without one it refuses to judge.
    pub(crate) lease: Age,
    /// The cache holds the token, as it was before the revocation.
    pub(crate) cached: bool,
    pub(crate) renewal: Renewal,
    pub(crate) nodes: Nodes,
}

/// Where the connections lead: renewals, the journal and look-ups have their own, and not all need to have
/// heard of a new primary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Nodes {
    pub(crate) renewals: Node,
    pub(crate) journal: Node,
    pub(crate) look_ups: Node,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Life {
    /// Not started, or told that it has no row any more.
    Outside,
    /// It has inserted its row, which nobody sees yet.
    Joining,
    Serving,
    /// It shuts down: it renews no more.
    Leaving,
}

/// A RENEW under way. Messages take any time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Renewal {
    None,
    /// Sent so long ago; it carries what was applied by then.
    Sent {
        age: Age,
        acked: Revision,
    },
    /// Answered with the head, on its way back. No head: there is no row.
    Answered {
        age: Age,
        head: Option<Revision>,
    },
}

/// A Verify of the token that has found it good, and is to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Verify {
    pub(crate) replica: usize,
    pub(crate) facts: Facts,
    /// What the replica had applied when it was asked.
    pub(crate) applied: Revision,
    /// It was asked after Revoke had answered.
    pub(crate) after_revoke: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Facts {
    Cached,
    /// From the store; `fence` is the head that was read with them. `None`: it has yet to be read.
    Read {
        fence: Option<Revision>,
        strong: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Revoke {
    NotCalled,
    /// Only with a mistake: something was looked at before the commit.
    Called {
        age: Age,
        without_members: bool,
    },
    /// Waits, since the commit or since the call was repeated.
    Committed {
        waited: Age,
    },
    /// Whoever waited has crashed.
    Abandoned,
    /// OK.
    Answered {
        ago: Age,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Sidecar {
    pub(crate) applied: Revision,
    pub(crate) lease: Age,
    pub(crate) cached: bool,
    pub(crate) sync: Sync,
    /// A replica was asked for the token and has answered with what it was as of this revision.
    pub(crate) filling: Option<Revision>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Sync {
    None,
    Sent { age: Age },
    Answered { age: Age, applied: Revision },
}

/// What clients have been told that they must never be told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Seen {
    pub(crate) accepted_after_revoke: bool,
    pub(crate) accepted_without_lease: bool,
}

impl State {
    /// A store without members; nothing runs.
    pub(crate) fn new() -> State {
        State {
            head: Revision::Before,
            members: [None; REPLICAS],
            deposed: None,
            replicas: [Replica::outside(Nodes::all(Node::Primary)); REPLICAS],
            verify: None,
            revoke: Revoke::NotCalled,
            sidecar: Sidecar {
                applied: Revision::Before,
                lease: 0,
                cached: false,
                sync: Sync::None,
                filling: None,
            },
            seen: Seen {
                accepted_after_revoke: false,
                accepted_without_lease: false,
            },
        }
    }

    /// The head, and thereby the state of the token, as `node` shows it.
    pub(crate) fn head_on(&self, node: Node) -> Revision {
        match node {
            Node::Primary => self.head,
            Node::Deposed => Revision::Before,
        }
    }

    /// Time passes: everything under way grows older, every lease shorter.
    pub(crate) fn tick(&mut self) {
        for unheard in self.members.iter_mut().flatten().flat_map(|row| &mut row.unheard) {
            older(unheard, L);
        }
        for replica in &mut self.replicas {
            replica.lease = replica.lease.saturating_sub(1);
            match &mut replica.renewal {
                Renewal::None => {}
                Renewal::Sent { age, .. } | Renewal::Answered { age, .. } => older(age, L),
            }
        }
        match &mut self.revoke {
            Revoke::NotCalled | Revoke::Abandoned => {}
            Revoke::Called { age, .. } => older(age, L),
            Revoke::Committed { waited } => older(waited, L),
            Revoke::Answered { ago } => older(ago, LS),
        }
        self.sidecar.lease = self.sidecar.lease.saturating_sub(1);
        match &mut self.sidecar.sync {
            Sync::None => {}
            Sync::Sent { age } | Sync::Answered { age, .. } => older(age, LS),
        }
    }
}

fn older(age: &mut Age, cap: Age) {
    *age = cap.min(*age + 1);
}

impl Nodes {
    pub(crate) fn all(node: Node) -> Nodes {
        Nodes {
            renewals: node,
            journal: node,
            look_ups: node,
        }
    }
}

impl Replica {
    pub(crate) fn outside(nodes: Nodes) -> Replica {
        Replica {
            life: Life::Outside,
            applied: Revision::Before,
            lease: 0,
            cached: false,
            renewal: Renewal::None,
            nodes,
        }
    }

    /// Whether it would accept the token out of its cache.
    pub(crate) fn accepts(self) -> bool {
        self.cached && self.lease > 0
    }

    /// Applies the journal as far as `to`: evicts what changed.
    pub(crate) fn apply(&mut self, to: Revision) {
        if to > self.applied {
            self.applied = to;
            self.cached = false;
        }
    }
}

impl Sidecar {
    pub(crate) fn accepts(self) -> bool {
        self.cached && self.lease > 0
    }

    pub(crate) fn apply(&mut self, to: Revision) {
        if to > self.applied {
            self.applied = to;
            self.cached = false;
        }
    }
}

impl Revoke {
    pub(crate) fn is_answered(self) -> bool {
        matches!(self, Revoke::Answered { .. })
    }
}
