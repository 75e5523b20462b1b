//! Which tokens are meant: by what is known of them, at one instant.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::id::{Slug, TokenId};
use super::namespace::{Directory, Namespace};
use super::order::OrderBy;
use super::scope::{Labels, Scope};
use super::standing::{Above, Standing};
use super::text::{Name, Subject};
use super::time::Timestamp;
use super::{State, Token, Withdrawal};

/// What tokens are selected by. Each criterion narrows; what is empty or absent does not.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Selector {
    /// Only these; at most [`Selector::IDS_MAX`].
    pub ids: BTreeSet<TokenId>,
    /// Byte for byte, as all texts are compared here.
    pub name_prefix: Option<Name>,
    pub name_contains: Option<Name>,
    pub scope: Option<Scope>,
    pub subject: Option<Subject>,
    /// All of these, with these values.
    pub labels: Labels,
    /// Those that tokens are shown in: what is said of the subject and the namespace counts.
    pub states: States,
    pub created: Period,
    /// A token that never ends does so in no period.
    pub expires: Period,
    /// Those in force or suspended whose current secret is due for rotation before this instant.
    pub rotation_due_before: Option<Timestamp>,
    /// When it was last used. A token that was never used was so in no period.
    pub used: Period,
    /// Those that were not used at this instant or after it. One that was never used counts from its issue.
    pub unused_since: Option<Timestamp>,
}

/// A selector at one instant, in one namespace: with what is said of a token's subject, all that is needed to tell whether
/// the token is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    /// Where the token must be; `None`: anywhere, where ids are named.
    pub namespace: Option<Slug>,
    pub selector: Selector,
    /// When a token's state is asked for.
    pub at: Timestamp,
    /// Only what was issued up to this instant, to the millisecond.
    pub issued_until: Option<Timestamp>,
    /// Only tokens whose current secret was made before this.
    pub secret_before: Option<Timestamp>,
    /// Of each namespace where a token may be, as far as it has one: what was issued up to then is revoked.
    pub not_before: BTreeMap<Slug, Withdrawal>,
}

/// Some of the states.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub struct States(u8);

/// From an instant on, up to another one that it does not include.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Period {
    pub from: Option<Timestamp>,
    pub before: Option<Timestamp>,
}

impl States {
    pub const ALL: States = States(0b1111);
    /// What was not revoked.
    pub const UNREVOKED: States = States(0b1011);
    const NONE: States = States(0);
    const ROTATED: States = States(0b0011);

    /// Its bit; the stores' statements have the same.
    fn bit(state: State) -> u8 {
        match state {
            State::Active => 1,
            State::Suspended => 2,
            State::Revoked => 4,
            State::Expired => 8,
        }
    }

    /// These states; none stands for all.
    pub fn of(states: impl IntoIterator<Item = State>) -> States {
        let bits = states
            .into_iter()
            .fold(0, |bits, state| bits | States::bit(state));
        if bits == 0 { States::ALL } else { States(bits) }
    }

    pub fn contains(self, state: State) -> bool {
        self.0 & States::bit(state) != 0
    }

    pub fn and(self, others: States) -> States {
        States(self.0 & others.0)
    }

    pub fn bits(self) -> u8 {
        self.0
    }
}

impl Default for States {
    fn default() -> States {
        States::ALL
    }
}

impl Period {
    pub fn contains(self, instant: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= instant) && self.before.is_none_or(|before| instant < before)
    }

    pub fn is_bounded(self) -> bool {
        self.from.is_some() || self.before.is_some()
    }
}

impl Selector {
    /// The most ids that are named at once.
    pub const IDS_MAX: usize = 1000;

    /// Whether any criterion narrows it.
    pub fn narrows(&self) -> bool {
        *self != Selector::default()
    }

    /// Whether anything it says is of how tokens were used.
    pub fn asks_for_use(&self) -> bool {
        self.used.is_bounded() || self.unused_since.is_some()
    }

    /// From when on all uses must be known, for what it says of tokens that were not used to be so.
    pub fn needs_use_since(&self) -> Option<Timestamp> {
        [self.used.before, self.unused_since].into_iter().flatten().min()
    }

