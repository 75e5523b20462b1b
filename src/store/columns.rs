//! How revisions and links lie in SQL columns: the same in every database.

use super::StoreError;
use crate::journal::Revision;
use crate::journal::link::Link;

/// Revisions are kept in SQL's signed integers.
pub(super) fn sql(revision: Revision) -> i64 {
    i64::try_from(revision.get()).unwrap_or(i64::MAX)
}

pub(super) fn revision(sql: i64) -> Result<Revision, StoreError> {
    u64::try_from(sql)
        .map(Revision::new)
        .map_err(|_| StoreError::corrupt("a negative revision"))
}

pub(super) fn link(bytes: &[u8]) -> Result<Link, StoreError> {
    Link::from_bytes(bytes).map_err(StoreError::corrupt)
}
