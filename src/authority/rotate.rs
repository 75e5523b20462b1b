//! Rotate: a new secret for a token that stays what it is.

use super::{Ask, Authority, AuthorityError, Changed, DECISIONS_MAX, Minted, Step, token_of};
use crate::journal::{Change, Draft, Entry};
use crate::token::change::{self, TokenChange};
use crate::token::id::{Slug, TokenId};
use crate::token::overlap::Overlap;
use crate::token::permission::Right;
use crate::token::policy::Policy;

impl Authority {
    /// Gives the token a new secret; one older secret lives on as `overlap` says, else as its namespace does, all others
    /// end at once.
    pub async fn rotate(
        &self,
        ask: &Ask,
        token_id: TokenId,
        overlap: Option<Overlap>,
    ) -> Result<Changed<Minted>, AuthorityError> {
        match self.once(ask, self.rotate_anew(ask, token_id, overlap)).await? {
            Step::Done(rotated) | Step::Unchanged(rotated) => Ok(rotated),
            Step::Repeated(entry) if rotated_before(&entry, token_id, overlap) => {
                // Whoever may not have the secret any more is not shown it again; a credential that rotated
                // itself asks with the secret from before.
                if !has_rotated_itself(ask, &entry) {
                    self.token_for(&ask.caller, Right::TokensRotate, token_id).await?;
                }
                self.shown_before(ask, token_id, &entry).await
            }
            Step::Repeated(_) => Err(AuthorityError::RequestIdReused),
        }
    }

    async fn rotate_anew(
        &self,
        ask: &Ask,
        token_id: TokenId,
        asked: Option<Overlap>,
    ) -> Result<Step<Minted>, AuthorityError> {
        let origin = self.origin(ask);
        for _ in 0..DECISIONS_MAX {
            let stored = self.token_for(&ask.caller, Right::TokensRotate, token_id).await?;
            let token = &stored.record;
            let surroundings = self.surroundings(&token.namespace, &token.subject).await?;
            let (above, namespace) = (surroundings.above(), &surroundings.namespace);
            let overlap = overlap(asked, &namespace.policy)?;
            let secret = self.mint(&namespace.format);
            let version = token.current_secret().map_or(1, |kept| kept.version + 1);
            let kept = self.keep(&namespace.format, &secret, version, &origin);
            // Whoever calls with it has it, though that may not be in the record yet.
            let own = ask.caller.presented().filter(|(own, _)| own.id == token_id);
            let used = own.map(|(_, version)| version);
            let change = change::rotate(
                &token.revoked_under(above),
                kept,
                (overlap, asked.is_none()),
                used,
            )
            .map_err(AuthorityError::of_token(token_id))?;
            let draft = Draft::of_token(origin.clone(), Some(&stored), change)?;
            let draft = self.with_answer(ask, &secret, draft)?;
            if let Some(step) = self.commit(draft, token_of).await? {
                return Ok(step.map(|token| Minted {
                    token: token.under(above).into_owned(),
                    secret,
                }));
            }
        }
        Err(AuthorityError::Contention)
    }
}

/// The overlap that is asked for, if the namespace lets it be so long; its own if none is.
fn overlap(asked: Option<Overlap>, policy: &Policy) -> Result<Overlap, AuthorityError> {
    let max = policy.overlap_max.unwrap_or(Overlap::MAX).min(Overlap::MAX);
    match asked {
        Some(asked) if asked.span() > max => Err(AuthorityError::OverlapTooLong { asked, max }),
        Some(asked) => Ok(asked),
        None => Ok(policy.overlap_default.at_most(max)),
    }
}

/// Whether `entry` gave the credential that asks a secret beside the one it presents.
fn has_rotated_itself(ask: &Ask, entry: &Entry) -> bool {
    match (&entry.change, ask.caller.presented()) {
        (
            Change::Token {
                token_id,
                change: TokenChange::Rotated { secret, beside, .. },
                ..
            },
            Some((own, version)),
        ) => {
            own.id == *token_id
                && own.namespace.as_str() == Slug::SYSTEM
                && beside.unwrap_or(secret.version - 1) == version
        }
        _ => false,
    }
}

/// Whether `entry` is just the rotation that is asked for. No overlap and that of zero were once the same.
fn rotated_before(entry: &Entry, asked: TokenId, overlap: Option<Overlap>) -> bool {
    let Change::Token {
        token_id,
        change:
            TokenChange::Rotated {
                secret,
                retire_time,
                by_default,
                ..
            },
        ..
    } = &entry.change
    else {
        return false;
    };
    let same = match overlap.unwrap_or(Overlap::None) {
        Overlap::FromFirstUse(span) => secret.overlap == Some(span),
        Overlap::None | Overlap::For(_) if secret.overlap.is_some() => false,
        asked => entry.time.after(asked.span().duration()).ok() == *retire_time,
    };
    *token_id == asked && (same || (overlap.is_none() && *by_default))
}
