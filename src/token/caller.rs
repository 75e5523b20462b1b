//! Who calls, and what they may do.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::Token;
use super::id::{Slug, TokenId};
use super::namespace::SelfManagement;
use super::permission::{Permissions, Right};
use super::scope::{Scope, Scopes};
use super::text::Actor;
use super::time::Timestamp;

/// Somebody who was recognised.
#[derive(Clone, Debug)]
pub struct Caller(Identity);

#[derive(Clone, Debug)]
enum Identity {
    /// A token of the namespace of credentials.
    Credential(Arc<Token>),
    /// The name in a client certificate, with the permissions it was given in the configuration.
    Certificate { name: Actor, permissions: Arc<Scopes> },
    /// A token of a product whose namespace lets its tokens manage tokens. What its scopes permit is said
    /// in terms of rights in its own namespace.
    Holder { token: Arc<Token>, permits: Arc<Scopes> },
}

/// Why a caller may not do something to a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Forbidden {
    /// The caller may not even know that there is such a token.
    Hidden,
    Beyond(Beyond),
}

/// What a caller may not pass on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Beyond {
    /// With its secret the caller could do what it may not pass on: this.
    Scope(Scope),
    /// It would live longer than the credential that made it.
    Outlives(Timestamp),
}

/// Scopes by which the tokens of a product manage tokens of their own namespace, and what each permits.
const SELF_MANAGEMENT: [(&str, Right); 3] = [
    ("tokenward:list", Right::TokensList),
    ("tokenward:revoke", Right::TokensRevoke),
    ("tokenward:rotate", Right::TokensRotate),
];

impl Caller {
    /// The holder of a credential.
    pub fn credential(token: Arc<Token>) -> Caller {
        Caller(Identity::Credential(token))
    }

    /// The subject of a client certificate.
    pub fn certificate(name: Actor, permissions: Arc<Scopes>) -> Caller {
        Caller(Identity::Certificate { name, permissions })
    }

    /// The holder of a product's token, if that may call at all.
    pub fn holder(token: Arc<Token>, self_management: SelfManagement) -> Option<Caller> {
        let permits = match self_management {
            SelfManagement::Off => return None,
            SelfManagement::Own => Scopes::default(),
            SelfManagement::ByScope => permitted_by(&token),
        };
        Some(Caller(Identity::Holder {
            token,
            permits: Arc::new(permits),
        }))
    }

    /// Whom changes are put down to.
    pub fn actor(&self) -> Actor {
        match &self.0 {
            Identity::Credential(token) | Identity::Holder { token, .. } => Actor::of_token(token.id),
            Identity::Certificate { name, .. } => name.clone(),
        }
    }

    /// The token it presented.
    pub fn token(&self) -> Option<&Arc<Token>> {
        match &self.0 {
            Identity::Credential(token) | Identity::Holder { token, .. } => Some(token),
            Identity::Certificate { .. } => None,
        }
    }

    /// What it may do, as permissions.
    pub fn permitted(&self) -> &Scopes {
        match &self.0 {
            Identity::Credential(token) => &token.scopes,
            Identity::Certificate { permissions, .. } => permissions,
            Identity::Holder { permits, .. } => permits,
        }
    }

    fn permissions(&self) -> Permissions<'_> {
        Permissions::of(self.permitted())
    }

    pub fn may(&self, right: Right, namespace: &Slug) -> bool {
        self.permissions().allow(right, namespace)
    }

    pub fn may_somewhere(&self, right: Right) -> bool {
        self.permissions().allow_somewhere(right)
    }

    pub fn may_everywhere(&self, right: Right) -> bool {
        self.permissions().allow_everywhere(right)
    }

    /// The namespaces that `right` is held in by name.
    pub fn namespaces(&self, right: Right) -> BTreeSet<Slug> {
        self.permissions().named(right).collect()
    }

    /// Whether `right` may be used on `token`. Whoever presents a token may read and revoke it, and a
    /// credential may rotate itself; for a product's token that depends on its namespace.
    pub fn check(&self, right: Right, token: &Token) -> Result<(), Forbidden> {
        if self.presents(token.id) && self.may_to_itself(right) {
            return Ok(());
        }
        if !self.may(right, &token.namespace) {
            return Err(Forbidden::Hidden);
        }
        let passed_on = match right {
            // The new secret is the caller's to use.
            Right::TokensRotate => self.check_passing_on(&token.namespace, &token.scopes, token.expire_time),
            // Nobody locks out those above them.
            Right::TokensRevoke if token.namespace.as_str() == Slug::SYSTEM => {
                self.check_scopes(&token.namespace, &token.scopes)
            }
            _ => Ok(()),
        };
        passed_on.map_err(Forbidden::Beyond)
    }

    /// Whether a token with such scopes and such an end may be issued in `namespace`, which the caller may
    /// issue in.
    pub fn check_passing_on(
        &self,
        namespace: &Slug,
        scopes: &Scopes,
        expire_time: Option<Timestamp>,
    ) -> Result<(), Beyond> {
        self.check_scopes(namespace, scopes)?;
        let own_end = self.token().and_then(|token| token.expire_time);
        match (own_end, namespace.as_str()) {
            // Else a credential lent for an hour would make one for ever.
            (Some(own_end), Slug::SYSTEM) if expire_time.is_none_or(|end| end > own_end) => {
                Err(Beyond::Outlives(own_end))
            }
            _ => Ok(()),
        }
    }

    fn check_scopes(&self, namespace: &Slug, scopes: &Scopes) -> Result<(), Beyond> {
        let beyond = match &self.0 {
            Identity::Holder { token, .. } => scopes.missing_from(&token.scopes),
            Identity::Credential(_) | Identity::Certificate { .. } => match namespace.as_str() {
                Slug::SYSTEM => self.permissions().first_not_held(scopes),
                _ => self.permissions().first_not_grantable(namespace, scopes),
            },
        };
        beyond.map_or(Ok(()), |scope| Err(Beyond::Scope(scope)))
    }

    fn presents(&self, id: TokenId) -> bool {
        self.token().is_some_and(|own| own.id == id)
    }

    fn may_to_itself(&self, right: Right) -> bool {
        match self.0 {
            Identity::Certificate { .. } => false,
            Identity::Holder { .. } => matches!(right, Right::TokensList | Right::TokensRevoke),
            Identity::Credential(_) => {
                matches!(
                    right,
                    Right::TokensList | Right::TokensRevoke | Right::TokensRotate
                )
            }
        }
    }

    /// Whether it could use `right` on a token: some namespace's, or its own.
    pub fn may_on_some_token(&self, right: Right) -> bool {
        self.may_to_itself(right) || self.may_somewhere(right)
    }
}

/// The rights that a token's own scopes give it in its namespace.
fn permitted_by(token: &Token) -> Scopes {
    let carries = |name: &str| token.scopes.iter().any(|scope| scope.as_str() == name);
    let rights = SELF_MANAGEMENT.iter().filter(|(name, _)| carries(name));
    let permissions: Vec<Scope> = rights
        .filter_map(|(_, right)| Scope::try_from(format!("{right}:{}", token.namespace)).ok())
        .collect();
    Scopes::try_from(permissions).unwrap_or_default()
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.actor().fmt(f)
    }
}

#[cfg(test)]
mod tests;
