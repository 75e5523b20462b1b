//! A text belongs to exactly the namespace whose prefix it begins with.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::token::samples::{name, namespace, prefix, slug};

/// Prefixes over so few letters that many overlap.
fn crowded_prefix() -> impl Strategy<Value = Prefix> {
    "[ab][ab_]{0,3}_".prop_map(|text| prefix(&text))
}

/// Those of `wanted` that do not overlap one before them, each in a namespace of its own.
fn directory_of(wanted: Vec<Prefix>) -> (Directory, Vec<Prefix>) {
    let mut directory = Directory::default();
    let mut taken = Vec::new();
    for prefix in wanted {
        if directory.overlapping(&prefix).is_none() {
            directory.put(namespace(&format!("n{}", taken.len()), prefix.as_str()));
            taken.push(prefix);
        }
    }
    (directory, taken)
}

#[test]
fn putting_a_namespace_again_replaces_it() {
    let mut directory = Directory::default();
    assert!(directory.is_empty());
    directory.put(namespace("notes", "kn_"));
    directory.put(namespace("tasks", "kt_"));
    let renamed = Namespace {
        display_name: name("Krokanti Notes"),
        ..namespace("notes", "kn_")
    };
    directory.put(renamed.clone());
    assert_eq!(directory.len(), 2);
    assert_eq!(
        directory.get(&slug("notes")).map(|kept| Namespace::clone(kept)),
        Some(renamed.clone())
    );
    assert_eq!(
        directory.detect("kn_0").map(|kept| Namespace::clone(kept)),
        Some(renamed)
    );
    assert_eq!(directory.get(&slug("note")), None);
}

proptest! {
    #[test]
    fn detect_finds_what_a_scan_finds(
        wanted in vec(crowded_prefix(), 0..12),
        texts in vec("[ab_]{0,8}", 1..20),
        stray: String,
    ) {
        let (directory, taken) = directory_of(wanted);
        let longer = taken.iter().map(|prefix| format!("{}{stray}", prefix.as_str()));
        let texts: Vec<_> = texts.into_iter().chain(longer).chain([stray.clone()]).collect();
        for text in texts {
            let found = directory.detect(&text).map(|namespace| &namespace.format.prefix);
            let scanned = taken.iter().find(|prefix| text.starts_with(prefix.as_str()));
            prop_assert_eq!(found, scanned, "{}", text);
        }
    }

    #[test]
    fn overlapping_prefixes_are_found(wanted in vec(crowded_prefix(), 0..6), other in crowded_prefix()) {
        let (directory, taken) = directory_of(wanted);
        let (found, other) = (directory.overlapping(&other), other.as_str());
        let scanned = taken
            .iter()
            .any(|taken| taken.as_str().starts_with(other) || other.starts_with(taken.as_str()));
        prop_assert_eq!(found.is_some(), scanned);
        if let Some(found) = found {
            prop_assert!(found.format.prefix.overlaps(&prefix(other)));
        }
    }
}
