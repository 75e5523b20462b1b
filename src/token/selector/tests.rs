//! What each criterion lets through, one at a time.

use super::*;
use crate::token::policy::Policy;
use crate::token::samples::{instant, name, namespace, scopes, slug, standing, token, withdrawal};
use crate::token::scope::{LabelKey, Labels};
use crate::token::text::LabelValue;
use crate::token::time::Span;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pair = |(key, value): &(&str, &str)| {
        let key = LabelKey::try_from((*key).to_owned()).unwrap();
        (key, LabelValue::try_from((*value).to_owned()).unwrap())
    };
    Labels::try_from(pairs.iter().map(pair).collect::<BTreeMap<_, _>>()).unwrap()
}

/// Whether `selector` means a token of the namespace `notes`, as of `instant(10)`.
fn means(selector: &Selector, token: &Token) -> bool {
    selector
        .within(&namespace("notes", "kn_"), instant(10))
        .matches(token, None, None)
}

#[test]
fn each_criterion_narrows_by_itself() {
    let scope = |text: &str| Some(Scope::try_from(text.to_owned()).unwrap());
    let subject = |text: &str| Subject::try_from(text.to_owned()).ok();
    let period = |from, before| Period {
        from: Some(instant(from)),
        before: Some(instant(before)),
    };
    let it = Token {
        name: name("Laptop of Ann"),
        labels: labels(&[("team", "notes"), ("tier", "1")]),
        create_time: instant(5),
        expire_time: Some(instant(20)),
        scopes: scopes(&["read", "write"]),
        ..token(1)
    };
    let with = |change: &dyn Fn(&mut Selector)| {
        let mut selector = Selector::default();
        change(&mut selector);
        selector
    };
    let states = |states: &[State]| States::of(states.iter().copied());
    for (means_it, selector) in [
        (true, with(&|_| ())),
        (true, with(&|it| it.ids = [token(1).id].into())),
        (false, with(&|it| it.ids = [token(2).id].into())),
        (true, with(&|it| it.name_prefix = Some(name("Laptop")))),
        (false, with(&|it| it.name_prefix = Some(name("laptop")))),
        (false, with(&|it| it.name_prefix = Some(name("Laptop of Ann.")))),
        (true, with(&|it| it.name_contains = Some(name("of")))),
        (false, with(&|it| it.name_contains = Some(name("off")))),
        (true, with(&|it| it.scope = scope("read"))),
        (false, with(&|it| it.scope = scope("rea"))),
        (true, with(&|it| it.subject = subject("ann"))),
        (false, with(&|it| it.subject = subject("an"))),
        (true, with(&|it| it.labels = labels(&[("team", "notes")]))),
        (
            false,
            with(&|it| it.labels = labels(&[("team", "notes"), ("tier", "2")])),
        ),
        (false, with(&|it| it.labels = labels(&[("other", "notes")]))),
        (true, with(&|it| it.states = states(&[State::Active]))),
        (
            false,
            with(&|it| it.states = states(&[State::Revoked, State::Expired])),
        ),
        (true, with(&|it| it.created = period(5, 6))),
        (false, with(&|it| it.created = period(4, 5))),
        (true, with(&|it| it.expires = period(20, 21))),
        (false, with(&|it| it.expires = period(21, 99))),
    ] {
        assert_eq!(means(&selector, &it), means_it, "{selector:?}");
        assert_eq!(
            selector.narrows(),
            selector != Selector::default(),
            "{selector:?}"
        );
    }
    let elsewhere = Token {
        namespace: slug("tasks"),
        ..it
    };
    assert!(!means(&Selector::default(), &elsewhere));
    let anywhere = Selector::default().anywhere(&Directory::default(), instant(0));
    assert!(anywhere.matches(&elsewhere, None, None));
}

#[test]
fn what_never_ends_ends_in_no_period() {
    let open = |from, before| Selector {
        expires: Period { from, before },
        ..Selector::default()
    };
    assert!(means(&open(None, None), &token(1)));
    assert!(!means(&open(Some(instant(0)), None), &token(1)));
    assert!(!means(&open(None, Some(instant(0))), &token(1)));
}

