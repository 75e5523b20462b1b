//! What a token may be used for, and how tokens are labelled.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::LabelValue;

/// One permission, by an exact name: `[a-z0-9._:/*-]{1,100}`, such as `read` or `tasks:write`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

/// The permissions of a token: a set of at most [`Scopes::COUNT_MAX`], in one canonical order.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(BTreeSet<Scope>);

/// The name of a label: `[a-z][a-z0-9_.-]{0,62}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabelKey(String);

/// Key and value pairs people sort their tokens by: at most [`Labels::COUNT_MAX`].
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<LabelKey, LabelValue>",
    into = "BTreeMap<LabelKey, LabelValue>"
)]
pub struct Labels(BTreeMap<LabelKey, LabelValue>);

/// Why a scope or label was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScopeError {
    #[error("must match [a-z0-9._:/*-]{{1,100}}")]
    NotScope,
    #[error("must match [a-z][a-z0-9_.-]{{0,62}}")]
    NotLabelKey,
    #[error("must have at most {max} elements, not {count}")]
    TooMany { max: usize, count: usize },
}

impl Scope {
    pub const CHARS_MAX: usize = 100;

    /// As a permission: everything.
    pub fn everything() -> Scope {
        Scope("*".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Scope, ScopeError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._:/*-".contains(&b);
        let well_formed = (1..=Scope::CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed);
        well_formed.then_some(Scope(text)).ok_or(ScopeError::NotScope)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> String {
        scope.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Scopes {
    pub const COUNT_MAX: usize = 64;

    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Those of `required` that are not here, in canonical order. Names are compared exactly: a `*`
    /// is a character like any other.
    pub fn missing(&self, required: &Scopes) -> Scopes {
        Scopes(required.0.difference(&self.0).cloned().collect())
    }

    /// The first of these that is not among `others`.
    pub fn missing_from(&self, others: &Scopes) -> Option<Scope> {
        self.0.difference(&others.0).next().cloned()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }
}

impl TryFrom<Vec<Scope>> for Scopes {
    type Error = ScopeError;

    fn try_from(scopes: Vec<Scope>) -> Result<Scopes, ScopeError> {
        match scopes.len() {
            count if count > Scopes::COUNT_MAX => Err(ScopeError::TooMany {
                max: Scopes::COUNT_MAX,
                count,
            }),
            _ => Ok(Scopes(scopes.into_iter().collect())),
        }
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Vec<Scope> {
        scopes.0.into_iter().collect()
    }
}

impl TryFrom<String> for LabelKey {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<LabelKey, ScopeError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b);
        let well_formed = text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(allowed);
        well_formed
            .then_some(LabelKey(text))
            .ok_or(ScopeError::NotLabelKey)
    }
}

impl From<LabelKey> for String {
    fn from(key: LabelKey) -> String {
        key.0
    }
}

impl Labels {
    pub const COUNT_MAX: usize = 32;

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.0.as_str(), value.as_str()))
    }

    /// Whether all of `others` are here, with the same values.
    pub fn include(&self, others: &Labels) -> bool {
        others.0.iter().all(|(key, value)| self.0.get(key) == Some(value))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeMap<LabelKey, LabelValue>> for Labels {
    type Error = ScopeError;

    fn try_from(labels: BTreeMap<LabelKey, LabelValue>) -> Result<Labels, ScopeError> {
        match labels.len() {
            count if count > Labels::COUNT_MAX => Err(ScopeError::TooMany {
                max: Labels::COUNT_MAX,
                count,
            }),
            _ => Ok(Labels(labels)),
        }
    }
}

impl From<Labels> for BTreeMap<LabelKey, LabelValue> {
    fn from(labels: Labels) -> BTreeMap<LabelKey, LabelValue> {
        labels.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(names: &[&str]) -> Result<Scopes, ScopeError> {
        let scopes: Result<Vec<Scope>, ScopeError> =
            names.iter().map(|n| Scope::try_from((*n).to_owned())).collect();
        Scopes::try_from(scopes?)
    }

    #[test]
    fn missing_names_what_is_not_granted() -> Result<(), ScopeError> {
        let granted = scopes(&["write", "read"])?;
        assert_eq!(granted.missing(&scopes(&["read"])?), scopes(&[])?);
        assert_eq!(
            granted.missing(&scopes(&["read", "admin", "delete"])?),
            scopes(&["admin", "delete"])?
        );
        assert_eq!(scopes(&["*"])?.missing(&scopes(&["read"])?), scopes(&["read"])?);
        Ok(())
    }

    #[test]
    fn bounds() {
        for name in ["", "Read", "a b", "é", &"a".repeat(101)] {
            assert_eq!(
                Scope::try_from(name.to_owned()),
                Err(ScopeError::NotScope),
                "{name}"
            );
        }
        let many: Vec<String> = (0..65).map(|n| format!("s{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(scopes(&many), Err(ScopeError::TooMany { max: 64, count: 65 }));
        assert_eq!(
            LabelKey::try_from("Device".to_owned()),
            Err(ScopeError::NotLabelKey)
        );
    }
}
