//! Issue: a new token for a subject.

use std::time::Duration;

use super::{Ask, Authority, AuthorityError, Changed, DECISIONS_MAX, Minted, Step, token_of};
use crate::clock::random;
use crate::journal::{Change, Draft, Entry, Origin, Room};
use crate::token::change::{self, Refused, TokenChange};
use crate::token::id::{Slug, TokenId};
use crate::token::namespace::Namespace;
use crate::token::network::Networks;
use crate::token::policy::{Policy, RateLimit};
use crate::token::scope::{Labels, Scopes};
use crate::token::text::{Name, Subject};
use crate::token::time::{Timestamp, TimestampOutOfRange};
use crate::token::{Token, issuing};

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
    /// As the rules of the namespace have it; without any, never.
    ByPolicy,
    Until(Timestamp),
    For(Duration),
}

impl Lifetime {
    /// When a token is asked to end that is issued at `now`; `None`: nobody asked for an end.
    fn end(self, now: Timestamp) -> Result<Option<Timestamp>, TimestampOutOfRange> {
        match self {
            Lifetime::ByPolicy => Ok(None),
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
                let directory = self.store.directory().await?.record;
                let token = directory
                    .get(&issue.namespace)
                    .and_then(|namespace| issued_before(&entry, &issue, namespace))
                    .ok_or(AuthorityError::RequestIdReused)?;
                // Whoever may not have it any more is not shown it again.
                ask.caller
                    .check_passing_on(&token.namespace, &token.scopes, token.expire_time)?;
                self.shown_before(ask, token.id, &entry).await
            }
        }
    }

    async fn issue_anew(&self, ask: &Ask, issue: &Issue) -> Result<Step<Minted>, AuthorityError> {
        let origin = self.origin(ask);
        // Decided again if the new id is taken, which is unheard of, or the last place of the subject was.
        for _ in 0..DECISIONS_MAX {
            let surroundings = self.surroundings(&issue.namespace, &issue.subject).await?;
            let (namespace, above) = (&surroundings.namespace, surroundings.above());
            // Later than all that was revoked at once before: it is not meant.
            let origin = Origin {
                time: above.issue_time(origin.time),
                ..origin.clone()
            };
            let secret = self.mint(&namespace.format);
            let mut token = self.token_to_issue(issue, &namespace.policy, &origin)?;
            ask.caller
                .check_passing_on(&token.namespace, &token.scopes, token.expire_time)?;
            let not_issued = |why| AuthorityError::NotIssued {
                namespace: issue.namespace.clone(),
                why,
            };
            issuing::check(&namespace.policy, &token, surroundings.standing()).map_err(not_issued)?;
            let room = namespace.policy.tokens_per_subject_max.map(|max| Room {
                namespace: issue.namespace.clone(),
                subject: issue.subject.clone(),
                max: max.get(),
                now: origin.time,
                since: above.newest_not_before(),
            });
            if let Some(room) = &room {
                let count = self.store.count_tokens(room.clone()).await?;
                issuing::has_room(room.max, count).map_err(not_issued)?;
            }
            token
                .secrets
                .push(self.keep(&namespace.format, &secret, 1, &origin));
            let change = change::issue(token).map_err(refused)?;
            let draft = Draft::of_token(origin, None, change)?;
            // Two that race for the last place have both seen it free. So it is counted once more where the draft is
            // written, which is done by one at a time.
            let draft = match room {
                Some(room) => draft.with_room(room),
                None => draft,
            };
            let draft = self.with_answer(ask, &secret, draft)?;
            if let Some(step) = self.commit(draft, token_of).await? {
                return Ok(step.map(|token| Minted { token, secret }));
            }
        }
        Err(AuthorityError::Contention)
    }

    fn token_to_issue(
        &self,
        issue: &Issue,
        policy: &Policy,
        origin: &Origin,
    ) -> Result<Token, AuthorityError> {
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
            .and_then(|asked| issuing::end(policy, asked, origin.time))
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
fn issued_before<'a>(entry: &'a Entry, issue: &Issue, namespace: &Namespace) -> Option<&'a Token> {
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
        && may_end_so(token, issue.lifetime, namespace);
    same.then_some(token)
}

/// Whether the token may be one that was asked to end so. Where no end was asked for it got that of the rules; what
/// they were before they changed is not known.
fn may_end_so(token: &Token, asked: Lifetime, namespace: &Namespace) -> bool {
    let Ok(asked) = asked.end(token.create_time) else {
        return false;
    };
    let have_changed = namespace.update_time > token.create_time;
    asked == token.expire_time
        || (asked.is_none() && have_changed)
        || issuing::end(&namespace.policy, asked, token.create_time) == Ok(token.expire_time)
}
