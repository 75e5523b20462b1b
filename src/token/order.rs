//! In which order tokens are listed, and where in it each stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Token;
use super::id::TokenId;
use super::text::{Name, Subject};
use super::time::Timestamp;

/// By what tokens are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub enum OrderBy {
    #[default]
    CreateTime,
    /// Byte by byte, in UTF-8.
    Name,
    /// Those that never end come after all others.
    ExpireTime,
    /// As names are; the tokens of one subject by create time.
    Subject,
}

/// An order of tokens: total, for ids break ties.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Order {
    pub by: OrderBy,
    pub descending: bool,
}

/// A text that is no order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be create_time, name, expire_time or subject, and may be followed by asc or desc")]
pub struct NotOrder;

/// Where a token stands among others, ascending. Places in different orders are not compared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    CreateTime(Timestamp, TokenId),
    Name(String, TokenId),
    ExpireTime(End, TokenId),
    Subject(String, Timestamp, TokenId),
}

/// When a token ends, in microseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct End(i64);

impl End {
    pub const NEVER: End = End(i64::MAX);

    pub fn of(expire_time: Option<Timestamp>) -> End {
        expire_time.map_or(End::NEVER, |end| End(end.micros()))
    }

    pub fn micros(self) -> i64 {
        self.0
    }
}

impl OrderBy {
    const ALL: [OrderBy; 4] = [
        OrderBy::CreateTime,
        OrderBy::Name,
        OrderBy::ExpireTime,
        OrderBy::Subject,
    ];

    fn as_str(self) -> &'static str {
        match self {
            OrderBy::CreateTime => "create_time",
            OrderBy::Name => "name",
            OrderBy::ExpireTime => "expire_time",
            OrderBy::Subject => "subject",
        }
    }

    pub fn place(self, token: &Token) -> Place {
        match self {
            OrderBy::CreateTime => Place::CreateTime(token.create_time, token.id),
            OrderBy::Name => Place::Name(token.name.as_str().to_owned(), token.id),
            OrderBy::ExpireTime => Place::ExpireTime(End::of(token.expire_time), token.id),
            OrderBy::Subject => {
                Place::Subject(token.subject.as_str().to_owned(), token.create_time, token.id)
            }
        }
    }
}

impl Order {
    pub const fn ascending(by: OrderBy) -> Order {
        Order {
            by,
            descending: false,
        }
    }

    pub fn place(self, token: &Token) -> Place {
        self.by.place(token)
    }

    /// Whether a token at `place` comes after one at `other`.
    pub fn is_after(self, place: &Place, other: &Place) -> bool {
        if self.descending {
            place < other
        } else {
            place > other
        }
    }

    /// Sorts by the places that `key` names.
    pub fn sort<T>(self, items: &mut [T], key: impl Fn(&T) -> Place) {
        items.sort_by_cached_key(key);
        if self.descending {
            items.reverse();
        }
    }
}

impl fmt::Display for OrderBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Order {
    type Err = NotOrder;

    /// As in `order_by` (AIP-132): a field, and maybe a direction. Nothing is the default order.
    fn from_str(text: &str) -> Result<Order, NotOrder> {
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let Some(field) = words.next() else {
            return Ok(Order::default());
        };
        let by = OrderBy::ALL.into_iter().find(|by| by.as_str() == field);
        let descending = match (words.next(), words.next()) {
            (None | Some("asc"), None) => false,
            (Some("desc"), None) => true,
            _ => return Err(NotOrder),
        };
        Ok(Order {
            by: by.ok_or(NotOrder)?,
            descending,
        })
    }
}

/// Longer than any name or subject: no such text sorts after it that begins as what it is appended to.
const BEYOND: usize = 201;

/// The span of places, `from` excluded and `to` included, that tokens can have whose key begins with a text.
pub(crate) fn beginning_with(prefix: &str) -> (String, String) {
    let beyond = prefix.chars().chain([char::MAX; BEYOND]).collect();
    (prefix.to_owned(), beyond)
}

impl Place {
    /// Before that of every token whose name begins so, and after that.
    pub fn of_names(prefix: Option<&Name>) -> (Place, Place) {
        let (from, to) = beginning_with(prefix.map_or("", Name::as_str));
        (
            Place::Name(from, TokenId::BEFORE_ALL),
            Place::Name(to, TokenId::AFTER_ALL),
        )
    }

    /// Before those of the tokens of this subject, or of every one, and after them.
    pub fn of_subjects(subject: Option<&Subject>) -> (Place, Place) {
        let (from, to) = match subject {
            Some(subject) => (subject.as_str().to_owned(), subject.as_str().to_owned()),
            None => beginning_with(""),
        };
        (
            Place::Subject(from, Timestamp::MIN, TokenId::BEFORE_ALL),
            Place::Subject(to, Timestamp::MAX, TokenId::AFTER_ALL),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_spelt_as_in_aip_132() {
        let order = |by, descending| Ok(Order { by, descending });
        for (text, parsed) in [
            ("", order(OrderBy::CreateTime, false)),
            ("create_time", order(OrderBy::CreateTime, false)),
            ("name asc", order(OrderBy::Name, false)),
            ("expire_time  desc", order(OrderBy::ExpireTime, true)),
            (" subject desc ", order(OrderBy::Subject, true)),
            ("id", Err(NotOrder)),
            ("desc", Err(NotOrder)),
            ("name down", Err(NotOrder)),
            ("name,subject", Err(NotOrder)),
            ("name desc desc", Err(NotOrder)),
        ] {
            assert_eq!(text.parse(), parsed, "{text:?}");
        }
        for by in OrderBy::ALL {
            assert_eq!(by.to_string().parse(), Ok(Order::ascending(by)));
        }
    }

    #[test]
    fn what_begins_so_lies_between() {
        let longest = char::MAX.to_string().repeat(200);
        for (prefix, inside, outside) in [
            ("a", vec!["a", "ab", "a\u{10ffff}"], vec!["b", "A", "", "á"]),
            ("", vec!["", "z", longest.as_str()], vec![]),
            ("\u{10ffff}", vec!["\u{10ffff}", longest.as_str()], vec!["a"]),
        ] {
            let (from, to) = beginning_with(prefix);
            let within = |text: &str| *from <= *text && *text <= *to;
            assert!(inside.into_iter().all(within), "{prefix:?}");
            assert!(!outside.into_iter().any(within), "{prefix:?}");
        }
    }
}
