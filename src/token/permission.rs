//! What a caller may do. Permissions are written as scopes, so that a credential is a token like any other.
//!
//! `*` is everything. Otherwise a right, a colon and a namespace, or `*` for every namespace:
//! `tokens.issue:notes`, `revocations.watch:*`. A few rights concern no namespace: `namespaces.manage`. What
//! scopes an issuer may hand out is a permission too: `tokens.grant:notes:read`, `tokens.grant:notes:api/*`.

mod role;

use std::fmt;

use super::id::Slug;
use super::scope::{Scope, Scopes};
pub use role::{NotRole, Role};

/// Something that can be permitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    TokensIssue,
    TokensList,
    TokensRevoke,
    /// To revoke by the secret itself, without learning whether it was one.
    TokensRevokeLeaked,
    TokensRotate,
    /// To change a token in place, to suspend it and to resume it.
    TokensUpdate,
    TokensVerify,
    /// To learn why a token was refused, not only that it was.
    TokensVerifyReason,
    RevocationsWatch,
    NamespacesList,
    NamespacesManage,
    AuditRead,
    /// Issue, list, revoke, rotate and update in the namespace of credentials.
    CredentialsManage,
    /// To take over tokens that were issued elsewhere.
    TokensImport,
    SubjectsList,
    SubjectsManage,
    /// To learn from where tokens are used, and with what.
    UsageRead,
    /// To have that forgotten.
    UsageErase,
    WebhooksList,
    WebhooksManage,
}

/// One permission, read from the text of a scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permission<'a> {
    Everything,
    /// A right that concerns no namespace.
    Over(Right),
    In(Right, Reach<'a>),
    /// To issue tokens that carry such scopes.
    Grant(Reach<'a>, &'a str),
}

/// The namespaces a permission reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach<'a> {
    Every,
    Only(&'a str),
}

/// The permissions among some scopes.
#[derive(Clone, Copy, Debug)]
pub struct Permissions<'a>(&'a Scopes);

/// A text that is no permission.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "is no permission: it must be *, or a right such as tokens.issue with :NAMESPACE or :* after it, or \
     tokens.grant:NAMESPACE:SCOPE"
)]
pub struct NotPermission;

const GRANT: &str = "tokens.grant";

