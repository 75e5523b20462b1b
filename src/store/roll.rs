//! Who answers for a store that several processes share, and how far each of them has come.

use async_trait::async_trait;

use super::budgets::Budgets;
use super::member::MemberId;
use super::{Head, StoreError};
use crate::journal::{Entry, Revision};

/// The members of a fleet, one row each: what a revocation waits for.
///
/// A row is there before its member reads the head for the first time, and goes only when nothing can be
/// accepted on its behalf any more. What is shared by members alone is reached through it. Every sentence here is a law in `store/laws`.
#[async_trait]
pub trait Roll: Budgets {
    /// Adds a member that has acknowledged nothing; committed when this returns. An id is used once.
    async fn join(&self, id: MemberId, name: &str) -> Result<(), StoreError>;

    /// Says that the member lives and has applied everything up to `acked`; answers with the head as it was
    /// then. `None`: it has no row any more, and nobody waits for it. It is a write: a node that is no
    /// longer the primary cannot answer it.
    async fn renew(&self, id: MemberId, acked: Revision) -> Result<Option<Head>, StoreError>;

    /// Entries after `after`, oldest first, as [`super::Store::entries`] has them: for members alone, whose leases
    /// must not wait in line behind whoever else reads.
    async fn news(&self, after: Revision, limit: u32) -> Result<Vec<Entry>, StoreError>;

    /// Every member, by id.
    async fn members(&self) -> Result<Vec<Member>, StoreError>;

    /// Takes a member off, unless it has been heard of since it was seen like this; whether it is off.
    async fn remove(&self, seen: &Member) -> Result<bool, StoreError>;
}

/// A member, as its row shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub id: MemberId,
    /// What people know it by; several may share one.
    pub name: String,
    /// Counts its renewals.
    pub beat: u64,
    /// Everything up to this one is in force there.
    pub acked: Revision,
}
