//! What is said of a token elsewhere than in its own record: of its subject, and of its namespace.

use std::sync::Arc;

use super::{Authority, AuthorityError};
use crate::journal::{Revision, Stored};
use crate::token::Token;
use crate::token::id::Slug;
use crate::token::namespace::Namespace;
use crate::token::standing::{Above, Standing};
use crate::token::text::Subject;

/// What is said of the tokens of one subject.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) standing: Option<Stored<Standing>>,
    pub(super) namespace: Arc<Namespace>,
    /// Of the newest change to any namespace.
    newest: Revision,
}

impl Surroundings {
    pub(super) fn above(&self) -> Above<'_> {
        Above {
            standing: self.standing(),
            not_before: self.namespace.not_before.as_ref(),
        }
    }

    pub(super) fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref().map(|stored| &stored.record)
    }

    /// Every change that is said here was made by then.
    pub(super) fn version(&self) -> Revision {
        let standing = self.standing.as_ref().map(|stored| stored.version);
        self.newest.max(standing.unwrap_or_default())
    }
}

impl Authority {
    pub(super) async fn surroundings(
        &self,
        namespace: &Slug,
        subject: &Subject,
    ) -> Result<Surroundings, AuthorityError> {
        let directory = self.store.directory().await?;
        let found = directory.record.get(namespace).cloned();
        Ok(Surroundings {
            namespace: found.ok_or_else(|| AuthorityError::NamespaceNotFound(namespace.clone()))?,
            newest: directory.version,
            standing: self.standing_of(namespace, subject).await?,
        })
    }

    pub(super) async fn standing_of(
        &self,
        namespace: &Slug,
        subject: &Subject,
    ) -> Result<Option<Stored<Standing>>, AuthorityError> {
        let standings = self
            .store
            .standings(namespace.clone(), vec![subject.clone()])
            .await?;
        Ok(standings.into_iter().next().flatten())
    }

    /// The token as it is shown.
    pub(super) async fn shown(&self, token: Token) -> Result<Token, AuthorityError> {
        let surroundings = self.surroundings(&token.namespace, &token.subject).await?;
        Ok(token.under(surroundings.above()).into_owned())
    }
}
