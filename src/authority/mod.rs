//! Changing tokens and namespaces: read, decide (pure), commit.

mod bootstrap;
mod error;
mod import;
mod issue;
mod lifecycle;
mod list;
mod matching;
mod namespace;
mod plan;
mod redigest;
mod retry;
mod revoke;
mod rotate;
#[cfg(test)]
mod samples;
mod suspend;
mod subject;
mod surroundings;
#[cfg(test)]
mod tests;
mod update;
mod usage;
mod uses;
mod webhook;
mod writer;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::clock::{Clock, Entropy, random};
use crate::journal::cursor::{Cursor, Epoch};
use crate::journal::{Draft, Entry, Origin, Record, Revision, Stored};
use crate::store::{Outcome, Store};
use crate::token::caller::{Caller, Forbidden};
use crate::token::change::TokenChange;
use crate::token::format::Format;
use crate::token::id::{RequestDigest, RequestId, TokenId};
use crate::token::namespace::Namespace;
use crate::token::opaque::OpaqueKey;
use crate::token::permission::Right;
use crate::token::secret::{Peppers, Secret};
use crate::token::text::Actor;
use crate::token::time::Timestamp;
use crate::token::{KeptSecret, Token};
pub use bootstrap::BootstrapError;
pub use error::AuthorityError;
pub use import::{Import, Imported, ROWS_MAX};
pub use issue::{Issue, Lifetime};
pub use lifecycle::Told;
pub use list::{TokenPage, TokenQuery, Total};
pub use matching::{Preview, Run, SAMPLE_MAX};
pub use plan::{Matching, PLAN_KEPT};
pub use retry::ANSWER_KEPT;
pub use subject::SubjectName;
use surroundings::Surroundings;
pub use usage::UsageOf;
pub use webhook::{EndpointName, Keyed, NewEndpoint, WebhookError};
pub use writer::{Writer, WriterLoad};

/// So many times a decision is made anew because its record changed meanwhile; then the caller is told. It
/// is many, so that a revocation gets through a storm of rotations.
const DECISIONS_MAX: usize = 32;

/// Previews and runs of RevokeMatching at once; a further one is refused.
const MATCHING_MAX: usize = 4;

/// Makes every change to tokens and namespaces.
#[derive(Debug)]
pub struct Authority {
    store: Arc<dyn Store>,
    writer: Writer,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    peppers: Arc<Peppers>,
    opaque: OpaqueKey,
    epoch: Epoch,
    imports: Arc<Semaphore>,
    /// Places for those who work on many tokens at once.
    matching: Arc<Semaphore>,
}

/// Who asks for a change; `request_id` makes a retry safe, and is not kept.
#[derive(Clone, Debug)]
pub struct Ask {
    pub caller: Caller,
    pub request_id: Option<RequestId>,
}

/// What a change made, and where in the journal.
#[derive(Debug)]
pub struct Changed<T> {
    pub record: T,
    pub cursor: Cursor,
}

/// A token with the secret only its holder will have.
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct Minted {
    pub token: Token,
    pub secret: Secret,
}

impl Authority {
    pub fn new(
        store: Arc<dyn Store>,
        writer: Writer,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        peppers: Arc<Peppers>,
        epoch: Epoch,
    ) -> Authority {
        Authority {
            store,
            writer,
            clock,
            entropy,
            opaque: peppers.opaque_key(),
            peppers,
            epoch,
            imports: Arc::new(Semaphore::new(import::IMPORTS_MAX)),
            matching: Arc::new(Semaphore::new(MATCHING_MAX)),
        }
    }

    /// Where work is done that takes long, and keeps nobody from answering a call.
    pub fn runtime(&self) -> &Handle {
        self.writer.runtime()
    }

    /// The key over what is handed out to come back.
    pub fn opaque_key(&self) -> &OpaqueKey {
        &self.opaque
    }

    /// The token with this id, if `caller` may list it.
    pub async fn token(&self, caller: &Caller, id: TokenId) -> Result<Token, AuthorityError> {
        let stored = self.token_for(caller, Right::TokensList, id).await?;
        self.shown(stored.record).await
    }

    /// The token with this id, for a caller who wants to use `right` on it. One that the caller may not know
    /// of is not there.
    async fn token_for(
        &self,
        caller: &Caller,
        right: Right,
        id: TokenId,
    ) -> Result<Stored<Token>, AuthorityError> {
        let stored = self
            .store
            .token(id)
            .await?
            .ok_or(AuthorityError::TokenNotFound(id))?;
        match caller.check(right, &stored.record) {
            Ok(()) => Ok(stored),
            Err(Forbidden::Hidden) => Err(AuthorityError::TokenNotFound(id)),
            Err(Forbidden::Beyond(beyond)) => Err(beyond.into()),
        }
    }

    fn origin(&self, ask: &Ask) -> Origin {
        let time = self.clock.now();
        let request_id = match &ask.request_id {
            Some(request_id) => RequestDigest::of(request_id),
            // Chosen here it sorts by time, which keeps the journal's index of requests compact.
            None => RequestDigest::new(time, random(&*self.entropy)),
        };
        Origin {
            request_id,
            time,
            actor: ask.caller.actor(),
        }
    }

