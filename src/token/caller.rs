//! Who calls, and what they may do.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::Token;
use super::id::Slug;
use super::permission::{Permissions, Right};
use super::policy::SelfManagement;
use super::scope::{Scope, Scopes};
use super::text::Actor;
use super::time::Timestamp;

/// Somebody who was recognised.
#[derive(Clone, Debug)]
pub struct Caller(Identity);

#[derive(Clone, Debug)]
enum Identity {
    /// A token of the namespace of credentials.
    Credential { token: Arc<Token>, secret_version: u32 },
    /// The name in a client certificate, with the permissions it was given in the configuration.
    Certificate { name: Actor, permissions: Arc<Scopes> },
    /// A token of a product whose namespace lets its tokens manage tokens. What its scopes permit is said
    /// in terms of rights in its own namespace.
    Holder {
        token: Arc<Token>,
        secret_version: u32,
        permits: Arc<Scopes>,
    },
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
    /// It would live longer than the token that made it.
    Outlives(Timestamp),
    /// It speaks for somebody else.
    Subject,
    /// It is the caller's own, who presents a secret that is not the current one.
    Retiring,
}

/// Scopes by which the tokens of a product manage tokens of their own namespace, and what each permits.
const SELF_MANAGEMENT: [(&str, Right); 3] = [
    ("tokenward:list", Right::TokensList),
    ("tokenward:revoke", Right::TokensRevoke),
    ("tokenward:rotate", Right::TokensRotate),
];

impl Caller {
    /// The holder of a credential.
    pub fn credential(token: Arc<Token>, secret_version: u32) -> Caller {
        Caller(Identity::Credential {
            token,
            secret_version,
        })
    }

    /// The subject of a client certificate.
    pub fn certificate(name: Actor, permissions: Arc<Scopes>) -> Caller {
        Caller(Identity::Certificate { name, permissions })
    }

    /// The holder of a product's token, if that may call at all.
    pub fn holder(token: Arc<Token>, secret_version: u32, self_management: SelfManagement) -> Option<Caller> {
        let permits = match self_management {
            SelfManagement::Off => return None,
            SelfManagement::Own => Scopes::default(),
            SelfManagement::ByScope => permitted_by(&token),
        };
        Some(Caller(Identity::Holder {
            token,
            secret_version,
            permits: Arc::new(permits),
        }))
    }

    /// Whom changes are put down to.
    pub fn actor(&self) -> Actor {
        match &self.0 {
            Identity::Credential { token, .. } | Identity::Holder { token, .. } => Actor::of_token(token.id),
            Identity::Certificate { name, .. } => name.clone(),
        }
    }

    /// The token it presented, and which of its secrets.
    pub fn presented(&self) -> Option<(&Arc<Token>, u32)> {
        match &self.0 {
            Identity::Credential {
                token,
                secret_version,
            }
            | Identity::Holder {
                token,
                secret_version,
                ..
            } => Some((token, *secret_version)),
            Identity::Certificate { .. } => None,
        }
    }

    /// Whether a product's namespace still lets its holder do what it did when they were recognised.
    pub fn is_let(&self, self_management: SelfManagement) -> bool {
        match &self.0 {
            Identity::Credential { .. } | Identity::Certificate { .. } => true,
            Identity::Holder {
                token,
                secret_version,
                permits,
            } => {
                let now = Caller::holder(Arc::clone(token), *secret_version, self_management);
                now.is_some_and(|now| *now.permitted() == **permits)
            }
        }
    }

