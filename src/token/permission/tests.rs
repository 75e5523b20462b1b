use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;
use crate::token::scope::ScopeError;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn scopes(texts: &[&str]) -> Result<Scopes, ScopeError> {
    let scopes: Result<Vec<Scope>, _> = texts
        .iter()
        .map(|text| Scope::try_from((*text).to_owned()))
        .collect();
    Scopes::try_from(scopes?)
}

fn slug(text: &str) -> Result<Slug, crate::token::id::IdError> {
    Slug::try_from(text.to_owned())
}

#[test]
fn what_is_a_permission_and_what_is_not() {
    for text in [
        "*",
        "tokens.issue:notes",
        "tokens.issue:*",
        "tokens.verify.reason:notes",
        "namespaces.manage",
        "credentials.manage",
        "tokens.grant:notes:read",
        "tokens.grant:*:api:v1/*",
    ] {
        assert!(Permission::parse(text).is_ok(), "{text}");
    }
    for text in [
        "",
        "**",
        "tokens",
        "tokens.*",
        "tokens.issue",
        "tokens.issue:",
        "tokens.issue:1notes",
        "tokens.issue:notes:read",
        "tokens.grant:notes",
        "tokens.grant:notes:",
        "namespaces.manage:notes",
        "read",
    ] {
        assert_eq!(Permission::parse(text), Err(NotPermission), "{text}");
    }
}

#[test]
fn a_right_is_held_where_it_reaches() -> Outcome {
    let held = scopes(&["tokens.issue:notes", "revocations.watch:*"])?;
    let held = Permissions::of(&held);
    let (notes, tasks, system) = (slug("notes")?, slug("tasks")?, slug("system")?);
    assert!(held.allow(Right::TokensIssue, &notes));
    assert!(!held.allow(Right::TokensIssue, &tasks));
    assert!(!held.allow(Right::TokensRevoke, &notes));
    assert!(held.allow(Right::RevocationsWatch, &system));
    assert!(held.allow_somewhere(Right::TokensIssue));
    assert!(!held.allow_everywhere(Right::TokensIssue));
    assert!(held.allow_everywhere(Right::RevocationsWatch));
    assert_eq!(held.named(Right::TokensIssue).collect::<Vec<_>>(), [notes]);
    Ok(())
}

#[test]
fn every_namespace_leaves_out_that_of_the_credentials() -> Outcome {
    let system = slug("system")?;
    for right in Right::ALL.into_iter().filter(|right| right.spares_credentials()) {
        let every = scopes(&[&format!("{right}:*")])?;
        assert!(!Permissions::of(&every).allow(right, &system), "{right}");
        let named = scopes(&[&format!("{right}:system")])?;
        assert!(Permissions::of(&named).allow(right, &system), "{right}");
    }
    let managing = scopes(&["credentials.manage"])?;
    let managing = Permissions::of(&managing);
    for right in Right::ALL.into_iter().filter(|right| right.is_management()) {
        assert!(managing.allow(right, &system), "{right}");
        assert!(managing.allow_somewhere(right), "{right}");
        assert!(!managing.allow(right, &slug("notes")?), "{right}");
    }
    assert!(!managing.allow(Right::TokensVerify, &system));
    Ok(())
}

#[test]
fn scopes_are_granted_by_name_or_by_their_beginning() -> Outcome {
    let held = scopes(&["tokens.grant:notes:read", "tokens.grant:notes:api/*"])?;
    let held = Permissions::of(&held);
    let refused = |namespace: &str, wanted: &[&str]| -> Result<Option<String>, Box<dyn std::error::Error>> {
        let first = held.first_not_grantable(&slug(namespace)?, &scopes(wanted)?);
        Ok(first.map(|scope| scope.to_string()))
    };
    assert_eq!(refused("notes", &["read", "api/v1", "api/"])?, None);
    assert_eq!(refused("notes", &[])?, None);
    assert_eq!(
        refused("notes", &["read", "readwrite"])?.as_deref(),
        Some("readwrite")
    );
    assert_eq!(refused("notes", &["*"])?.as_deref(), Some("*"));
    assert_eq!(refused("tasks", &["read"])?.as_deref(), Some("read"));
    Ok(())
}

