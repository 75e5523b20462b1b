//! Whose tokens these are, and which namespace a text belongs to.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Withdrawal;
use super::format::{Format, Prefix};
use super::id::Slug;
use super::policy::Policy;
use super::text::Name;
use super::time::Timestamp;

/// A namespace: a format, a policy, a wall.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Namespace {
    pub slug: Slug,
    pub display_name: Name,
    pub format: Format,
    #[serde(default)]
    pub policy: Policy,
    /// What was issued up to its instant, that included, is revoked. It never goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Withdrawal>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
}

impl Namespace {
    /// Names this state of the namespace (AIP-154): no two states share it.
    pub fn etag(&self) -> String {
        format!("{:x}", self.update_time.micros())
    }
}

/// Every namespace, found by slug or by the beginning of a token's text.
#[derive(Clone, Default, Debug)]
pub struct Directory {
    by_slug: BTreeMap<Slug, Arc<Namespace>>,
    by_prefix: BTreeMap<Prefix, Arc<Namespace>>,
}

impl Directory {
    /// Directories are held in memory by every replica; one more namespace than this is refused.
    pub const COUNT_MAX: usize = 1000;

    /// Adds `namespace`, or replaces the one with its slug.
    pub fn put(&mut self, namespace: Namespace) {
        let namespace = Arc::new(namespace);
        self.by_prefix
            .insert(namespace.format.prefix.clone(), Arc::clone(&namespace));
        self.by_slug.insert(namespace.slug.clone(), namespace);
    }

    pub fn get(&self, slug: &Slug) -> Option<&Arc<Namespace>> {
        self.by_slug.get(slug)
    }

    /// In slug order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Namespace>> {
        self.by_slug.values()
    }

    pub fn len(&self) -> usize {
        self.by_slug.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_slug.is_empty()
    }

    /// The namespace whose prefix `text` begins with.
    pub fn detect(&self, text: &str) -> Option<&Arc<Namespace>> {
        // No prefix begins another, so the greatest one that sorts before the text is the only candidate.
        let (prefix, namespace) = self
            .by_prefix
            .range::<str, _>((Bound::Unbounded, Bound::Included(text)))
            .next_back()?;
        text.starts_with(prefix.as_str()).then_some(namespace)
    }

    /// A namespace whose prefix overlaps `prefix`.
    pub fn overlapping(&self, prefix: &Prefix) -> Option<&Arc<Namespace>> {
        self.by_slug
            .values()
            .find(|namespace| namespace.format.prefix.overlaps(prefix))
    }
}

impl std::borrow::Borrow<str> for Prefix {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

#[cfg(test)]
mod tests;
