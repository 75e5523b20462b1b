//! A token is found by the state that it is shown in, whoever that comes from: its own record, its subject, its namespace.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::selection::listed;
use super::{Law, all_of, write};
use crate::journal::Draft;
use crate::journal::samples::{issue, origin};
use crate::store::Store;
use crate::store::select::Selection;
use crate::token::id::TokenId;
use crate::token::order::{Order, OrderBy};
use crate::token::samples::{instant, namespace, plan, slug, subject, token, withdrawal};
use crate::token::selector::States;
use crate::token::standing::SubjectChange::{IssuedRevoked, PlanSet, Resumed, Suspended};
use crate::token::{State, Token};

/// When all tokens were issued, and when they are asked for.
const ISSUED: i64 = 5;
const ASKED: i64 = 10;

const ORDERS: [(OrderBy, bool); 4] = [
    (OrderBy::CreateTime, false),
    (OrderBy::Name, true),
    (OrderBy::ExpireTime, false),
    (OrderBy::Subject, true),
];

/// A token that is in this state by itself.
fn token_in(own: State, number: u64) -> Token {
    let said = |is_said: bool| is_said.then(|| withdrawal(instant(ISSUED)));
    Token {
        create_time: instant(ISSUED),
        // What has expired is suspended as well: that is no longer said.
        suspension: said(matches!(own, State::Suspended | State::Expired)),
        revocation: said(own == State::Revoked),
        expire_time: (own == State::Expired).then(|| instant(ASKED)),
        ..token(number)
    }
}

pub(super) async fn what_is_asked_for_by_state_is_what_is_shown_in_it(store: Arc<dyn Store>) -> Law {
    let newest = store.directory().await?.version;
    let tasks = namespace("tasks", "kt_");
    write(&store, Draft::of_new_namespace(origin(), newest, tasks)).await?;
    let suspended = || Suspended(withdrawal(instant(ASKED)));
    let revoked = |until| IssuedRevoked(withdrawal(instant(until)));
    // What is said of a subject, where, and whether it suspends or revokes its tokens in `notes`.
    let subjects = [
        ("notes", vec![], false, false),
        ("notes", vec![PlanSet(Some(plan("pro")))], false, false),
        ("notes", vec![suspended()], true, false),
        ("notes", vec![suspended(), Resumed], false, false),
        ("notes", vec![revoked(ISSUED - 1)], false, false),
        ("notes", vec![revoked(ISSUED)], false, true),
        ("notes", vec![suspended(), revoked(ISSUED - 1)], true, false),
        ("notes", vec![suspended(), revoked(ISSUED)], true, true),
        ("tasks", vec![suspended(), revoked(ISSUED)], false, false),
    ];
    let mut tokens = Vec::new();
    for (number, (at, changes, suspends, revokes)) in (0_u64..).zip(subjects) {
        let name = (slug(at), subject(&format!("subject {number}")));
        for change in changes {
            let before = store.standings(name.0.clone(), vec![name.1.clone()]).await?;
            let before = before.into_iter().next().flatten();
            let draft = Draft::of_subject(origin(), before.as_ref(), name.clone(), change)?;
            write(&store, draft).await?;
        }
        for (kind, own) in (0_u64..).zip([State::Active, State::Suspended, State::Revoked, State::Expired]) {
            let token = Token {
                subject: name.1.clone(),
                ..token_in(own, number * 4 + kind)
            };
            write(&store, issue(token.clone())).await?;
            tokens.push((token.id, own, suspends, revokes));
        }
    }
    for (not_before, all_revoked) in [(None, false), (Some(ISSUED - 1), false), (Some(ISSUED), true)] {
        let shown = |own: State, suspends: bool, revokes: bool| match own {
            _ if revokes || all_revoked => State::Revoked,
            State::Active if suspends => State::Suspended,
            own => own,
        };
        for states in [
            vec![State::Active],
            vec![State::Suspended],
            vec![State::Revoked],
            vec![State::Expired],
            vec![State::Active, State::Suspended, State::Expired],
        ] {
            let wanted = tokens
                .iter()
                .filter(|(_, own, suspends, revokes)| states.contains(&shown(*own, *suspends, *revokes)));
            let wanted: BTreeSet<TokenId> = wanted.map(|(id, ..)| *id).collect();
            let mut filter = all_of("notes");
            filter.at = instant(ASKED);
            filter.selector.states = States::of(states.iter().copied());
            let said = not_before.map(|until| (slug("notes"), withdrawal(instant(until))));
            filter.not_before = said.into_iter().collect();
            let mut by_id = filter.clone();
            by_id.selector.ids = tokens.iter().map(|(id, ..)| *id).collect();
            for filter in [filter, by_id] {
                for (by, descending) in ORDERS {
                    let selection = Selection {
                        filter: filter.clone(),
                        order: Order { by, descending },
                        after: None,
                        limit: 4,
                    };
                    let listed = listed(&store, &selection).await?;
                    assert_eq!(listed.len(), wanted.len(), "{states:?}, {not_before:?}");
                    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), wanted);
                }
                let (mut count, mut after) = (0, None);
                loop {
                    let some = store.count(filter.clone(), OrderBy::ExpireTime, after).await?;
                    count += some.tokens;
                    after = some.next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(count, wanted.len() as u64, "{states:?}, {not_before:?}");
            }
        }
    }
    Ok(())
}
