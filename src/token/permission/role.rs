//! What most callers are for, by a name.

use std::str::FromStr;

use super::GRANT;

/// Ready-made sets of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Verifier,
    Issuer,
    Watcher,
    Auditor,
    Admin,
}

/// A text that is no role.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be verifier, issuer, watcher, auditor or admin")]
pub struct NotRole;

impl Role {
    pub const ALL: [Role; 5] = [
        Role::Verifier,
        Role::Issuer,
        Role::Watcher,
        Role::Auditor,
        Role::Admin,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Verifier => "verifier",
            Role::Issuer => "issuer",
            Role::Watcher => "watcher",
            Role::Auditor => "auditor",
            Role::Admin => "admin",
        }
    }

    /// What it permits in `namespace`; `*` for every one. An admin is one everywhere.
    pub fn permissions(self, namespace: &str) -> Vec<String> {
        let rights: &[&str] = match self {
            Role::Admin => return vec!["*".to_owned()],
            Role::Verifier => &["tokens.verify"],
            Role::Watcher => &["revocations.watch"],
            Role::Auditor => &[
                "audit.read",
                "namespaces.list",
                "subjects.list",
                "tokens.list",
                "usage.read",
                "webhooks.list",
            ],
            Role::Issuer => &[
                "namespaces.list",
                "subjects.list",
                "tokens.issue",
                "tokens.list",
                "tokens.revoke",
                "tokens.rotate",
                "tokens.update",
            ],
        };
        let grant = (self == Role::Issuer).then(|| format!("{GRANT}:{namespace}:*"));
        let rights = rights.iter().map(|right| format!("{right}:{namespace}"));
        rights.chain(grant).collect()
    }
}

impl FromStr for Role {
    type Err = NotRole;

    fn from_str(text: &str) -> Result<Role, NotRole> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(NotRole)
    }
}
