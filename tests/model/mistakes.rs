//! What can be got wrong: each is one line of the protocol left out or changed.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mistake {
    // REVOKE
    /// Revoke answers as soon as it has committed.
    RevokeDoesNotWait,
    /// It waits one tick less than a lease lasts.
    WaitsTooShort,
    /// It counts the wait from before the commit.
    WaitsFromBeforeCommit,
    /// It waits for those who were members before the commit.
    MembersReadBeforeCommit,
    /// It asks a deposed primary who the members are.
    MembersReadOnDeposed,
    /// "Already revoked" is answered at once; the one who revoked may have crashed while waiting.
    RepeatedRevokeDoesNotWait,
    // JOIN, RENEW, GC, LEAVE
    /// The head is read in the transaction that inserts the member's row.
    HeadReadWhileJoining,
    /// A replica that joins again starts at the head with what it had cached.
    JoinKeepsCache,
    /// It drops its cache when it is told to join, but starts at the head only when it has.
    JoinDropsCacheTooEarly,
    /// Not dangerous: it keeps its cache, and applies the journal from where it was.
    JoinGoesOn,
    /// A look-up under way while a replica joins again is held only against what was evicted since.
    JoinForgetsFence,
    /// The lease is counted from the answer.
    LeaseFromAnswer,
    /// The lease is taken when the answer arrives, and the journal applied afterwards.
    LeaseBeforeApply,
    /// The journal could not be read up to the head of the answer; the lease is taken all the same.
    LeaseAlthoughBehind,
    /// A renewal is a read: a deposed primary can answer it.
    RenewalIsRead,
    /// The store notes the head it answers with as acknowledged.
    AckBeforeApply,
    /// A member is removed although its lease may last.
    RemovedTooEarly,
    /// A replica that leaves removes its row while it has a lease.
    LeavesBeforeLeaseIsDropped,
    /// A replica that leaves still takes the lease of an answer that was under way.
    LeavingTakesLease,
    // VERIFY
    /// A look-up fills the cache whatever was applied meanwhile.
    FillWithoutFence,
    /// The head is read after the row, in a statement of its own.
    FenceReadAfterRow,
    /// What was read from the store is answered although the replica has applied more than the store showed.
    AnswerBelowFence,
    /// A miss is read from the store and answered without a lease.
    ReadThroughWithoutLease,
    /// A strong Verify is read from the store and answered without a lease.
    StrongWithoutLease,
    /// The lease is not looked at again when the answer is ready.
    LeaseNotCheckedAgain,
    // SIDECAR
    /// The sidecar counts from the answer, or from an event that may have lain in a buffer.
    SidecarLeaseFromAnswer,
    /// A replica answers Sync without a lease.
    SyncWithoutLease,
    /// Not dangerous: the sidecar takes an answer that is older than what it has applied.
    SidecarGoesBack,
}
