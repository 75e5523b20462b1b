//! Why a change was not made.

use super::DECISIONS_MAX;
use super::bootstrap::CREDENTIAL_PREFIX;
use super::webhook::WebhookError;
use crate::journal::fold::Misfit;
use crate::store::StoreError;
use crate::token::answer::NotSealed;
use crate::token::breach::Breach;
use crate::token::caller::Beyond;
use crate::token::change::Refused;
use crate::token::id::{Slug, TokenId};
use crate::token::issuing::NotIssued;
use crate::token::overlap::Overlap;
use crate::token::scope::Scope;
use crate::token::time::{Span, Timestamp, spelled};

/// Why a change was not made, or why it is not known whether it was.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("there is no namespace {0}")]
    NamespaceNotFound(Slug),
    #[error("there is no token {0}")]
    TokenNotFound(TokenId),
    #[error("there is a namespace {0} already")]
    NamespaceExists(Slug),
    #[error("the prefix overlaps that of namespace {0}: a text could belong to both")]
    PrefixOverlaps(Slug),
    #[error("the prefix overlaps {CREDENTIAL_PREFIX}, which is that of credentials")]
    PrefixReserved,
    #[error("there are {max} namespaces, the most there may be")]
    TooManyNamespaces { max: usize },
    #[error("{refused}")]
    Refused {
        token_id: Option<TokenId>,
        refused: Refused,
    },
    #[error("{why}")]
    NotIssued { namespace: Slug, why: NotIssued },
    /// A rule by name, and what would be right.
    #[error("policy.{field} {what}")]
    Policy { field: &'static str, what: String },
    #[error("the token could do what the caller may not pass on: {0}")]
    NotGrantable(Scope),
    #[error("the token would live longer than the caller's own, which ends at {0}")]
    Outlives(Timestamp),
    #[error("the token speaks for another subject than the caller's own")]
    OtherSubject,
    #[error("the token has a newer secret than the one presented: rotate it with that")]
    SecretRetiring,
    #[error("tokens of namespace {0} are of the native format, which takes this service's keys to make")]
    FormatTagged(Slug),
    #[error("there are {max} imports under way at this server, as many as may be")]
    TooManyImports { max: usize },
    #[error("it has changed since the etag sent was read")]
    EtagMismatch,
    #[error("{0}")]
    Breach(Breach),
    #[error("must be at most {}, the longest overlap of the namespace", spelled(max.duration()))]
    OverlapTooLong { asked: Overlap, max: Span },
    #[error("the request id was used for another change")]
    RequestIdReused,
    #[error(
        "the request was carried out before, and its answer is not kept any more: rotate token {token_id}"
    )]
    SecretAlreadyShown { token_id: TokenId },
    #[error("the plan is damaged, of other tokens, or of another caller")]
    PlanInvalid,
    #[error("the plan is too old")]
    PlanExpired,
    #[error("{found} tokens would be revoked, not {expected}")]
    CountMismatch { expected: u64, found: u64 },
    #[error("whether tokens were used then is not known, for that is not recorded since then")]
    UsageUnknown { recorded_since: Option<Timestamp> },
    #[error("too many changes are waiting to be written")]
    Overloaded,
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
    #[error("the record changed {DECISIONS_MAX} times while the change was decided")]
    Contention,
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuthorityError {
    pub(super) fn of_token(token_id: TokenId) -> impl Fn(Refused) -> AuthorityError {
        move |refused| AuthorityError::Refused {
            token_id: Some(token_id),
            refused,
        }
    }
}

impl From<Beyond> for AuthorityError {
    fn from(beyond: Beyond) -> AuthorityError {
        match beyond {
            Beyond::Scope(scope) => AuthorityError::NotGrantable(scope),
            Beyond::Outlives(end) => AuthorityError::Outlives(end),
            Beyond::Subject => AuthorityError::OtherSubject,
            Beyond::Retiring => AuthorityError::SecretRetiring,
        }
    }
}
