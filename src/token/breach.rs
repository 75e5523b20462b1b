//! The rules of a namespace that a token itself can break: asked wherever one is made or changed.

use std::fmt;
use std::time::Duration;

use super::permission::{NotPermission, Permission};
use super::policy::Policy;
use super::scope::{Scope, Scopes};
use super::text::Name;
use super::time::{Span, Timestamp, spelled};

/// Scopes of one kind that are told: each is up to 100 bytes, an error is told three times over, and clients take 8 KiB.
const SCOPES_TOLD_MAX: usize = 8;

/// A rule that is broken, and what would be right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Breach {
    NameMissing,
    EndMissing { max: Option<Duration> },
    LivesTooLong { max: Duration, latest: Timestamp },
    UnknownScopes { scopes: Scopes, catalogue: Scopes },
    NoPermission { scope: Scope },
}

/// Whether a token may be called so.
pub fn of_name(policy: &Policy, name: &Name) -> Option<Breach> {
    (policy.name_required && name.as_str().is_empty()).then_some(Breach::NameMissing)
}

/// Whether a token that was issued at `create_time` may end then; `None`: never.
pub fn of_end(policy: &Policy, create_time: Timestamp, end: Option<Timestamp>) -> Option<Breach> {
    let max = policy.lifetime_max.map(Span::duration);
    match (end, max) {
        (None, max) if policy.expiry_required || max.is_some() => Some(Breach::EndMissing { max }),
        (Some(end), Some(max)) => {
            // A life that goes beyond the end of time is cut short there.
            let latest = create_time.after(max).unwrap_or(Timestamp::MAX);
            (end > latest).then_some(Breach::LivesTooLong { max, latest })
        }
        _ => None,
    }
}

/// Whether a token may carry these. An empty catalogue knows all.
pub fn of_scopes(policy: &Policy, scopes: &Scopes) -> Option<Breach> {
    let catalogue = &policy.scope_catalogue;
    let unknown = catalogue.missing(scopes);
    (!catalogue.is_empty() && !unknown.is_empty()).then(|| Breach::UnknownScopes {
        scopes: unknown,
        catalogue: catalogue.clone(),
    })
}

/// The scopes that are no permissions. A credential with one that permits nothing would be found out when it is needed.
pub fn of_permissions(scopes: &Scopes) -> Vec<Breach> {
    let of = |scope: &Scope| {
        Permission::parse(scope.as_str())
            .err()
            .map(|NotPermission| Breach::NoPermission { scope: scope.clone() })
    };
    scopes.iter().filter_map(of).collect()
}

impl Breach {
    /// The field at fault. `end` is what the request calls the end of a token.
    pub fn field(&self, end: &'static str) -> &'static str {
        match self {
            Breach::NameMissing => "name",
            Breach::EndMissing { .. } | Breach::LivesTooLong { .. } => end,
            Breach::UnknownScopes { .. } | Breach::NoPermission { .. } => "scopes",
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Breach::NameMissing => f.write_str("must be set: every token of this namespace has a name"),
            Breach::EndMissing { max: None } => {
                f.write_str("must be set: every token of this namespace has an end")
            }
            Breach::EndMissing { max: Some(max) } => {
                let max = spelled(*max);
                write!(
                    f,
                    "must be set: a token of this namespace lives for {max} at most"
                )
            }
            Breach::LivesTooLong { max, latest } => {
                let max = spelled(*max);
                write!(
                    f,
                    "must be no later than {latest}: a token of this namespace lives for {max} at most"
                )
            }
            Breach::UnknownScopes { scopes, catalogue } => {
                let (scopes, catalogue) = (some(scopes), some(catalogue));
                write!(
                    f,
                    "must be of the namespace's catalogue, which has no {scopes}: {catalogue}"
                )
            }
            Breach::NoPermission { scope } => write!(f, "{scope} {NotPermission}"),
        }
    }
}

/// The first of them, and how many more there are.
fn some(scopes: &Scopes) -> String {
    let told: Vec<_> = scopes.iter().take(SCOPES_TOLD_MAX).map(Scope::as_str).collect();
    let text = told.join(", ");
    match scopes.iter().count() - told.len() {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