    /// The order whose index leads to what is meant past the fewest others.
    pub fn order_of_search(&self) -> OrderBy {
        if self.name_prefix.is_some() && self.subject.is_none() {
            OrderBy::Name
        } else if self.expires.is_bounded() && self.subject.is_none() && !self.created.is_bounded() {
            OrderBy::ExpireTime
        } else {
            OrderBy::CreateTime
        }
    }

    /// What it means in `namespace` at an instant. A token is due for rotation only where the namespace says when.
    pub fn within(&self, namespace: &Namespace, at: Timestamp) -> Filter {
        let mut filter = Filter {
            namespace: Some(namespace.slug.clone()),
            not_before: not_before([namespace]),
            ..self.at(at)
        };
        if let Some(due) = self.rotation_due_before
            && let Some(after) = namespace.policy.rotation_due_after
        {
            filter.secret_before = Some(due.earlier(after.duration()));
            filter.selector.states = self.states.and(States::ROTATED);
        }
        filter
    }

    /// What it means at an instant where no namespace is named, and so no policy says when a rotation is due.
    pub fn anywhere(&self, directory: &Directory, at: Timestamp) -> Filter {
        Filter {
            not_before: not_before(directory.iter().map(AsRef::as_ref)),
            ..self.at(at)
        }
    }

    fn at(&self, at: Timestamp) -> Filter {
        let mut selector = self.clone();
        if selector.rotation_due_before.is_some() {
            selector.states = States::NONE;
        }
        Filter {
            namespace: None,
            selector,
            at,
            issued_until: None,
            secret_before: None,
            not_before: BTreeMap::new(),
        }
    }
}

impl Filter {
    /// Whether nothing can be meant.
    pub fn is_void(&self) -> bool {
        self.selector.states == States::NONE
    }

    /// What revoked the tokens issued up to then in the namespace that is named, if there is one.
    pub fn not_before_of_namespace(&self) -> Option<&Withdrawal> {
        self.not_before.get(self.namespace.as_ref()?)
    }

    /// What is said of a token elsewhere than in its own record, given what is said of its subject.
    pub fn above<'a>(&'a self, token: &Token, standing: Option<&'a Standing>) -> Above<'a> {
        Above {
            standing,
            not_before: self.not_before.get(&token.namespace),
        }
    }

    /// Whether the token, used last at that instant, is meant, given what is said of its subject: what every statement of a
    /// store is measured by.
    pub fn matches(&self, token: &Token, standing: Option<&Standing>, last_use: Option<Timestamp>) -> bool {
        let Selector {
            ids,
            name_prefix,
            name_contains,
            scope,
            subject,
            labels,
            states,
            created,
            expires,
            rotation_due_before: _,
            used,
            unused_since,
        } = &self.selector;
        let name = token.name.as_str();
        let current = token.current_secret().map(|kept| kept.create_time);
        self.namespace
            .as_ref()
            .is_none_or(|slug| *slug == token.namespace)
            && (ids.is_empty() || ids.contains(&token.id))
            && name_prefix
                .as_ref()
                .is_none_or(|prefix| name.starts_with(prefix.as_str()))
            && name_contains
                .as_ref()
                .is_none_or(|part| name.contains(part.as_str()))
            && scope.as_ref().is_none_or(|scope| token.scopes.contains(scope))
            && subject.as_ref().is_none_or(|subject| *subject == token.subject)
            && token.labels.include(labels)
            && states.contains(token.under(self.above(token, standing)).state(self.at))
            && created.contains(token.create_time)
            && (!expires.is_bounded() || token.expire_time.is_some_and(|end| expires.contains(end)))
            && self
                .issued_until
                .is_none_or(|until| token.id <= TokenId::after_those_of(until))
            && self
                .secret_before
                .is_none_or(|before| current.is_some_and(|made| made < before))
            && (!used.is_bounded() || last_use.is_some_and(|last| used.contains(last)))
            && unused_since.is_none_or(|since| last_use.unwrap_or(token.create_time) < since)
    }
}

fn not_before<'a>(namespaces: impl IntoIterator<Item = &'a Namespace>) -> BTreeMap<Slug, Withdrawal> {
    let said = |namespace: &Namespace| Some((namespace.slug.clone(), namespace.not_before.clone()?));
    namespaces.into_iter().filter_map(said).collect()
}

#[cfg(test)]
mod tests;
