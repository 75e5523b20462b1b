//! Tokens, and filters that mean some of them.

use super::super::{Answer, all_of};
use crate::token::order::{Order, OrderBy};
use crate::token::samples::{HARD_TEXT, instant, kept, name, plan, slug, token, withdrawal};
use crate::token::scope::{LabelKey, Labels, Scope, Scopes};
use crate::token::selector::{Filter, Period, Selector, States};
use crate::token::standing::SubjectChange;
use crate::token::text::{LabelValue, Name, Subject};
use crate::token::time::Timestamp;
use crate::token::{KeptSecret, State, Token};
use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Few enough that filters meet something.
const SCOPES: [&str; 4] = ["read", "write", "a:*", "admin"];

pub(super) fn texts() -> Vec<&'static str> {
    [
        &HARD_TEXT[..],
        &["ci", "ci-1", "ci-2", "CI-1", "ci%", "Ci_", "e\u{301}clair"],
    ]
    .concat()
}

pub(super) fn any_time() -> impl Strategy<Value = Timestamp> {
    (-3..3_i64).prop_map(|step| instant(step * 1_500))
}

pub(super) fn any_labels() -> impl Strategy<Value = Labels> {
    let key =
        select(vec!["team", "tier", "a.b-c_d"]).prop_map(|key| LabelKey::try_from(key.to_owned()).unwrap());
    let value = select(texts()).prop_map(|text| LabelValue::try_from(text.to_owned()).unwrap());
    btree_map(key, value, 0..3).prop_map(|labels| Labels::try_from(labels).unwrap())
}

/// A token of one of two namespaces, with this number.
pub(super) fn any_token_of(number: u64) -> impl Strategy<Value = Token> {
    let said = (
        select(texts()),
        select(texts()),
        subsequence(SCOPES.to_vec(), 0..=SCOPES.len()),
        any_labels(),
    );
    let times = (
        any_time(),
        option::of(any_time()),
        any_time(),
        option::of(any_time()),
    );
    let withdrawn = (any::<bool>(), any::<bool>());
    (any::<bool>(), said, times, withdrawn).prop_map(move |(is_note, said, times, withdrawn)| {
        let (name_text, subject, scopes, labels) = said;
        let (create_time, expire_time, first, second) = times;
        let (suspended, revoked) = withdrawn;
        let mut secrets = vec![kept(number, 1, first)];
        secrets.extend(second.map(|second| KeptSecret {
            ..kept(number, 2, second)
        }));
        let scopes: Vec<_> = scopes
            .into_iter()
            .map(|text| Scope::try_from(text.to_owned()).unwrap())
            .collect();
        Token {
            namespace: slug(if is_note { "notes" } else { "tasks" }),
            name: name(name_text),
            subject: Subject::try_from(subject.to_owned()).unwrap(),
            scopes: Scopes::try_from(scopes).unwrap(),
            labels,
            create_time,
            expire_time,
            suspension: suspended.then(|| withdrawal(instant(0))),
            revocation: revoked.then(|| withdrawal(instant(0))),
            secrets,
            ..token(number)
        }
    })
}

/// What is said of a subject, if anything is.
pub(super) fn any_saying() -> impl Strategy<Value = Option<SubjectChange>> {
    option::weighted(
        0.6,
        prop_oneof![
            Just(SubjectChange::PlanSet(Some(plan("pro")))),
            any_time().prop_map(|time| SubjectChange::Suspended(withdrawal(time))),
            any_time().prop_map(|time| SubjectChange::IssuedRevoked(withdrawal(time))),
        ],
    )
}

pub(super) fn any_period() -> impl Strategy<Value = Period> {
    let sometimes = || option::weighted(0.2, any_time());
    (sometimes(), sometimes()).prop_map(|(from, before)| Period { from, before })
}

/// The beginning, or any other part, of one of the texts.
pub(super) fn any_part(from_the_beginning: bool) -> impl Strategy<Value = Option<Name>> {
    let part = (select(texts()), any::<Index>(), any::<Index>()).prop_map(move |(text, begin, length)| {
        let chars: Vec<char> = text.chars().collect();
        let begin = if from_the_beginning {
            0
        } else {
            begin.index(chars.len())
        };
        let length = 1 + length.index(chars.len() - begin);
        name(&chars[begin..begin + length].iter().collect::<String>())
    });
    option::weighted(0.25, part)
}

pub(super) fn any_filter() -> impl Strategy<Value = Filter> {
    let state = select(vec![
        State::Active,
        State::Suspended,
        State::Revoked,
        State::Expired,
    ]);
    let subject = select(texts()).prop_map(|text| Subject::try_from(text.to_owned()).unwrap());
    let scope = select(SCOPES.to_vec()).prop_map(|text| Scope::try_from(text.to_owned()).unwrap());
    let said = (
        any_part(true),
        any_part(false),
        option::weighted(0.2, scope),
        option::weighted(0.2, subject),
        prop_oneof![3 => Just(Labels::default()), 1 => any_labels()],
    );
    let states = prop_oneof![
        Just(States::ALL),
        btree_set(0..4_usize, 1..4).prop_map(|picked| {
            let all = [State::Active, State::Suspended, State::Revoked, State::Expired];
            States::of(picked.into_iter().map(|at| all[at]))
        }),
        state.prop_map(|state| States::of([state])),
    ];
    let limits = (
        option::weighted(0.2, any_time()),
        option::weighted(0.2, any_time()),
        option::weighted(0.3, any_time()),
        any_period(),
        option::weighted(0.2, any_time()),
    );
    (said, states, any_period(), any_period(), any_time(), limits).prop_map(
        |(
            said,
            states,
            created,
            expires,
            at,
            (issued_until, secret_before, not_before, used, unused_since),
        )| {
            let (name_prefix, name_contains, scope, subject, labels) = said;
            let selector = Selector {
                name_prefix,
                name_contains,
                scope,
                subject,
                labels,
                states,
                created,
                expires,
                used,
                unused_since,
                ..Selector::default()
            };
            Filter {
                selector,
                at,
                issued_until,
                secret_before,
                not_before: not_before
                    .map(|time| (slug("notes"), withdrawal(time)))
                    .into_iter()
                    .collect(),
                ..all_of("notes")
            }
        },
    )
}

pub(super) fn any_order() -> impl Strategy<Value = Order> {
    let by = select(vec![
        OrderBy::CreateTime,
        OrderBy::Name,
        OrderBy::ExpireTime,
        OrderBy::Subject,
    ]);
    (by, any::<bool>()).prop_map(|(by, descending)| Order { by, descending })
}

pub(super) fn drawn<T>(runner: &mut TestRunner, strategy: &impl Strategy<Value = T>) -> Answer<T> {
    let drawn = strategy.new_tree(runner).map_err(|reason| reason.to_string())?;
    Ok(drawn.current())
}
