//! Issue: a new token for a subject.

use std::time::Duration;

use super::{Ask, Authority, AuthorityError, Changed, DECISIONS_MAX, Minted, Step, token_of};
use crate::clock::random;
use crate::journal::{Change, Draft, Entry, Origin};
use crate::token::Token;
use crate::token::change::{self, Refused, TokenChange};
use crate::token::id::{Slug, TokenId};
use crate::token::network::Networks;
use crate::token::policy::RateLimit;
use crate::token::scope::{Labels, Scopes};
use crate::token::text::{Name, Subject};
use crate::token::time::{Timestamp, TimestampOutOfRange};

/// What is to be issued.
#[derive(Clone, Debug)]
pub struct Issue {
    pub namespace: Slug,
    pub name: Name,
    pub subject: Subject,
    pub scopes: Scopes,
    pub labels: Labels,
    pub lifetime: Lifetime,
    pub networks: Option<Networks>,
    pub rate_limit: Option<RateLimit>,
}

/// When the token is to end.
#[derive(Clone, Copy, Debug)]
pub enum Lifetime {
    Unlimited,
    Until(Timestamp),
    For(Duration),
}

impl Lifetime {
    /// When a token ends that is issued at `now`; `None`: never.
    fn end(self, now: Timestamp) -> Result<Option<Timestamp>, TimestampOutOfRange> {
        match self {
            Lifetime::Unlimited => Ok(None),
            Lifetime::Until(instant) => Ok(Some(instant)),
            Lifetime::For(ttl) => now.after(ttl).map(Some),
        }
    }
}

impl Authority {
    /// Issues a token, in a namespace that the caller may issue in. Its secret is in the answer and, if there is
    /// a request id, sealed for a retry; nowhere else.
    pub async fn issue(&self, ask: &Ask, issue: Issue) -> Result<Changed<Minted>, AuthorityError> {
        match self.once(ask, self.issue_anew(ask, &issue)).await? {
            Step::Done(issued) | Step::Unchanged(issued) => Ok(issued),
            Step::Repeated(entry) => {
                let token = issued_before(&entry, &issue).ok_or(AuthorityError::RequestIdReused)?;
                // Whoever may not have it any more is not shown it again.
                ask.caller
                    .check_passing_on(&token.namespace, &token.scopes, token.expire_time)?;
                self.shown_before(ask, token.id, &entry).await
            }
        }
    }

    async fn issue_anew(&self, ask: &Ask, issue: &Issue) -> Result<Step<Minted>, AuthorityError> {
        let directory = self.store.directory().await?.record;
        let namespace = directory
            .get(&issue.namespace)
            .ok_or_else(|| AuthorityError::NamespaceNotFound(issue.namespace.clone()))?;
        let origin = self.origin(ask);
        // A second try is for the unheard-of case that the new id is taken.
        for _ in 0..DECISIONS_MAX {
            let secret = self.mint(&namespace.format);
            let mut token = self.token_to_issue(issue, &origin)?;
            ask.caller
                .check_passing_on(&token.namespace, &token.scopes, token.expire_time)?;
            token
                .secrets
                .push(self.keep(&namespace.format, &secret, 1, &origin));
            let change = change::issue(token).map_err(refused)?;
            let draft = Draft::of_token(origin.clone(), None, change)?;
            let draft = self.with_answer(ask, &secret, draft)?;
            if let Some(step) = self.commit(draft, token_of).await? {
                return Ok(step.map(|token| Minted { token, secret }));
            }
        }
        Err(AuthorityError::Contention)
    }

    fn token_to_issue(&self, issue: &Issue, origin: &Origin) -> Result<Token, AuthorityError> {
        let Issue {
            namespace,
            name,
            subject,
            scopes,
            labels,
            lifetime,
            networks,
            rate_limit,
        } = issue.clone();
        let expire_time = lifetime
            .end(origin.time)
            .map_err(|_| refused(Refused::BeyondTime))?;
        Ok(Token {
            id: TokenId::new(origin.time, random(&*self.entropy)),
            namespace,
            name,
            subject,
            scopes,
            labels,
            create_time: origin.time,
            expire_time,
            networks,
            rate_limit,
            suspension: None,
            revocation: None,
            secrets: Vec::new(),
        })
    }
}

fn refused(refused: Refused) -> AuthorityError {
    AuthorityError::Refused {
        token_id: None,
        refused,
    }
}

/// The token that `entry` issued, if it is just what is asked for.
fn issued_before<'a>(entry: &'a Entry, issue: &Issue) -> Option<&'a Token> {
    let Change::Token {
        change: TokenChange::Issued(token),
        ..
    } = &entry.change
    else {
        return None;
    };
    let same = token.namespace == issue.namespace
        && token.name == issue.name
        && token.subject == issue.subject
        && token.scopes == issue.scopes
        && token.labels == issue.labels
        && token.networks == issue.networks
        && token.rate_limit == issue.rate_limit
        && issue.lifetime.end(entry.time) == Ok(token.expire_time);
    same.then_some(token)
}
