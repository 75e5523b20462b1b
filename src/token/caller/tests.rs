use std::sync::Arc;

use super::*;
use crate::token::samples::{self, instant, scopes, slug};

fn token(number: u64, namespace: &str, held: &[&str]) -> Token {
    Token {
        namespace: slug(namespace),
        scopes: scopes(held),
        ..samples::token(number)
    }
}

fn credential(held: &[&str]) -> Caller {
    Caller::credential(Arc::new(token(1, "system", held)), 1)
}

fn holder(held: &[&str], self_management: SelfManagement) -> Option<Caller> {
    Caller::holder(Arc::new(token(1, "notes", held)), 1, self_management)
}

const BEYOND: fn(&str) -> Forbidden =
    |scope| Forbidden::Beyond(Beyond::Scope(Scope::try_from(scope.to_owned()).unwrap()));

#[test]
fn a_foreign_token_is_hidden() {
    let caller = credential(&["tokens.revoke:notes"]);
    assert_eq!(
        caller.check(Right::TokensRevoke, &token(2, "notes", &["read"])),
        Ok(())
    );
    assert_eq!(
        caller.check(Right::TokensRevoke, &token(2, "tasks", &[])),
        Err(Forbidden::Hidden)
    );
    assert_eq!(
        caller.check(Right::TokensList, &token(2, "notes", &[])),
        Err(Forbidden::Hidden)
    );
}

#[test]
fn rotating_gives_away_no_more_than_issuing_would() {
    let caller = credential(&["tokens.rotate:*", "tokens.grant:notes:read"]);
    let rotate = |token: &Token| caller.check(Right::TokensRotate, token);
    assert_eq!(rotate(&token(2, "notes", &["read"])), Ok(()));
    assert_eq!(
        rotate(&token(2, "notes", &["admin", "read"])),
        Err(BEYOND("admin"))
    );
    assert_eq!(rotate(&token(2, "tasks", &["read"])), Err(BEYOND("read")));
}

#[test]
fn credentials_are_managed_by_those_who_hold_as_much() {
    let caller = credential(&["credentials.manage", "tokens.verify:notes"]);
    let weaker = token(2, "system", &["tokens.verify:notes"]);
    let stronger = token(2, "system", &["tokens.issue:notes"]);
    for right in [Right::TokensRotate, Right::TokensRevoke, Right::TokensUpdate] {
        assert_eq!(caller.check(right, &weaker), Ok(()), "{right}");
        assert_eq!(
            caller.check(right, &stronger),
            Err(BEYOND("tokens.issue:notes")),
            "{right}"
        );
    }
    assert_eq!(caller.check(Right::TokensList, &stronger), Ok(()));
    let verifier = credential(&["tokens.verify:notes", "tokens.rotate:*"]);
    assert_eq!(
        verifier.check(Right::TokensRotate, &weaker),
        Err(Forbidden::Hidden)
    );
}

#[test]
fn a_credential_makes_none_that_outlives_it() {
    let end = instant(1000);
    let lent = Token {
        expire_time: Some(end),
        ..token(1, "system", &["*"])
    };
    let caller = Caller::credential(Arc::new(lent), 1);
    let issue = |namespace, end| caller.check_passing_on(&slug(namespace), &scopes(&[]), end);
    assert_eq!(issue("system", None), Err(Beyond::Outlives(end)));
    assert_eq!(issue("system", Some(instant(1001))), Err(Beyond::Outlives(end)));
    assert_eq!(issue("system", Some(end)), Ok(()));
    assert_eq!(issue("notes", None), Ok(()));
}

#[test]
fn whoever_presents_a_token_may_read_and_revoke_it() {
    let own = token(1, "system", &["tokens.verify:notes"]);
    let caller = credential(&["tokens.verify:notes"]);
    for right in [Right::TokensList, Right::TokensRevoke, Right::TokensRotate] {
        assert_eq!(caller.check(right, &own), Ok(()), "{right}");
        assert!(caller.may_on_some_token(right), "{right}");
        assert!(!caller.may_somewhere(right), "{right}");
        let other = token(2, "system", &[]);
        assert_eq!(caller.check(right, &other), Err(Forbidden::Hidden), "{right}");
    }
    let certificate = Caller::certificate(caller.actor(), Arc::new(scopes(&[])));
    assert!(!certificate.may_on_some_token(Right::TokensRevoke));
}

