//! What is due is due once, and whoever looks for it finds it.

use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::token::namespace::Namespace;
use crate::token::samples::{instant, kept, namespace, token as sample, withdrawal};

/// Spans and instants are of this many microseconds: so few that they meet.
const LIFE: i64 = 60;

fn span(micros: i64) -> Span {
    Span::try_from(micros).unwrap()
}

fn any_spans() -> impl Strategy<Value = BTreeSet<Span>> {
    btree_set((1..LIFE).prop_map(span), 0..4)
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let after = || option::of((1..LIFE).prop_map(span));
    (any_spans(), after(), after()).prop_map(|(expiring_leads, rotation_due_after, unused_after)| Policy {
        rotation_due_after,
        expiring_leads,
        unused_after,
        ..Policy::default()
    })
}

fn any_token() -> impl Strategy<Value = Token> {
    let states = (any::<bool>(), any::<bool>());
    (option::of(0..LIFE), vec(0..LIFE, 0..3), states).prop_map(|(end, mut rotations, (paused, revoked))| {
        rotations.sort_unstable();
        let mut token = Token {
            expire_time: end.map(instant),
            suspension: paused.then(|| withdrawal(instant(0))),
            revocation: (revoked && paused).then(|| withdrawal(instant(0))),
            ..sample(1)
        };
        for (version, time) in (2..).zip(rotations) {
            token.secrets.push(kept(1, version, instant(time)));
        }
        token
    })
}

fn any_uses() -> impl Strategy<Value = Uses> {
    let time = || option::of((0..LIFE).prop_map(instant));
    (0..LIFE, 0..LIFE, time(), time(), time()).prop_map(
        |(known_since, known_until, last_use, resume_time, subject_time)| Uses {
            known_since: instant(known_since),
            known_until: instant(known_until),
            last_use,
            resume_time,
            subject_time,
        },
    )
}

fn of(policy: &Policy) -> Namespace {
    Namespace {
        policy: policy.clone(),
        ..namespace("notes", "kn_")
    }
}

fn due(matter: Matter, token: &Token, policy: &Policy, uses: &Uses, now: Timestamp) -> Option<Notice> {
    match matter {
        Matter::Expiring => expiring(token, policy, now),
        Matter::RotationDue => rotation_due(token, policy, now),
        Matter::Unused => unused(token, policy, uses, now),
    }
}

proptest! {
    #[test]
    fn whatever_is_due_is_among_the_candidates(
        token in any_token(),
        policy in any_policy(),
        uses in any_uses(),
        now in 0..LIFE,
    ) {
        let now = instant(now);
        for matter in Matter::ALL {
            if due(matter, &token, &policy, &uses, now).is_some() {
                let selector = matter.candidates(&policy, now, uses.known_until).unwrap();
                let filter = selector.within(&of(&policy), now);
                prop_assert!(filter.matches(&token, None, uses.last_use), "{:?}", matter);
            }
        }
    }

    /// However seldom somebody looks, no lead is told twice, and one who looks all the time tells each that is shorter
    /// than the life of the token, the longest first.
    #[test]
    fn each_lead_is_told_once(leads in any_spans(), end in 1..LIFE, looks in btree_set(0..LIFE, 0..8)) {
        let policy = Policy { expiring_leads: leads.clone(), ..Policy::default() };
        let token = Token { expire_time: Some(instant(end)), ..sample(1) };
        let told = |looks: &mut dyn Iterator<Item = i64>| {
            let mut told = Vec::new();
            for now in looks {
                if let Some(Notice::Expiring { lead, .. }) = expiring(&token, &policy, instant(now))
                    && told.last() != Some(&lead)
                {
                    told.push(lead);
                }
            }
            told
        };
        let shorter = leads.into_iter().rev().filter(|lead| lead.micros() <= end);
        prop_assert_eq!(told(&mut (0..LIFE)), shorter.collect::<Vec<_>>());
        let some = told(&mut looks.into_iter());
        prop_assert!(some.is_sorted_by(|one, next| one > next), "{:?}", some);
    }

    #[test]
    fn what_is_due_stays_due_until_something_happens(
        token in any_token(),
        policy in any_policy(),
        now in 0..LIFE,
        later in 0..LIFE,
    ) {
        let token = Token { expire_time: None, ..token };
        let uses = |until| Uses {
            known_since: instant(0),
            known_until: instant(until),
            last_use: None,
            resume_time: None,
            subject_time: None,
        };
        for matter in [Matter::RotationDue, Matter::Unused] {
            let first = due(matter, &token, &policy, &uses(now), instant(now));
            if let Some(first) = first {
                let again = due(matter, &token, &policy, &uses(now + later), instant(now + later));
                prop_assert_eq!(again, Some(first));
            }
        }
    }
}

