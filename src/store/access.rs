//! Judged calls on record. They are evidence beside the journal, and the one place where personal data of those who call
//! is kept: nothing that is judged rests on them, and they can all be forgotten.

use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;
use crate::token::access::{AccessId, AccessRecord};
use crate::token::id::{Slug, TokenId};
use crate::token::text::Subject;
use crate::token::time::Timestamp;

/// The most records of one transaction: what a writer of the journal waits for is short.
pub const KEEP_MAX: usize = 500;

/// The keeper of access logs. Every sentence here is a law in `store/laws`.
#[async_trait]
pub trait AccessStore {
    /// Keeps records, at most [`KEEP_MAX`], in one transaction. One whose id is kept already changes nothing, so that an
    /// error, which says nothing about them, can be followed by another try with the same ones.
    async fn keep_access(&self, records: Arc<[AccessRecord]>) -> Result<(), StoreError>;

    /// The next records of a log, newest first, at most [`super::READ_MAX`].
    async fn access(&self, walk: Walk) -> Result<Vec<AccessRecord>, StoreError>;

    /// Forgets records of before `until`, [`super::SWEEP_MAX`] at once; how many. Which first is not said.
    async fn erase_access(&self, of: AccessOf, until: Timestamp) -> Result<u64, StoreError>;

    /// Makes room for the records of today and tomorrow, and may forget many of before `until` at once: of any log, and
    /// none that is younger.
    async fn tend_access(&self, now: Timestamp, until: Timestamp) -> Result<(), StoreError>;
}

/// Whose records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessOf {
    pub namespace: Slug,
    pub holder: Option<Holder>,
}

/// Whose of a namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Holder {
    Token(TokenId),
    Subject(Subject),
}

/// A way through a log, from newer to older.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walk {
    pub of: AccessOf,
    /// None that is older.
    pub from: Timestamp,
    /// Where it goes on.
    pub before: AccessPlace,
    pub limit: u32,
}

/// Where a walk is: every record after it is of before, or has a lower id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AccessPlace {
    pub time: Timestamp,
    pub id: AccessId,
}

impl AccessPlace {
    /// Before this instant.
    pub fn before(time: Timestamp) -> AccessPlace {
        AccessPlace {
            time,
            id: AccessId::from_bytes([0; 16]),
        }
    }

    pub fn of(record: &AccessRecord) -> AccessPlace {
        AccessPlace {
            time: record.time,
            id: record.id,
        }
    }
}

impl AccessOf {
    pub(super) fn has(&self, record: &AccessRecord) -> bool {
        self.namespace == record.namespace
            && match &self.holder {
                None => true,
                Some(Holder::Token(id)) => record.token_id == Some(*id),
                Some(Holder::Subject(subject)) => record.subject.as_ref() == Some(subject),
            }
    }
}
