//! Bootstrap: the first credential, made when there is nobody yet to make it.

use super::{Authority, AuthorityError, Step, token_of};
use crate::clock::random;
use crate::journal::{Change, Draft, Entry, Origin, Stored};
use crate::token::change::{self, TokenChange};
use crate::token::format::{Body, Format, Prefix};
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::namespace::{Directory, Namespace};
use crate::token::policy::Policy;
use crate::token::scope::{Labels, Scope, Scopes};
use crate::token::secret::Secret;
use crate::token::text::{Actor, Name, Subject};
use crate::token::{KeptSecret, Token};

/// The requests of a bootstrap are the same wherever it runs, and a request is written once: of two that run
/// at the same moment one finds what the other wrote.
const FOUND: &[u8] = b"found the namespace of credentials";
const FIRST_ADMIN: &[u8] = b"make the first admin";

/// How credentials begin. No product's tokens may begin so.
pub(super) const CREDENTIAL_PREFIX: &str = "tokenward_";

/// Why there is no first credential.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The first one was made before.
    #[error("there is an admin already: token {0}")]
    AlreadyDone(TokenId),
    #[error("the text to begin with is not a credential made with this pepper")]
    NotCredential,
    #[error("namespace {0} has a prefix that overlaps {CREDENTIAL_PREFIX}, with which credentials begin")]
    PrefixTaken(Slug),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("a name of this program is not one: {0}")]
    Name(String),
}

impl Authority {
    /// The first admin, if there ever was one.
    pub async fn first_admin(&self) -> Result<Option<TokenId>, BootstrapError> {
        let entry = self
            .store
            .entry_of_request(RequestDigest::of_program(FIRST_ADMIN))
            .await;
        let entry = entry.map_err(AuthorityError::from)?;
        Ok(entry.and_then(|entry| entry.change.token_id()))
    }

    /// A secret that a credential can have.
    pub fn mint_credential(&self) -> Result<Secret, BootstrapError> {
        Ok(self.mint(&credential_format()?))
    }

    /// Makes a credential with all permissions out of `secret`: the first one, or with `force` a further one.
    pub async fn bootstrap(&self, secret: &Secret, force: bool) -> Result<Token, BootstrapError> {
        let format = credential_format()?;
        // It would be an admin that nobody can be.
        if format.parse(secret).is_err() || !format.tag_holds(secret, &self.peppers) {
            return Err(BootstrapError::NotCredential);
        }
        self.found_credentials().await?;
        let origin = if force {
            self.origin_of(RequestDigest::new(self.clock.now(), random(&*self.entropy)))
        } else {
            self.origin_of(RequestDigest::of_program(FIRST_ADMIN))
        };
        let surroundings = self.surroundings(&slug()?, &subject()?).await?;
        // What was said of all credentials before is not said of this one.
        let origin = Origin {
            time: surroundings.above().issue_time(origin.time),
            ..origin
        };
        let kept = self.keep(&format, secret, 1, &origin);
        let token = admin(TokenId::new(origin.time, random(&*self.entropy)), kept, &origin)?;
        let digest = self.peppers.digest(secret);
        let change = change::issue(token).map_err(|refused| AuthorityError::Refused {
            token_id: None,
            refused,
        })?;
        let draft = Draft::of_token(origin, None, change).map_err(AuthorityError::from)?;
        match self.commit(draft, token_of).await? {
            Some(Step::Done(changed) | Step::Unchanged(changed)) => Ok(changed.record),
            Some(Step::Repeated(Entry {
                change:
                    Change::Token {
                        token_id,
                        change: TokenChange::Issued(token),
                        ..
                    },
                ..
            })) => match token.secret_with(&digest) {
                // The same secret once more: it was interrupted after it was done.
                Some(_) => Ok(*token),
                None => Err(BootstrapError::AlreadyDone(token_id)),
            },
            Some(Step::Repeated(_)) => Err(AuthorityError::RequestIdReused.into()),
            None => Err(AuthorityError::Contention.into()),
        }
    }

    /// Makes the namespace of credentials, unless it is there.
    async fn found_credentials(&self) -> Result<(), BootstrapError> {
        let stored = self.store.directory().await.map_err(AuthorityError::from)?;
        if stored.record.get(&slug()?).is_some() {
            return Ok(());
        }
        let format = credential_format()?;
        if let Some(other) = stored.record.overlapping(&format.prefix) {
            return Err(BootstrapError::PrefixTaken(other.slug.clone()));
        }
        let draft = self.draft_of_credentials(&stored, format)?;
        let founded = self.commit(draft, super::namespace_of).await?;
        // Repeated: somebody else was faster.
        founded.map(drop).ok_or_else(|| AuthorityError::Contention.into())
    }

    fn draft_of_credentials(
        &self,
        stored: &Stored<Directory>,
        format: Format,
    ) -> Result<Draft, BootstrapError> {
        let origin = self.origin_of(RequestDigest::of_program(FOUND));
        let namespace = Namespace {
            slug: slug()?,
            display_name: Name::try_from("Credentials".to_owned()).map_err(name)?,
            format,
            policy: Policy::default(),
            not_before: None,
            create_time: origin.time,
            update_time: origin.time,
        };
        Ok(Draft::of_new_namespace(origin, stored.version, namespace))
    }

    fn origin_of(&self, request_id: RequestDigest) -> Origin {
        Origin {
            request_id,
            time: self.clock.now(),
            actor: Actor::bootstrap(),
        }
    }
}

fn admin(id: TokenId, kept: KeptSecret, origin: &Origin) -> Result<Token, BootstrapError> {
    let everything = Scope::try_from("*".to_owned()).map_err(name)?;
    Ok(Token {
        id,
        namespace: slug()?,
        name: Name::try_from("admin".to_owned()).map_err(name)?,
        subject: subject()?,
        scopes: Scopes::try_from(vec![everything]).map_err(name)?,
        labels: Labels::default(),
        create_time: origin.time,
        expire_time: None,
        networks: None,
        rate_limit: None,
        suspension: None,
        revocation: None,
        secrets: vec![kept],
    })
}

pub(super) fn credential_format() -> Result<Format, BootstrapError> {
    let prefix = Prefix::try_from(CREDENTIAL_PREFIX.to_owned()).map_err(name)?;
    Ok(Format {
        prefix,
        body: Body::Native,
    })
}

fn subject() -> Result<Subject, BootstrapError> {
    Subject::try_from("admin".to_owned()).map_err(name)
}

fn slug() -> Result<Slug, BootstrapError> {
    Slug::try_from(Slug::SYSTEM.to_owned()).map_err(name)
}

fn name(error: impl std::fmt::Display) -> BootstrapError {
    BootstrapError::Name(error.to_string())
}

#[cfg(test)]
mod tests;