#[test]
fn the_tokens_of_a_product_call_only_where_it_lets_them() {
    let managing = ["read", "tokenward:list", "tokenward:revoke", "tokenward:rotate"];
    assert!(holder(&managing, SelfManagement::Off).is_none());
    let own = token(1, "notes", &managing);
    let other = token(2, "notes", &["read"]);

    let caller = holder(&managing, SelfManagement::Own).unwrap();
    assert_eq!(caller.check(Right::TokensList, &own), Ok(()));
    assert_eq!(caller.check(Right::TokensRevoke, &own), Ok(()));
    assert_eq!(caller.check(Right::TokensRotate, &own), Err(Forbidden::Hidden));
    assert_eq!(caller.check(Right::TokensRevoke, &other), Err(Forbidden::Hidden));
    assert!(!caller.may_somewhere(Right::TokensList));

    let caller = holder(&managing, SelfManagement::ByScope).unwrap();
    for right in [Right::TokensList, Right::TokensRevoke, Right::TokensRotate] {
        assert_eq!(caller.check(right, &other), Ok(()), "{right}");
        assert!(caller.may(right, &slug("notes")), "{right}");
        let foreign = token(2, "tasks", &[]);
        assert_eq!(caller.check(right, &foreign), Err(Forbidden::Hidden), "{right}");
    }
    let stronger = token(2, "notes", &["admin"]);
    assert_eq!(caller.check(Right::TokensRotate, &stronger), Err(BEYOND("admin")));
    assert_eq!(caller.check(Right::TokensRevoke, &stronger), Ok(()));
    assert!(!caller.may_somewhere(Right::TokensIssue));
    assert!(!caller.may_somewhere(Right::TokensVerify));

    let plain = holder(&["read", "*"], SelfManagement::ByScope).unwrap();
    assert!(!plain.may_somewhere(Right::TokensList));
    assert_eq!(plain.check(Right::TokensRevoke, &other), Err(Forbidden::Hidden));
}

#[test]
fn a_secret_on_its_way_out_does_not_take_the_token_over() {
    let before = token(1, "system", &[]);
    let mut rotated = before.clone();
    rotated.secrets.push(samples::kept(1, 2, instant(5)));
    let mut in_transition = rotated.clone();
    rotated.secrets[0].retire_time = Some(instant(9));
    let retiring = Err(Forbidden::Beyond(Beyond::Retiring));
    // As long as nobody is known to have the new one, the old one may be all there is.
    let first = Caller::credential(Arc::new(before), 1);
    assert_eq!(first.check(Right::TokensRotate, &in_transition), Ok(()));
    in_transition.secrets[1].first_use_time = Some(instant(6));
    assert_eq!(first.check(Right::TokensRotate, &in_transition), retiring);
    for (version, wanted) in [(1, retiring), (2, Ok(()))] {
        let caller = Caller::credential(Arc::new(rotated.clone()), version);
        assert_eq!(caller.check(Right::TokensRotate, &rotated), wanted, "{version}");
        assert_eq!(caller.check(Right::TokensRevoke, &rotated), Ok(()));
    }
}

#[test]
fn the_holder_of_a_product_token_takes_over_no_other_subject_and_no_longer_life() {
    let managing = Token {
        expire_time: Some(instant(100)),
        ..token(1, "notes", &["read", "tokenward:rotate"])
    };
    let caller = Caller::holder(Arc::new(managing), 1, SelfManagement::ByScope).unwrap();
    let rotate = |token: &Token| caller.check(Right::TokensRotate, token);
    let other = |expire_time, subject: &str| Token {
        expire_time,
        subject: crate::token::text::Subject::try_from(subject.to_owned()).unwrap(),
        ..token(2, "notes", &["read"])
    };
    let own = token(1, "notes", &[]).subject;
    assert_eq!(rotate(&other(Some(instant(100)), own.as_str())), Ok(()));
    assert_eq!(
        rotate(&other(None, own.as_str())),
        Err(Forbidden::Beyond(Beyond::Outlives(instant(100))))
    );
    assert_eq!(
        rotate(&other(Some(instant(100)), "somebody else")),
        Err(Forbidden::Beyond(Beyond::Subject))
    );
}

#[test]
fn nobody_has_a_token_manage_what_they_may_not() {
    let caller = credential(&["tokens.issue:notes", "tokens.grant:notes:*", "tokens.list:notes"]);
    let issue = |held: &[&str]| caller.check_passing_on(&slug("notes"), &scopes(held), None);
    assert_eq!(issue(&["read", "tokenward:list"]), Ok(()));
    let beyond = Scope::try_from("tokenward:revoke".to_owned()).unwrap();
    assert_eq!(issue(&["tokenward:revoke"]), Err(Beyond::Scope(beyond)));
}