    fn mint(&self, format: &Format) -> Secret {
        format.mint(&self.peppers, &mut |bytes| self.entropy.fill(bytes))
    }

    /// What is kept of `secret`, as version `version` of its token.
    fn keep(&self, format: &Format, secret: &Secret, version: u32, origin: &Origin) -> KeptSecret {
        KeptSecret {
            version,
            digest: self.peppers.digest(secret),
            pepper: self.peppers.current().id(),
            hint: format.hint(secret),
            create_time: origin.time,
            retire_time: None,
            overlap: None,
            first_use_time: None,
            reuse_time: None,
            phc: None,
        }
    }

    /// Changes a token, if the caller has `right` over it: decides on what it is now and what is said of it elsewhere,
    /// again if it changed before it was written.
    async fn change_token(
        &self,
        (ask, right): (&Ask, Right),
        id: TokenId,
        origin: Origin,
        decide: impl Fn(&Token, &Surroundings) -> Result<Option<TokenChange>, AuthorityError>,
    ) -> Result<Step<Token>, AuthorityError> {
        for _ in 0..DECISIONS_MAX {
            let stored = self.token_for(&ask.caller, right, id).await?;
            let token = &stored.record;
            let surroundings = self.surroundings(&token.namespace, &token.subject).await?;
            let above = surroundings.above();
            let Some(change) = decide(&token.revoked_under(above), &surroundings)? else {
                // Where it is another's revocation that leaves nothing to do, that must be in force.
                let version = match above.revocation(token) {
                    Some(_) if token.revocation.is_none() => stored.version.max(surroundings.version()),
                    _ => stored.version,
                };
                let shown = token.under(above).into_owned();
                return Ok(Step::Unchanged(self.changed(shown, version)));
            };
            let draft = Draft::of_token(origin.clone(), Some(&stored), change)?;
            if let Some(step) = self.commit(draft, token_of).await? {
                return Ok(step.map(|token| token.under(above).into_owned()));
            }
        }
        Err(AuthorityError::Contention)
    }

    /// Changes a token although nobody called for it: nobody's rights are asked for. `None`: there is nothing to do.
    async fn change_unasked(
        &self,
        actor: &Actor,
        id: TokenId,
        decide: impl Fn(&Token, Timestamp) -> Option<TokenChange>,
    ) -> Result<(), AuthorityError> {
        let time = self.clock.now();
        let origin = Origin {
            request_id: RequestDigest::new(time, random(&*self.entropy)),
            time,
            actor: actor.clone(),
        };
        for _ in 0..DECISIONS_MAX {
            let stored = self.store.token(id).await?;
            let stored = stored.ok_or(AuthorityError::TokenNotFound(id))?;
            let Some(change) = decide(&stored.record, time) else {
                return Ok(());
            };
            let draft = Draft::of_token(origin.clone(), Some(&stored), change)?;
            if self.commit(draft, token_of).await?.is_some() {
                return Ok(());
            }
        }
        Err(AuthorityError::Contention)
    }

    /// Writes a draft; `None`: it conflicted, and has to be decided again.
    async fn commit<T>(
        &self,
        draft: Draft,
        record: impl Fn(&Record) -> Option<T>,
    ) -> Result<Option<Step<T>>, AuthorityError> {
        let after = record(draft.after());
        Ok(match (self.writer.commit(draft).await?, after) {
            (Outcome::Written(entry), Some(after)) => Some(Step::Done(self.changed(after, entry.revision))),
            (Outcome::Repeated(entry), _) => Some(Step::Repeated(entry)),
            (Outcome::Conflict, _) | (Outcome::Written(_), None) => None,
        })
    }

    fn changed<T>(&self, record: T, revision: Revision) -> Changed<T> {
        Changed {
            record,
            cursor: Cursor {
                epoch: self.epoch,
                revision,
            },
        }
    }
}

/// How far a change got.
#[expect(clippy::large_enum_variant, reason = "it lives for a line")]
enum Step<T> {
    Done(Changed<T>),
    /// There was nothing to do, and nothing was written.
    Unchanged(Changed<T>),
    /// The request was written before, as this entry.
    Repeated(Entry),
}

impl<T> Step<T> {
    fn map<U>(self, with: impl FnOnce(T) -> U) -> Step<U> {
        let map = |Changed { record, cursor }| Changed {
            record: with(record),
            cursor,
        };
        match self {
            Step::Done(changed) => Step::Done(map(changed)),
            Step::Unchanged(changed) => Step::Unchanged(map(changed)),
            Step::Repeated(entry) => Step::Repeated(entry),
        }
    }
}

fn namespace_of(record: &Record) -> Option<Namespace> {
    match record {
        Record::Namespace(namespace) => Some(namespace.clone()),
        Record::Token(_) | Record::Standing(_) | Record::Endpoint(_) => None,
    }
}

fn token_of(record: &Record) -> Option<Token> {
    match record {
        Record::Token(token) => Some(token.clone()),
        Record::Namespace(_) | Record::Standing(_) | Record::Endpoint(_) => None,
    }
}