#[test]
fn a_rotation_is_due_where_the_namespace_says_when_and_the_token_still_counts() {
    let day = 86_400_000_000;
    let mut notes = namespace("notes", "kn_");
    let due = |at| Selector {
        rotation_due_before: Some(instant(at)),
        ..Selector::default()
    };
    let is_due =
        |notes: &Namespace, at, token: &Token| due(at).within(notes, instant(at)).matches(token, None, None);
    // Its secret was made at 0.
    assert!(!is_due(&notes, 99 * day, &token(1)));
    assert!(due(0).within(&notes, instant(0)).is_void());
    notes.policy = Policy {
        rotation_due_after: Some(Span::days(90)),
        ..Policy::default()
    };
    assert!(!is_due(&notes, 90 * day, &token(1)));
    assert!(is_due(&notes, 90 * day + 1, &token(1)));
    for (counts, token) in [
        (
            true,
            Token {
                suspension: Some(withdrawal(instant(0))),
                ..token(1)
            },
        ),
        (
            false,
            Token {
                revocation: Some(withdrawal(instant(0))),
                ..token(1)
            },
        ),
        (
            false,
            Token {
                expire_time: Some(instant(1)),
                ..token(1)
            },
        ),
    ] {
        assert_eq!(is_due(&notes, 99 * day, &token), counts);
    }
}

#[test]
fn what_is_issued_later_is_told_by_its_id() {
    let filter = |until| Filter {
        issued_until: Some(instant(until)),
        ..Selector::default().anywhere(&Directory::default(), instant(0))
    };
    let issued = |micros| Token {
        id: TokenId::new(instant(micros), [7; 10]),
        ..token(1)
    };
    assert!(filter(0).matches(&issued(0), None, None));
    assert!(filter(1999).matches(&issued(1000), None, None));
    assert!(!filter(999).matches(&issued(1000), None, None));
}

#[test]
fn the_state_that_is_asked_for_is_the_one_it_is_shown_in() {
    let revoked = |slug: &str, until| Namespace {
        not_before: Some(withdrawal(instant(until))),
        ..namespace(slug, &format!("{slug}_"))
    };
    let active = Selector {
        states: States::of([State::Active]),
        ..Selector::default()
    };
    let suspended = Standing {
        suspension: Some(withdrawal(instant(0))),
        ..standing("ann")
    };
    let it = Token {
        create_time: instant(5),
        ..token(1)
    };
    for (until, is_meant) in [(4, true), (5, false)] {
        let notes = revoked("notes", until);
        assert_eq!(
            active.within(&notes, instant(10)).matches(&it, None, None),
            is_meant
        );
        let mut directory = Directory::default();
        directory.put(notes.clone());
        directory.put(revoked("tasks", 9));
        let anywhere = active.anywhere(&directory, instant(10));
        assert_eq!(anywhere.matches(&it, None, None), is_meant);
        assert!(!anywhere.matches(&it, Some(&suspended), None));
    }
}

#[test]
fn what_was_never_used_is_unused_since_its_issue_and_was_used_at_no_time() {
    let issued = |micros| Token {
        create_time: instant(micros),
        ..token(1)
    };
    let meant = |selector: &Selector, last_use: Option<i64>| {
        let filter = selector.anywhere(&Directory::default(), instant(100));
        filter.matches(&issued(5), None, last_use.map(instant))
    };
    let unused_since = |micros| Selector {
        unused_since: Some(instant(micros)),
        ..Selector::default()
    };
    assert!(meant(&unused_since(6), None) && !meant(&unused_since(5), None));
    assert!(meant(&unused_since(9), Some(8)) && !meant(&unused_since(8), Some(8)));
    let used = |from, before| Selector {
        used: Period { from, before },
        ..Selector::default()
    };
    let (from, before) = (Some(instant(8)), Some(instant(9)));
    assert!(meant(&used(from, before), Some(8)));
    for (selector, last_use) in [
        (used(from, None), None),
        (used(None, before), None),
        (used(None, before), Some(9)),
        (used(from, None), Some(7)),
    ] {
        assert!(!meant(&selector, last_use), "{selector:?}");
    }
    assert!(used(from, None).asks_for_use() && used(from, None).needs_use_since().is_none());
    assert_eq!(used(None, before).needs_use_since(), before);
    assert_eq!(unused_since(3).needs_use_since(), Some(instant(3)));
    assert!(!Selector::default().asks_for_use());
}
