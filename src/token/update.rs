//! Update: what of a token may be changed in place, what that takes away, and what it adds.

use serde::{Deserialize, Serialize};

use super::change::{Refused, TokenChange};
use super::id::Slug;
use super::network::Networks;
use super::permission::{NotPermission, Permission};
use super::policy::{Policy, RateLimit};
use super::scope::{Labels, Scope, Scopes};
use super::text::Name;
use super::time::{Span, Timestamp};
use super::{State, Token};

/// What a field is to become that may also be nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct To<T>(pub T);

/// What is asked for; a field that is `None` stays as it is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Update {
    pub name: Option<Name>,
    pub scopes: Option<Scopes>,
    pub labels: Option<Labels>,
    pub expire_time: Option<To<Option<Timestamp>>>,
    pub networks: Option<To<Option<Networks>>>,
    pub rate_limit: Option<To<Option<RateLimit>>>,
}

/// What became of one field.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FromTo<T> {
    pub from: T,
    pub to: T,
}

/// What became of each field that was asked for, also of one that was so already: a retry is known by it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Updated {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<FromTo<Name>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<FromTo<Scopes>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<FromTo<Labels>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<FromTo<Option<Timestamp>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<FromTo<Option<Networks>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<FromTo<Option<RateLimit>>>,
}

/// Which rule of its namespace a token would break.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Breach {
    #[error("must not be empty: every token of the namespace has a name")]
    Nameless,
    #[error("must be set: every token of the namespace has an end")]
    Endless,
    #[error("must not be after {latest}: so long a token of the namespace may live")]
    TooLong { latest: Timestamp },
    #[error("{0} is not in the catalogue of the namespace")]
    ScopeUnknown(Scope),
    #[error("{0} {NotPermission}")]
    ScopeNoPermission(Scope),
}

/// A token that is not revoked may be updated; `None`: it is just so already.
///
/// An expired token stays expired. Nobody is told of an expiry, so whoever kept the secret may have let go of it as
/// of something dead, and whoever revokes what is alive passes it over.
pub fn update(token: &Token, asked: &Update, now: Timestamp) -> Result<Option<TokenChange>, Refused> {
    let state = token.state(now);
    if state == State::Revoked {
        return Err(Refused::Revoked);
    }
    let updated = asked.of(token);
    if let Some(FromTo { from, to }) = &updated.expire_time
        && from != to
    {
        if state == State::Expired {
            return Err(Refused::Expired);
        }
        if let Some(expire_time) = to.filter(|end| *end <= now) {
            return Err(Refused::PastEnd { expire_time, now });
        }
    }
    Ok(updated.changes().then(|| TokenChange::Updated(Box::new(updated))))
}

impl Update {
    fn of(&self, token: &Token) -> Updated {
        fn from_to<T: Clone>(from: &T, to: Option<&T>) -> Option<FromTo<T>> {
            to.map(|to| FromTo {
                from: from.clone(),
                to: to.clone(),
            })
        }
        Updated {
            name: from_to(&token.name, self.name.as_ref()),
            scopes: from_to(&token.scopes, self.scopes.as_ref()),
            labels: from_to(&token.labels, self.labels.as_ref()),
            expire_time: from_to(&token.expire_time, self.expire_time.as_ref().map(|To(end)| end)),
            networks: from_to(&token.networks, self.networks.as_ref().map(|To(to)| to)),
            rate_limit: from_to(&token.rate_limit, self.rate_limit.as_ref().map(|To(to)| to)),
        }
    }
}

impl Updated {
    /// What was asked for.
    pub fn asked(&self) -> Update {
        fn to<T: Clone>(field: Option<&FromTo<T>>) -> Option<T> {
            field.map(|field| field.to.clone())
        }
        Update {
            name: to(self.name.as_ref()),
            scopes: to(self.scopes.as_ref()),
            labels: to(self.labels.as_ref()),
            expire_time: to(self.expire_time.as_ref()).map(To),
            networks: to(self.networks.as_ref()).map(To),
            rate_limit: to(self.rate_limit.as_ref()).map(To),
        }
    }