#[test]
fn nobody_holds_more_than_everything_or_passes_on_what_it_lacks() -> Outcome {
    let admin = scopes(&["*"])?;
    let issuer = scopes(&["tokens.issue:*", "tokens.grant:notes:read*"])?;
    let not_held = |mine: &Scopes, theirs: &[&str]| -> Result<Option<String>, ScopeError> {
        let first = Permissions::of(mine).first_not_held(&scopes(theirs)?);
        Ok(first.map(|scope| scope.to_string()))
    };
    assert_eq!(
        not_held(&admin, &["*", "tokens.issue:system", "no.permission"])?,
        None
    );
    for within in [
        "tokens.issue:*",
        "tokens.issue:notes",
        "tokens.grant:notes:read",
        "tokens.grant:notes:read*",
        "tokens.grant:notes:read/*",
    ] {
        assert_eq!(not_held(&issuer, &[within])?, None, "{within}");
    }
    for beyond in [
        "*",
        "tokens.issue:system",
        "tokens.revoke:notes",
        "namespaces.manage",
        "tokens.grant:notes:*",
        "tokens.grant:notes:rea*",
        "tokens.grant:*:read",
        "tokens.grant:tasks:read",
        "no.permission",
    ] {
        assert_eq!(not_held(&issuer, &[beyond])?.as_deref(), Some(beyond));
    }
    Ok(())
}

#[test]
fn roles_are_made_of_permissions() {
    for role in Role::ALL {
        assert_eq!(role.as_str().parse(), Ok(role));
        for namespace in ["notes", "*"] {
            for permission in role.permissions(namespace) {
                assert!(Permission::parse(&permission).is_ok(), "{permission}");
            }
        }
    }
    assert_eq!("root".parse::<Role>(), Err(NotRole));
}

fn any_permission() -> impl Strategy<Value = String> {
    let namespace = prop_oneof![Just("*"), Just("notes"), Just("tasks"), Just("system")];
    let right = proptest::sample::select(&Right::ALL[..]);
    let pattern = prop_oneof![
        Just("*"),
        Just("read"),
        Just("read*"),
        Just("r*"),
        Just("r**"),
        Just("write")
    ];
    prop_oneof![
        1 => Just("*".to_owned()),
        6 => (right, namespace.clone()).prop_map(|(right, namespace)| {
            if right.is_reaching() { format!("{right}:{namespace}") } else { right.to_string() }
        }),
        2 => (namespace, pattern).prop_map(|(namespace, pattern)| format!("{GRANT}:{namespace}:{pattern}")),
    ]
}

proptest! {
    /// Whoever passes the check of what may be handed on can do all that the receiver can.
    #[test]
    fn what_is_held_covers_all_that_it_allows(
        mine in proptest::collection::vec(any_permission(), 0..6),
        theirs in proptest::collection::vec(any_permission(), 0..6),
    ) {
        let fail = |error: &dyn fmt::Display| TestCaseError::fail(error.to_string());
        let mine = scopes(&mine.iter().map(String::as_str).collect::<Vec<_>>()).map_err(|e| fail(&e))?;
        let theirs = scopes(&theirs.iter().map(String::as_str).collect::<Vec<_>>()).map_err(|e| fail(&e))?;
        let (own, other) = (Permissions::of(&mine), Permissions::of(&theirs));
        prop_assume!(own.first_not_held(&theirs).is_none());
        for namespace in ["notes", "tasks", "other", "system"] {
            let namespace = slug(namespace).map_err(|e| fail(&e))?;
            for right in Right::ALL {
                prop_assert!(!other.allow(right, &namespace) || own.allow(right, &namespace), "{right} {namespace}");
            }
            for scope in ["read", "reading", "rest", "r*", "r*x", "write", "x"] {
                let wanted = scopes(&[scope]).map_err(|e| fail(&e))?;
                let theirs = other.first_not_grantable(&namespace, &wanted).is_none();
                prop_assert!(!theirs || own.first_not_grantable(&namespace, &wanted).is_none(), "{scope}");
            }
        }
        for right in Right::ALL {
            prop_assert!(!other.allow_everywhere(right) || own.allow_everywhere(right), "{right}");
        }
    }
}
