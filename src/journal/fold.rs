//! What a change makes of a token, or of what is said of a subject: the projection, written once. Decisions use it to foresee a record,
//! and an audit uses it to rebuild one.

use crate::token::change::{Retirement, TokenChange};
use crate::token::from_to::FromTo;
use crate::token::id::Slug;
use crate::token::lifecycle::Notice;
use crate::token::standing::{Standing, SubjectChange};
use crate::token::text::Subject;
use crate::token::time::Timestamp;
use crate::token::update::Updated;
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
    #[error("the secret it concerns is none of the token's")]
    NoSuchSecret,
    #[error("a secret was used for the first time, or after its end, that was so used before")]
    UsedTwice,
    #[error("a field was changed from what it was not, or what is told of it is not so")]
    NotWhatItWas,
    #[error("resumed, but it was not suspended")]
    NotSuspended,
    #[error("what was issued is revoked up to an instant before the last such one")]
    NotBeforeGoesBack,
}

/// The token after `change`.
pub fn token(before: Option<&Token>, change: &TokenChange) -> Result<Token, Misfit> {
    let before = match (before, change) {
        (None, TokenChange::Issued(token) | TokenChange::Imported(token)) => return Ok(Token::clone(token)),
        (Some(_), TokenChange::Issued(_) | TokenChange::Imported(_)) => return Err(Misfit::IssuedTwice),
        (None, _) => return Err(Misfit::NeverIssued),
        (Some(before), _) if before.revocation.is_some() => return Err(Misfit::AfterRevocation),
        (Some(before), _) => before,
    };
    let mut after = before.clone();
    match change {
        TokenChange::Issued(_) | TokenChange::Imported(_) => return Err(Misfit::IssuedTwice),
        TokenChange::Rotated {
            secret,
            retire_time,
            beside,
            ends: _,
            by_default: _,
        } => rotate(&mut after, secret, *retire_time, *beside)?,
        TokenChange::Revoked(withdrawal) => after.revocation = Some(withdrawal.clone()),
        TokenChange::Suspended(withdrawal) => after.suspension = Some(withdrawal.clone()),
        TokenChange::Resumed => after.suspension = None,
        TokenChange::Redigested {
            version,
            digest,
            pepper,
        } => {
            let kept = secret_of(&mut after, *version)?;
            kept.digest = *digest;
            kept.pepper = *pepper;
            // Whoever knows the text now finds it.
            kept.phc = None;
        }
        TokenChange::Updated(updated) => update(&mut after, updated)?,
        TokenChange::FirstUsed {
            version,
            time,
            retires,
        } => {
            let used = &mut secret_of(&mut after, *version)?.first_use_time;
            if used.replace(*time).is_some() {
                return Err(Misfit::UsedTwice);
            }
            if let Some(Retirement { version, retire_time }) = retires {
                end_at(secret_of(&mut after, *version)?, *retire_time);
            }
        }
        TokenChange::RetiredSecretUsed {
            version,
            time,
            suspension,
        } => {
            let reused = &mut secret_of(&mut after, *version)?.reuse_time;
            if reused.replace(*time).is_some() {
                return Err(Misfit::UsedTwice);
            }
            after.suspension = after.suspension.or_else(|| suspension.clone());
        }
        TokenChange::Told(notice) => told(&after, notice)?,
    }
    Ok(after)
}

/// What is told of a token must be so.
fn told(token: &Token, notice: &Notice) -> Result<(), Misfit> {
    let is_so = match notice {
        Notice::Expiring { expire_time, .. } => token.expire_time == Some(*expire_time),
        Notice::RotationDue { version, .. } => {
            let current = token.current_secret().ok_or(Misfit::NoSuchSecret)?;
            current.version == *version
        }
        Notice::Unused { .. } => true,
    };
    is_so.then_some(()).ok_or(Misfit::NotWhatItWas)
}

fn rotate(
    token: &mut Token,
    secret: &KeptSecret,
    retire_time: Option<Timestamp>,
    beside: Option<u32>,
) -> Result<(), Misfit> {
    let current = token.current_secret().map_or(0, |kept| kept.version);
    if secret.version != current + 1 {
        return Err(Misfit::SecretVersion);
    }
    if beside.is_some_and(|version| token.secret_of_version(version).is_none()) {
        return Err(Misfit::NoSuchSecret);
    }
    let beside = beside.unwrap_or(current);
    for kept in &mut token.secrets {
        if kept.version != beside {
            end_at(kept, secret.create_time);
        } else if let Some(retire_time) = retire_time {
            end_at(kept, retire_time);
        }
    }
    token.secrets.push(secret.clone());
    if token.secrets.len() > Token::SECRETS_KEPT_MAX {
        // However many were replaced unused: the one that lives on is not forgotten over them.
        let spared = usize::from(token.secrets[0].version == beside);
        token.secrets.remove(spared);
    }
    Ok(())
}

/// An earlier end stands: no change ever gives a dying secret more time.
fn end_at(kept: &mut KeptSecret, end: Timestamp) {
    kept.retire_time = Some(kept.retire_time.map_or(end, |before| before.min(end)));
}

fn secret_of(token: &mut Token, version: u32) -> Result<&mut KeptSecret, Misfit> {
    let mut kept = token.secrets.iter_mut();
    kept.find(|kept| kept.version == version)
        .ok_or(Misfit::NoSuchSecret)
}

fn update(token: &mut Token, updated: &Updated) -> Result<(), Misfit> {
    fn put<T: Clone + PartialEq>(field: &mut T, change: Option<&FromTo<T>>) -> Result<(), Misfit> {
        match change {
            Some(FromTo { from, .. }) if field != from => Err(Misfit::NotWhatItWas),
            Some(FromTo { to, .. }) => {
                field.clone_from(to);
                Ok(())
            }
            None => Ok(()),
        }
    }
    put(&mut token.name, updated.name.as_ref())?;
    put(&mut token.scopes, updated.scopes.as_ref())?;
    put(&mut token.labels, updated.labels.as_ref())?;
    put(&mut token.expire_time, updated.expire_time.as_ref())?;
    put(&mut token.networks, updated.networks.as_ref())?;
    put(&mut token.rate_limit, updated.rate_limit.as_ref())
}

/// What is said of a subject after `change`, which was made at `time`; the first change makes the record.
pub fn standing(
    before: Option<&Standing>,
    (namespace, subject): (&Slug, &Subject),
    change: &SubjectChange,
    time: Timestamp,
) -> Result<Standing, Misfit> {
    let mut after = match before {
        Some(before) => Standing {
            update_time: time.later_than(before.update_time),
            ..before.clone()
        },
        None => Standing {
            namespace: namespace.clone(),
            subject: subject.clone(),
            plan: None,
            suspension: None,
            not_before: None,
            rate_limit: None,
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
        SubjectChange::RateLimitSet(FromTo { from, to }) => {
            if after.rate_limit != *from {
                return Err(Misfit::NotWhatItWas);
            }
            after.rate_limit = *to;
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests;
