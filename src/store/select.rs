//! Reading tokens by what is known of them: in one order, a bounded number of rows a read.

use std::collections::HashMap;

use super::READ_MAX;
use crate::journal::Stored;
use crate::token::Token;
use crate::token::id::TokenId;
use crate::token::order::{End, Order, OrderBy, Place};
use crate::token::selector::Filter;
use crate::token::standing::Standing;
use crate::token::time::Timestamp;

/// A read looks at so many rows for each token it may answer with: a filter that matches little must not read a whole
/// namespace at once.
pub const READS_MAX: u32 = 10;

/// Which tokens are wanted, and from where on.
#[derive(Clone, Debug)]
pub struct Selection {
    /// It names a namespace or ids.
    pub filter: Filter,
    pub order: Order,
    /// Only what comes after it, in that order.
    pub after: Option<Place>,
    /// At most [`READ_MAX`] tokens.
    pub limit: u32,
}

/// Some of the tokens wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slice {
    /// In the order asked for.
    pub tokens: Vec<Stored<Token>>,
    /// The place up to which all was looked at; `None`: there is nothing after it.
    pub next: Option<Place>,
}

/// How many of the tokens looked at are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Count {
    pub tokens: u64,
    /// As that of a [`Slice`].
    pub next: Option<Place>,
}

/// A token that was named by its id, and what is said of its subject.
pub(super) type Named = (Stored<Token>, Option<Standing>);

/// When tokens were last used; one that is not there never was.
pub(super) type LastUses = HashMap<TokenId, Timestamp>;

/// By which index a read goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Path {
    CreateTime,
    Name,
    ExpireTime,
    /// The tokens that never end, by id: one end of the order of expire times.
    Never,
    Subject,
}

/// The places between which a read looks, in the direction of its order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stretch {
    pub path: Path,
    /// Not included.
    pub near: Place,
    /// Included.
    pub far: Place,
    /// From where on another read goes, when this stretch is at its end; `None`: there is nothing after it.
    pub then: Option<Place>,
}

impl Selection {
    /// Of what is counted, the next so many rows; the way goes forwards.
    pub(super) fn to_count(filter: Filter, by: OrderBy, after: Option<Place>) -> Selection {
        Selection {
            filter,
            order: Order::ascending(by),
            after,
            limit: READ_MAX,
        }
    }

    /// So many rows are looked at, at most.
    pub(super) fn reads(&self) -> u32 {
        self.limit.min(READ_MAX) * READS_MAX
    }

    /// Whether a row in its span may be one that is not wanted.
    pub(super) fn is_filtered(&self) -> bool {
        let Filter {
            selector,
            issued_until,
            secret_before,
            ..
        } = &self.filter;
        selector.narrows() || issued_until.is_some() || secret_before.is_some()
    }

    /// By which order it goes. The tokens of one subject lie together, in the order of their create time.
    fn goes_by(&self) -> OrderBy {
        match (self.order.by, &self.filter.selector.subject) {
            (OrderBy::CreateTime, Some(_)) => OrderBy::Subject,
            (by, _) => by,
        }
    }

    /// Where it looks.
    pub(super) fn stretch(&self) -> Stretch {
        let (mut from, mut to) = self.bounds();
        let descending = self.order.descending;
        if let Some(after) = &self.after {
            let after = self.on_path(after.clone());
            if descending {
                to = to.min(after);
            } else {
                from = from.max(after);
            }
        }
        // What never ends lies by itself: SQL knows no instant that comes after all others.
        let never = Place::ExpireTime(End::NEVER, TokenId::BEFORE_ALL);
        let mut then = None;
        let path = match self.goes_by() {
            OrderBy::CreateTime => Path::CreateTime,
            OrderBy::Name => Path::Name,
            OrderBy::Subject => Path::Subject,
            OrderBy::ExpireTime if from >= never => Path::Never,
            OrderBy::ExpireTime if to <= never => Path::ExpireTime,
            OrderBy::ExpireTime => {
                then = Some(never.clone());
                if descending {
                    from = never;
                    Path::Never
                } else {
                    to = never;
                    Path::ExpireTime
                }
            }
        };
        let (near, far) = if descending { (to, from) } else { (from, to) };
        Stretch {
            path,
            near,
            far,
            then,
        }
    }

