//! What a change makes of a token, or of what is said of a subject: the projection, written once. Decisions use it to foresee a record,
//! and an audit uses it to rebuild one.

use crate::token::change::TokenChange;
use crate::token::id::Slug;
use crate::token::standing::{Standing, SubjectChange};
use crate::token::text::Subject;
use crate::token::time::Timestamp;
use crate::token::{KeptSecret, Token};

/// A change that cannot follow the record it is applied to: the journal or the record is corrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Misfit {
    #[error("issued, but it exists already")]
    IssuedTwice,
    #[error("changed, but it was never issued")]
    NeverIssued,
    #[error("changed after it was revoked")]
    AfterRevocation,
    #[error("the version of the new secret does not follow the current one")]
    SecretVersion,
    #[error("the secret that was redigested is none of the token's")]
    NoSuchSecret,
    #[error("resumed, but it was not suspended")]
    NotSuspended,
    #[error("what was issued is revoked up to an instant before the last such one")]
    NotBeforeGoesBack,
}

/// The token after `change`.
pub fn token(before: Option<&Token>, change: &TokenChange) -> Result<Token, Misfit> {
    let before = match (before, change) {
        (None, TokenChange::Issued(token)) => return Ok(Token::clone(token)),
        (Some(_), TokenChange::Issued(_)) => return Err(Misfit::IssuedTwice),
        (None, _) => return Err(Misfit::NeverIssued),
        (Some(before), _) if before.revocation.is_some() => return Err(Misfit::AfterRevocation),
        (Some(before), _) => before,
    };
    let mut after = before.clone();
    match change {
        TokenChange::Issued(_) => return Err(Misfit::IssuedTwice),
        TokenChange::Rotated { secret, retire_time } => {
            let current = before.current_secret().map_or(0, |kept| kept.version);
            if secret.version != current + 1 {
                return Err(Misfit::SecretVersion);
            }
            for kept in &mut after.secrets {
                let end = if kept.version == current {
                    *retire_time
                } else {
                    secret.create_time
                };
                // An earlier end stands: a rotation never gives a dying secret more time.
                kept.retire_time = Some(kept.retire_time.map_or(end, |before| before.min(end)));
            }
            after.secrets.push(KeptSecret::clone(secret));
            let surplus = after.secrets.len().saturating_sub(Token::SECRETS_KEPT_MAX);
            after.secrets.drain(..surplus);
        }
        TokenChange::Revoked(withdrawal) => after.revocation = Some(withdrawal.clone()),
        TokenChange::Suspended(withdrawal) => after.suspension = Some(withdrawal.clone()),
        TokenChange::Resumed => after.suspension = None,
        TokenChange::Redigested {
            version,
            digest,
            pepper,
        } => {
            let mut kept = after.secrets.iter_mut();
            let kept = kept
                .find(|kept| kept.version == *version)
                .ok_or(Misfit::NoSuchSecret)?;
            kept.digest = *digest;
            kept.pepper = *pepper;
        }
    }
    Ok(after)
}

/// What is said of a subject after `change`, which was made at `time`; the first change makes the record.
pub fn standing(
    before: Option<&Standing>,
    (namespace, subject): (&Slug, &Subject),
    change: &SubjectChange,
    time: Timestamp,
) -> Result<Standing, Misfit> {
    let mut after = match before {
        Some(before) => {
            // A clock that was set back must not give a second state the etag of the first.
            let later = Timestamp::from_micros(before.update_time.micros() + 1);
            Standing {
                update_time: time.max(later.unwrap_or(Timestamp::MAX)),
                ..before.clone()
            }
        }
        None => Standing {
            namespace: namespace.clone(),
            subject: subject.clone(),
            plan: None,
            suspension: None,
            not_before: None,
            create_time: time,
            update_time: time,
        },
    };
    match change {
        SubjectChange::PlanSet(plan) => after.plan.clone_from(plan),
        SubjectChange::Suspended(withdrawal) => after.suspension = Some(withdrawal.clone()),
        SubjectChange::Resumed => {
            after.suspension.take().ok_or(Misfit::NotSuspended)?;
        }
        SubjectChange::IssuedRevoked(not_before) => {
            let last = after.not_before.as_ref().map(|last| last.time);
            if last.is_some_and(|last| not_before.time < last) {
                return Err(Misfit::NotBeforeGoesBack);
            }
            after.not_before = Some(not_before.clone());
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests;