    fn changes(&self) -> bool {
        fn changes<T: PartialEq>(field: Option<&FromTo<T>>) -> bool {
            field.is_some_and(|field| field.from != field.to)
        }
        changes(self.name.as_ref())
            || changes(self.scopes.as_ref())
            || changes(self.labels.as_ref())
            || changes(self.expire_time.as_ref())
            || changes(self.networks.as_ref())
            || changes(self.rate_limit.as_ref())
    }

    /// Whether the token may do less afterwards, or less often: whoever has kept an answer must ask again. A rate
    /// limit counts whichever way it goes, for what the namespace said in its place is not known here.
    pub fn narrows(&self) -> bool {
        let scopes = self.scopes.as_ref();
        let end = self.expire_time.as_ref();
        let networks = self.networks.as_ref();
        let limit = self.rate_limit.as_ref();
        scopes.is_some_and(|scopes| scopes.from.missing_from(&scopes.to).is_some())
            || end.is_some_and(|end| is_later(end.from, end.to))
            || networks.is_some_and(|networks| !reach(networks.to.as_ref(), networks.from.as_ref()))
            || limit.is_some_and(|limit| limit.from != limit.to)
    }

    /// Whether the token may do more afterwards, or for longer: as if it were issued anew.
    pub fn widens(&self) -> bool {
        let scopes = self.scopes.as_ref();
        let end = self.expire_time.as_ref();
        scopes.is_some_and(|scopes| scopes.to.missing_from(&scopes.from).is_some())
            || end.is_some_and(|end| is_later(end.to, end.from))
    }

    /// Whether what is new is as the namespace wants it; what was so before was let through then.
    pub fn check(&self, policy: &Policy, token: &Token) -> Result<(), Breach> {
        let name = self.name.as_ref().filter(|name| name.from != name.to);
        if policy.name_required && name.is_some_and(|name| name.to.as_str().is_empty()) {
            return Err(Breach::Nameless);
        }
        let end = self.expire_time.as_ref().filter(|end| end.from != end.to);
        if let Some(FromTo { to: end, .. }) = end {
            check_end(*end, policy, token.create_time)?;
        }
        let Some(scopes) = &self.scopes else {
            return Ok(());
        };
        let added = scopes.from.missing(&scopes.to);
        if token.namespace.as_str() == Slug::SYSTEM {
            let no_permission = |scope: &&Scope| Permission::parse(scope.as_str()).is_err();
            if let Some(scope) = added.iter().find(no_permission) {
                return Err(Breach::ScopeNoPermission(scope.clone()));
            }
        }
        match added.missing_from(&policy.scope_catalogue) {
            Some(scope) if !policy.scope_catalogue.is_empty() => Err(Breach::ScopeUnknown(scope)),
            _ => Ok(()),
        }
    }
}

/// Whether a token that was issued at `create_time` may end then.
fn check_end(end: Option<Timestamp>, policy: &Policy, create_time: Timestamp) -> Result<(), Breach> {
    let latest = |span: Span| create_time.after(span.duration()).unwrap_or(Timestamp::MAX);
    match (end, policy.lifetime_max.map(latest)) {
        (None, None) if policy.expiry_required => Err(Breach::Endless),
        (end, Some(latest)) if end.is_none_or(|end| end > latest) => Err(Breach::TooLong { latest }),
        _ => Ok(()),
    }
}

impl Breach {
    /// The field at fault.
    pub fn field(&self) -> &'static str {
        match self {
            Breach::Nameless => "name",
            Breach::Endless | Breach::TooLong { .. } => "expire_time",
            Breach::ScopeUnknown(_) | Breach::ScopeNoPermission(_) => "scopes",
        }
    }
}

/// Whether `one` end comes after `other`; none is the latest.
fn is_later(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    match (one, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(one), Some(other)) => one > other,
    }
}

/// Whether the networks `wide` reach wherever `narrow` do; none reach everywhere.
fn reach(wide: Option<&Networks>, narrow: Option<&Networks>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => wide.cover(narrow),
    }
}

#[cfg(test)]
mod tests;