#[test]
fn unused_is_who_could_be_used_all_the_while_and_was_not() {
    let policy = Policy {
        unused_after: Some(span(10)),
        ..Policy::default()
    };
    let never = Uses {
        known_since: instant(0),
        known_until: instant(30),
        last_use: None,
        resume_time: None,
        subject_time: None,
    };
    let since = |micros| {
        Some(Notice::Unused {
            after: span(10),
            since: instant(micros),
        })
    };
    let at = |micros| Some(instant(micros));
    for (uses, notice) in [
        (never, since(0)),
        (
            Uses {
                last_use: at(20),
                ..never
            },
            since(20),
        ),
        (
            Uses {
                last_use: at(21),
                ..never
            },
            None,
        ),
        (
            Uses {
                resume_time: at(20),
                ..never
            },
            since(20),
        ),
        (
            Uses {
                resume_time: at(21),
                last_use: at(3),
                ..never
            },
            None,
        ),
        // What was said of the subject may have kept it from being used: it is waited for, and is no new beginning.
        (
            Uses {
                subject_time: at(20),
                last_use: at(3),
                ..never
            },
            since(3),
        ),
        (
            Uses {
                subject_time: at(21),
                last_use: at(3),
                ..never
            },
            None,
        ),
        // What is not known is not unused.
        (
            Uses {
                known_since: instant(20),
                ..never
            },
            since(0),
        ),
        (
            Uses {
                known_since: instant(21),
                ..never
            },
            None,
        ),
        (
            Uses {
                known_until: instant(9),
                ..never
            },
            None,
        ),
        (
            Uses {
                known_until: instant(10),
                ..never
            },
            since(0),
        ),
    ] {
        assert_eq!(
            unused(&sample(1), &policy, &uses, instant(31)),
            notice,
            "{uses:?}"
        );
    }
}

#[test]
fn unused_is_measured_from_when_a_token_came_here_and_only_while_it_is_active() {
    let policy = Policy {
        unused_after: Some(span(10)),
        ..Policy::default()
    };
    let later = |until| Uses {
        known_since: instant(0),
        known_until: instant(until),
        last_use: None,
        resume_time: None,
        subject_time: None,
    };
    // Where it comes from it may have been used.
    let imported = Token {
        id: TokenId::new(instant(25_000), [7; 10]),
        ..sample(1)
    };
    assert_eq!(unused(&imported, &policy, &later(25_009), instant(26_000)), None);
    assert_eq!(
        unused(&imported, &policy, &later(25_010), instant(26_000)),
        Some(Notice::Unused {
            after: span(10),
            since: instant(25_000),
        })
    );
    for suspension in [None, Some(withdrawal(instant(1)))] {
        let is_active = suspension.is_none();
        let token = Token {
            suspension,
            ..sample(1)
        };
        assert_eq!(
            unused(&token, &policy, &later(30), instant(31)).is_some(),
            is_active
        );
    }
}

#[test]
fn each_is_told_under_a_request_of_its_own() {
    let (id, other) = (sample(1).id, sample(2).id);
    let expiring = |lead, end| Notice::Expiring {
        lead: span(lead),
        expire_time: instant(end),
    };
    let rotation = |version, after, since| Notice::RotationDue {
        version,
        after: span(after),
        since: instant(since),
    };
    let unused = |after, since| Notice::Unused {
        after: span(after),
        since: instant(since),
    };
    let notices = [
        expiring(1, 2),
        expiring(2, 2),
        expiring(1, 3),
        rotation(1, 1, 2),
        rotation(2, 1, 2),
        rotation(1, 2, 2),
        unused(1, 2),
        unused(2, 2),
        unused(1, 3),
    ];
    let requests: BTreeSet<_> = notices
        .iter()
        .flat_map(|notice| {
            [
                notice.request(id),
                notice.request(other),
                notice.request_to_withdraw(id),
            ]
        })
        .collect();
    assert_eq!(requests.len(), notices.len() * 3);
    // What is in journals already must stay what it is: computed with Python.
    let published = Notice::Unused {
        after: Span::days(90),
        since: instant(0),
    };
    let request = published.request(id).to_string();
    assert_eq!(request, "e8cf534f-fc8e-8a25-90da-a630e7bc4da2");
}