    /// The first place there may be, not included, and the last. No token has the id that stands at either end.
    fn bounds(&self) -> (Place, Place) {
        let selector = &self.filter.selector;
        let created = selector.created;
        let from = created.from.unwrap_or(Timestamp::MIN);
        let to = match created.before {
            Some(before) => (before, TokenId::BEFORE_ALL),
            None => (Timestamp::MAX, TokenId::AFTER_ALL),
        };
        match (self.goes_by(), &selector.subject) {
            (OrderBy::CreateTime, _) => (
                Place::CreateTime(from, TokenId::BEFORE_ALL),
                Place::CreateTime(to.0, to.1),
            ),
            (OrderBy::Subject, Some(subject)) => {
                let subject = || subject.as_str().to_owned();
                (
                    Place::Subject(subject(), from, TokenId::BEFORE_ALL),
                    Place::Subject(subject(), to.0, to.1),
                )
            }
            (OrderBy::Subject, None) => Place::of_subjects(None),
            (OrderBy::Name, _) => Place::of_names(selector.name_prefix.as_ref()),
            (OrderBy::ExpireTime, _) => {
                let from = selector.expires.from.unwrap_or(Timestamp::MIN);
                let to = match selector.expires.before {
                    Some(before) => (End::of(Some(before)), TokenId::BEFORE_ALL),
                    None => (End::NEVER, TokenId::AFTER_ALL),
                };
                (
                    Place::ExpireTime(End::of(Some(from)), TokenId::BEFORE_ALL),
                    Place::ExpireTime(to.0, to.1),
                )
            }
        }
    }

    fn on_path(&self, place: Place) -> Place {
        match (place, self.goes_by(), &self.filter.selector.subject) {
            (Place::CreateTime(time, id), OrderBy::Subject, Some(subject)) => {
                Place::Subject(subject.as_str().to_owned(), time, id)
            }
            (place, _, _) => place,
        }
    }

    /// A place on its path, in terms of its order.
    pub(super) fn in_order(&self, place: Place) -> Place {
        match (place, self.order.by) {
            (Place::Subject(_, time, id), OrderBy::CreateTime) => Place::CreateTime(time, id),
            (place, _) => place,
        }
    }

    /// What is answered where the first `limit` of these tokens are all that was wanted up to `end`.
    pub(super) fn slice(&self, tokens: Vec<Stored<Token>>, end: Option<Place>) -> Slice {
        let is_full = tokens.len() >= self.limit as usize;
        let last = tokens.last().map(|stored| self.order.place(&stored.record));
        Slice {
            next: if is_full {
                last
            } else {
                end.map(|end| self.in_order(end))
            },
            tokens,
        }
    }

    fn names(&self, (stored, standing): &Named, last_use: impl Fn(TokenId) -> Option<Timestamp>) -> bool {
        let token = &stored.record;
        self.filter.matches(token, standing.as_ref(), last_use(token.id))
    }

    /// How many of `named`, the tokens with the ids that were named, are wanted.
    pub(super) fn count_of_ids(
        &self,
        named: &[Named],
        last_use: impl Fn(TokenId) -> Option<Timestamp>,
    ) -> Count {
        let wanted = named.iter().filter(|named| self.names(named, &last_use));
        Count {
            tokens: wanted.count() as u64,
            next: None,
        }
    }

    /// What is answered out of `named`, which are all those whose ids were named.
    pub(super) fn slice_of(
        &self,
        named: Vec<Named>,
        last_use: impl Fn(TokenId) -> Option<Timestamp>,
    ) -> Slice {
        let place = |stored: &Stored<Token>| self.order.place(&stored.record);
        let is_next = |stored: &Stored<Token>| {
            let after = self.after.as_ref();
            after.is_none_or(|after| self.order.is_after(&place(stored), after))
        };
        let mut tokens: Vec<_> = named
            .into_iter()
            .filter(|named| self.names(named, &last_use) && is_next(&named.0))
            .map(|(stored, _)| stored)
            .collect();
        self.order.sort(&mut tokens, place);
        tokens.truncate(self.limit as usize);
        self.slice(tokens, None)
    }
}