    /// What it may do, as permissions.
    pub fn permitted(&self) -> &Scopes {
        match &self.0 {
            Identity::Credential { token, .. } => &token.scopes,
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
    /// credential may rotate itself with its current secret; for a product's token that depends on its
    /// namespace.
    pub fn check(&self, right: Right, token: &Token) -> Result<(), Forbidden> {
        if self.may_to_itself(right) && self.presents(token, right) {
            return Ok(());
        }
        if !self.may(right, &token.namespace) {
            let is_own = self.presented().is_some_and(|(own, _)| own.id == token.id);
            return Err(if is_own && self.may_to_itself(right) {
                Forbidden::Beyond(Beyond::Retiring)
            } else {
                Forbidden::Hidden
            });
        }
        let passed_on = match right {
            // The new secret is the caller's to use.
            Right::TokensRotate => self
                .check_passing_on(&token.namespace, &token.scopes, token.expire_time)
                .and_then(|()| self.check_subject(token)),
            // Nobody locks out those above them.
            Right::TokensRevoke | Right::TokensUpdate if token.namespace.as_str() == Slug::SYSTEM => {
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
        // Else what was lent for an hour would make something for ever. The tokens of a product are not its
        // issuer's own, and may outlive the credential they were issued with.
        let is_own = namespace.as_str() == Slug::SYSTEM || matches!(self.0, Identity::Holder { .. });
        let own_end = self.presented().and_then(|(token, _)| token.expire_time);
        match own_end {
            Some(own_end) if is_own && expire_time.is_none_or(|end| end > own_end) => {
                Err(Beyond::Outlives(own_end))
            }
            _ => Ok(()),
        }
    }

    /// Whether the caller may say something of all tokens of a subject, or of `namespace`. Among the credentials are
    /// those of whoever is above it, and nobody locks them out.
    pub fn check_over_many(&self, namespace: &Slug) -> Result<(), Beyond> {
        let everything = Scope::everything();
        let holds = self.permitted().iter().any(|scope| *scope == everything);
        if namespace.as_str() == Slug::SYSTEM && !holds {
            return Err(Beyond::Scope(everything));
        }
        Ok(())
    }

    fn check_scopes(&self, namespace: &Slug, scopes: &Scopes) -> Result<(), Beyond> {
        let beyond = match &self.0 {
            Identity::Holder { token, .. } => scopes.missing_from(&token.scopes),
            Identity::Credential { .. } | Identity::Certificate { .. } => match namespace.as_str() {
                Slug::SYSTEM => self.permissions().first_not_held(scopes),
                _ => self
                    .permissions()
                    .first_not_grantable(namespace, scopes)
                    .or_else(|| self.first_not_delegable(namespace, scopes)),
            },
        };
        beyond.map_or(Ok(()), |scope| Err(Beyond::Scope(scope)))
    }

    /// The first scope by which a token manages tokens as the caller itself may not.
    fn first_not_delegable(&self, namespace: &Slug, scopes: &Scopes) -> Option<Scope> {
        let beyond = |scope: &&Scope| {
            let row = SELF_MANAGEMENT.iter().find(|(name, _)| *name == scope.as_str());
            row.is_some_and(|(_, right)| !self.may(*right, namespace))
        };
        scopes.iter().find(beyond).cloned()
    }

    /// With the secret of another's token its holder would speak for them.
    fn check_subject(&self, token: &Token) -> Result<(), Beyond> {
        match &self.0 {
            Identity::Holder { token: own, .. } if own.subject != token.subject => Err(Beyond::Subject),
            _ => Ok(()),
        }
    }

    /// Whether the caller presents this very token. To rotate it takes the current secret: one that is on its
    /// way out must not take the token over. One without an end is not, while nobody is known to have the current one.
    fn presents(&self, token: &Token, right: Right) -> bool {
        let current = token.current_secret();
        let may_rotate = |version| {
            let presented = token.secret_of_version(version);
            current.is_some_and(|current| {
                current.version == version
                    || (current.is_unused() && presented.is_some_and(|kept| kept.retire_time.is_none()))
            })
        };
        self.presented().is_some_and(|(own, secret_version)| {
            own.id == token.id && (right != Right::TokensRotate || may_rotate(secret_version))
        })
    }

    fn may_to_itself(&self, right: Right) -> bool {
        match self.0 {
            Identity::Certificate { .. } => false,
            Identity::Holder { .. } => matches!(right, Right::TokensList | Right::TokensRevoke),
            Identity::Credential { .. } => {
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
