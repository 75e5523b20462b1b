//! Rows as the statements of a commit take them.

use std::borrow::Cow;

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::super::StoreError;
use super::super::batch::TokenRow;
use crate::journal::{Entry, Revision};
use crate::token::Token;
use crate::token::answer::SealedAnswer;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::secret::PepperId;
use crate::token::text::{Actor, Subject};
use crate::token::time::Timestamp;
use crate::token::webhook::EndpointId;

/// Rows as a statement takes them; `None`: there are none. Written as text at once: a tree of values in between would be
/// most of what a row costs here.
pub(super) fn text<T: Serialize>(rows: &[T]) -> Result<Option<String>, StoreError> {
    if rows.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(rows).map(Some).map_err(StoreError::corrupt)
}

/// A token, as [`INSERT_TOKENS`](super::commit::INSERT_TOKENS) and the like take it.
#[derive(Serialize)]
pub(super) struct TokenParameter<'a> {
    token: &'a Token,
    version: Revision,
    guard: Revision,
    mac: String,
}

impl<'a> TokenParameter<'a> {
    pub(super) fn of(row: &TokenRow<'a>) -> TokenParameter<'a> {
        TokenParameter {
            token: row.token,
            version: row.version,
            guard: row.guard,
            mac: HEXLOWER.encode(&row.mac),
        }
    }
}

/// An entry, as [`INSERT_ENTRIES`](super::commit::INSERT_ENTRIES) takes it.
#[derive(Serialize)]
pub(super) struct EntryParameter<'a> {
    revision: Revision,
    time: Timestamp,
    actor: &'a Actor,
    request_id: RequestDigest,
    kind: &'static str,
    namespace: &'a Slug,
    token_id: Option<TokenId>,
    subject: Option<&'a Subject>,
    endpoint_id: Option<EndpointId>,
    body: Cow<'a, str>,
    link: String,
}

impl<'a> EntryParameter<'a> {
    pub(super) fn of(entry: &'a Entry) -> EntryParameter<'a> {
        EntryParameter {
            revision: entry.revision,
            time: entry.time,
            actor: &entry.actor,
            request_id: entry.request_id,
            kind: entry.change.kind().as_str(),
            namespace: entry.change.namespace(),
            token_id: entry.change.token_id(),
            subject: entry.change.subject(),
            endpoint_id: entry.change.endpoint_id(),
            body: String::from_utf8_lossy(&entry.body),
            link: entry.link.to_string(),
        }
    }
}

/// A sealed answer, as [`INSERT_ANSWERS`](super::commit::INSERT_ANSWERS) takes it.
#[derive(Serialize)]
pub(super) struct AnswerParameter {
    revision: Revision,
    pepper: PepperId,
    sealed: String,
    expire_time: Timestamp,
}

impl AnswerParameter {
    pub(super) fn of((revision, answer): (Revision, &SealedAnswer)) -> AnswerParameter {
        AnswerParameter {
            revision,
            pepper: answer.pepper,
            sealed: HEXLOWER.encode(&answer.sealed),
            expire_time: answer.expire_time,
        }
    }
}