impl Right {
    pub const ALL: [Right; 20] = [
        Right::TokensIssue,
        Right::TokensList,
        Right::TokensRevoke,
        Right::TokensRevokeLeaked,
        Right::TokensRotate,
        Right::TokensUpdate,
        Right::TokensVerify,
        Right::TokensVerifyReason,
        Right::RevocationsWatch,
        Right::NamespacesList,
        Right::NamespacesManage,
        Right::AuditRead,
        Right::CredentialsManage,
        Right::TokensImport,
        Right::SubjectsList,
        Right::SubjectsManage,
        Right::UsageRead,
        Right::UsageErase,
        Right::WebhooksList,
        Right::WebhooksManage,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Right::TokensIssue => "tokens.issue",
            Right::TokensList => "tokens.list",
            Right::TokensRevoke => "tokens.revoke",
            Right::TokensRevokeLeaked => "tokens.revoke_leaked",
            Right::TokensRotate => "tokens.rotate",
            Right::TokensUpdate => "tokens.update",
            Right::TokensVerify => "tokens.verify",
            Right::TokensVerifyReason => "tokens.verify.reason",
            Right::RevocationsWatch => "revocations.watch",
            Right::NamespacesList => "namespaces.list",
            Right::NamespacesManage => "namespaces.manage",
            Right::AuditRead => "audit.read",
            Right::CredentialsManage => "credentials.manage",
            Right::TokensImport => "tokens.import",
            Right::SubjectsList => "subjects.list",
            Right::SubjectsManage => "subjects.manage",
            Right::UsageRead => "usage.read",
            Right::UsageErase => "usage.erase",
            Right::WebhooksList => "webhooks.list",
            Right::WebhooksManage => "webhooks.manage",
        }
    }

    /// Whether it is held for a namespace.
    fn is_reaching(self) -> bool {
        !matches!(self, Right::NamespacesManage | Right::CredentialsManage)
    }

    /// Whether "every namespace" leaves that of the credentials out: whoever issues tokens for all products
    /// issues no credentials by it, and a service that verifies tokens is not asked about credentials.
    fn spares_credentials(self) -> bool {
        match self {
            Right::TokensIssue
            | Right::TokensList
            | Right::TokensRevoke
            | Right::TokensRevokeLeaked
            | Right::TokensRotate
            | Right::TokensUpdate
            | Right::TokensVerify
            | Right::TokensVerifyReason
            | Right::TokensImport
            | Right::SubjectsList
            | Right::SubjectsManage
            | Right::UsageRead
            | Right::UsageErase
            | Right::WebhooksList
            | Right::WebhooksManage => true,
            Right::RevocationsWatch
            | Right::NamespacesList
            | Right::NamespacesManage
            | Right::AuditRead
            | Right::CredentialsManage => false,
        }
    }

    /// Whether `credentials.manage` includes it, in the namespace of credentials.
    fn is_management(self) -> bool {
        use Right::*;
        matches!(
            self,
            TokensIssue | TokensList | TokensRevoke | TokensRotate | TokensUpdate
        )
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'a> Permission<'a> {
    pub fn parse(text: &'a str) -> Result<Permission<'a>, NotPermission> {
        if text == "*" {
            return Ok(Permission::Everything);
        }
        let (name, of) = match text.split_once(':') {
            Some((name, of)) => (name, Some(of)),
            None => (text, None),
        };
        if name == GRANT {
            let (reach, pattern) = of.and_then(|of| of.split_once(':')).ok_or(NotPermission)?;
            let reach = Reach::parse(reach)?;
            return if pattern.is_empty() {
                Err(NotPermission)
            } else {
                Ok(Permission::Grant(reach, pattern))
            };
        }
        let right = Right::ALL.into_iter().find(|right| right.as_str() == name);
        match (right.ok_or(NotPermission)?, of) {
            (right, Some(of)) if right.is_reaching() => Ok(Permission::In(right, Reach::parse(of)?)),
            (right, None) if !right.is_reaching() => Ok(Permission::Over(right)),
            _ => Err(NotPermission),
        }
    }
}

impl<'a> Reach<'a> {
    fn parse(text: &'a str) -> Result<Reach<'a>, NotPermission> {
        match text {
            "*" => Ok(Reach::Every),
            _ if Slug::is_slug(text) => Ok(Reach::Only(text)),
            _ => Err(NotPermission),
        }
    }

    fn covers(self, namespace: &str, right: Right) -> bool {
        match self {
            Reach::Every => namespace != Slug::SYSTEM || !right.spares_credentials(),
            Reach::Only(only) => only == namespace,
        }
    }
}

impl<'a> Permissions<'a> {
    /// Scopes that are no permissions permit nothing.
    pub fn of(scopes: &'a Scopes) -> Permissions<'a> {
        Permissions(scopes)
    }

    fn iter(self) -> impl Iterator<Item = Permission<'a>> {
        self.0
            .iter()
            .filter_map(|scope| Permission::parse(scope.as_str()).ok())
    }

    /// Whether `right` is held in `namespace`.
    pub fn allow(self, right: Right, namespace: &Slug) -> bool {
        self.allow_in(right, namespace.as_str())
    }

    fn allow_in(self, right: Right, namespace: &str) -> bool {
        self.iter().any(|held| match held {
            Permission::Everything => true,
            Permission::Over(Right::CredentialsManage) => {
                namespace == Slug::SYSTEM && (right == Right::CredentialsManage || right.is_management())
            }
            Permission::Over(held) => held == right,
            Permission::In(held, reach) => held == right && reach.covers(namespace, right),
            Permission::Grant(..) => false,
        })
    }

    /// Whether `right` is held anywhere at all.
    pub fn allow_somewhere(self, right: Right) -> bool {
        self.iter().any(|held| match held {
            Permission::Everything => true,
            Permission::Over(Right::CredentialsManage) => {
                right == Right::CredentialsManage || right.is_management()
            }
            Permission::Over(held) | Permission::In(held, _) => held == right,
            Permission::Grant(..) => false,
        })
    }

    /// Whether `right` is held in every namespace, those included that are yet to be created.
    pub fn allow_everywhere(self, right: Right) -> bool {
        self.iter().any(|held| match held {
            Permission::Everything => true,
            Permission::Over(held) => held == right,
            Permission::In(held, reach) => held == right && reach == Reach::Every,
            Permission::Grant(..) => false,
        })
    }

    /// The namespaces in which `right` is held by name.
    pub fn named(self, right: Right) -> impl Iterator<Item = Slug> + use<'a> {
        self.iter().filter_map(move |held| match held {
            Permission::In(held, Reach::Only(slug)) if held == right => Slug::try_from(slug.to_owned()).ok(),
            _ => None,
        })
    }

    /// The first of `scopes` that tokens issued in `namespace` may not carry.
    pub fn first_not_grantable(self, namespace: &Slug, scopes: &Scopes) -> Option<Scope> {
        let grantable = |scope: &Scope| self.covers_grant(Reach::Only(namespace.as_str()), scope.as_str());
        scopes.iter().find(|scope| !grantable(scope)).cloned()
    }

    /// The first of `others` that is not held here: with it, they could do what these cannot.
    pub fn first_not_held(self, others: &Scopes) -> Option<Scope> {
        let held = |scope: &Scope| match Permission::parse(scope.as_str()) {
            Ok(permission) => self.covers(permission),
            // It permits nothing, today.
            Err(NotPermission) => self.covers(Permission::Everything),
        };
        others.iter().find(|scope| !held(scope)).cloned()
    }

    fn covers(self, other: Permission<'_>) -> bool {
        match other {
            Permission::Everything => self.iter().any(|held| held == Permission::Everything),
            Permission::Over(right) | Permission::In(right, Reach::Every) => self.allow_everywhere(right),
            Permission::In(right, Reach::Only(namespace)) => self.allow_in(right, namespace),
            Permission::Grant(reach, pattern) => self.covers_grants(reach, pattern),
        }
    }

    /// Whether every scope of `pattern` may be handed out in `wanted`.
    fn covers_grants(self, wanted: Reach<'_>, pattern: &str) -> bool {
        let Some(beginning) = pattern.strip_suffix('*') else {
            return self.covers_grant(wanted, pattern);
        };
        self.iter().any(|held| match held {
            Permission::Everything => true,
            Permission::Grant(reach, pattern) => {
                let held = pattern.strip_suffix('*');
                (reach == Reach::Every || reach == wanted)
                    && held.is_some_and(|held| beginning.starts_with(held))
            }
            Permission::Over(_) | Permission::In(..) => false,
        })
    }

    fn covers_grant(self, wanted: Reach<'_>, scope: &str) -> bool {
        self.iter().any(|held| match held {
            Permission::Everything => true,
            Permission::Grant(reach, pattern) => {
                let reaches = reach == Reach::Every || reach == wanted;
                let matches = match pattern.strip_suffix('*') {
                    Some(beginning) => scope.starts_with(beginning),
                    None => scope == pattern,
                };
                reaches && matches
            }
            Permission::Over(_) | Permission::In(..) => false,
        })
    }
}

#[cfg(test)]
mod tests;
