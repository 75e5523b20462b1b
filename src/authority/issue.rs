//! Issue: a new token for a subject.

use std::time::Duration;

use super::{Ask, Authority, AuthorityError, Changed, DECISIONS_MAX, Minted, Step, token_of};
use crate::clock::random;
use crate::journal::{Change, Draft, Entry, Origin};
use crate::token::Token;
use crate::token::change::{self, Refused, TokenChange};
use crate::token::id::{Slug, TokenId};
use crate::token::scope::{Labels, Scopes};
use crate::token::text::{Name, Subject};
use crate::token::time::Timestamp;

/// What is to be issued.
#[derive(Clone, Debug)]
pub struct Issue {
    pub namespace: Slug,
    pub name: Name,
    pub subject: Subject,
    pub scopes: Scopes,
    pub labels: Labels,
    pub lifetime: Lifetime,
}

/// When the token is to end.
#[derive(Clone, Copy, Debug)]
pub enum Lifetime {
    Unlimited,
    Until(Timestamp),
    For(Duration),
}

impl Authority {
    /// Issues a token, in a namespace that the caller may issue in; its secret exists in the answer and
    /// nowhere else.
    pub async fn issue(&self, ask: &Ask, issue: Issue) -> Result<Changed<Minted>, AuthorityError> {
        if let Some(entry) = self.earlier(ask).await? {
            return Err(repeated(&entry, &issue));
        }
        let directory = self.store.directory().await?.record;
        let namespace = directory
            .get(&issue.namespace)
            .ok_or_else(|| AuthorityError::NamespaceNotFound(issue.namespace.clone()))?;
        let origin = self.origin(ask);
        // A second try is for the unheard-of case that the new id is taken.
        for _ in 0..DECISIONS_MAX {
            let secret = self.mint(&namespace.format);
            let mut token = self.token_to_issue(&issue, &origin)?;
            ask.caller
                .check_passing_on(&token.namespace, &token.scopes, token.expire_time)?;
            token
                .secrets
                .push(self.keep(&namespace.format, &secret, 1, &origin));
            let change = change::issue(token).map_err(refused)?;
            let draft = Draft::of_token(origin.clone(), None, change)?;
            match self.commit(draft, token_of).await? {
                Some(Step::Done(Changed { record, cursor })) => {
                    return Ok(Changed {
                        record: Minted {
                            token: record,
                            secret,
                        },
                        cursor,
                    });
                }
                Some(Step::Repeated(entry)) => return Err(repeated(&entry, &issue)),
                None => {}
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
        } = issue.clone();
        let expire_time = match lifetime {
            Lifetime::Unlimited => None,
            Lifetime::Until(instant) => Some(instant),
            Lifetime::For(ttl) => Some(origin.time.after(ttl).map_err(|_| refused(Refused::BeyondTime))?),
        };
        Ok(Token {
            id: TokenId::new(origin.time, random(&*self.entropy)),
            namespace,
            name,
            subject,
            scopes,
            labels,
            create_time: origin.time,
            expire_time,
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

/// The token was issued before, and its secret shown; or the request id belongs to something else.
fn repeated(entry: &Entry, issue: &Issue) -> AuthorityError {
    match &entry.change {
        Change::Token {
            token_id,
            change: TokenChange::Issued(token),
            ..
        } if token.namespace == issue.namespace
            && token.name == issue.name
            && token.subject == issue.subject
            && token.scopes == issue.scopes
            && token.labels == issue.labels =>
        {
            AuthorityError::SecretAlreadyShown { token_id: *token_id }
        }
        _ => AuthorityError::RequestIdReused,
    }
}
