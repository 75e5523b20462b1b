//! Update: what of a token may be changed in place, what that takes away, and what it adds.

use serde::{Deserialize, Serialize};

use super::breach::{self, Breach};
use super::change::{Refused, TokenChange};
use super::from_to::FromTo;
use super::id::Slug;
use super::network::Networks;
use super::policy::{Policy, RateLimit};
use super::scope::{Labels, Scopes};
use super::text::Name;
use super::time::Timestamp;
use super::{State, Token};

/// What an update calls the end of a token.
pub const END: &str = "expire_time";

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

    /// The first rule that what is new breaks; what was so before was let through then.
    pub fn check(&self, policy: &Policy, token: &Token) -> Result<(), Breach> {
        fn new<T: PartialEq>(field: Option<&FromTo<T>>) -> Option<&T> {
            field
                .filter(|field| field.from != field.to)
                .map(|field| &field.to)
        }
        let name = new(self.name.as_ref()).and_then(|name| breach::of_name(policy, name));
        let end = new(self.expire_time.as_ref());
        let end = end.and_then(|end| breach::of_end(policy, token.create_time, *end));
        let added = self.scopes.as_ref().map(|scopes| scopes.from.missing(&scopes.to));
        let added = added.unwrap_or_default();
        let scopes = if token.namespace.as_str() == Slug::SYSTEM {
            breach::of_permissions(&added).into_iter().next()
        } else {
            breach::of_scopes(policy, &added)
        };
        let breach = name.into_iter().chain(end).chain(scopes).next();
        breach.map_or(Ok(()), Err)
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
