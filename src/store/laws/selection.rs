//! What is listed, counted and named is what the filter lets through, in every order: the filter itself says so.

mod drawn;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::test_runner::TestRunner;

use super::{Answer, Law, all_of, write};
use crate::journal::Draft;
use crate::journal::samples::{issue, origin};
use crate::store::Store;
use crate::store::select::Selection;
use crate::store::usage::{Flush, RecorderId};
use crate::token::Token;
use crate::token::context::UserAgent;
use crate::token::id::TokenId;
use crate::token::order::{Order, OrderBy, Place};
use crate::token::samples::{instant, name, namespace, slug, subject, token, withdrawal};
use crate::token::selector::{Filter, States};
use crate::token::standing::Standing;
use crate::token::time::Timestamp;
use crate::token::usage::{Outcome, Seen, Usage};
use drawn::{any_filter, any_order, any_saying, any_token_of, drawn, texts};

const TOKENS: u64 = 150;
const FILTERS: usize = 60;

/// A token, and what is said of its subject.
type Told = (Token, Option<Standing>);

/// A store with many tokens in two namespaces, and those tokens.
async fn with_tokens(store: &Arc<dyn Store>, runner: &mut TestRunner) -> Answer<Vec<Told>> {
    let newest = store.directory().await?.version;
    write(
        store,
        Draft::of_new_namespace(origin(), newest, namespace("tasks", "kt_")),
    )
    .await?;
    let tokens: Vec<_> = (0..TOKENS)
        .map(|number| drawn(runner, &any_token_of(number)))
        .collect::<Answer<_>>()?;
    for some in tokens.chunks(100) {
        store.commit(some.iter().cloned().map(issue).collect()).await?;
    }
    let used = tokens
        .iter()
        .filter_map(|token| Some((token.id, last_use(token)?)));
    let usages = used.map(|(id, time)| (id, usage_at(time)));
    let flush = Flush {
        recorder: RecorderId::new([7; 16]),
        sequence: 1,
        time: instant(0),
        usages: usages.collect(),
    };
    store.add_usage(Arc::new(flush)).await?;
    let subjects: Vec<_> = texts().into_iter().map(subject).collect();
    let mut told = BTreeMap::new();
    for namespace in ["notes", "tasks"].map(slug) {
        for subject in &subjects {
            if let Some(change) = drawn(runner, &any_saying())? {
                let name = (namespace.clone(), subject.clone());
                write(store, Draft::of_subject(origin(), None, name, change)?).await?;
            }
        }
        let standings = store.standings(namespace.clone(), subjects.clone()).await?;
        for (subject, stored) in subjects.iter().zip(standings) {
            told.insert((namespace.clone(), subject.clone()), stored);
        }
    }
    let with_standing = |token: Token| {
        let stored = told.get(&(token.namespace.clone(), token.subject.clone()));
        (token, stored.cloned().flatten().map(|stored| stored.record))
    };
    Ok(tokens.into_iter().map(with_standing).collect())
}

/// When a token was last used: two of three were, some of them refused alone.
fn last_use(token: &Token) -> Option<Timestamp> {
    let micros = token.create_time.micros();
    let after = micros.rem_euclid(3) * 1500;
    (!token.id.as_bytes()[15].is_multiple_of(3)).then(|| Timestamp::from_micros(micros + after).unwrap())
}

fn usage_at(time: Timestamp) -> Usage {
    Usage {
        last_use: Some(Seen {
            time,
            outcome: Outcome::Accepted,
            secret_version: 1,
            caller: None,
            address_prefix: None,
            user_agent: UserAgent::default(),
        }),
        ..Usage::default()
    }
}

/// What the filter itself says.
fn wanted(tokens: &[Told], filter: &Filter, order: Order) -> Vec<TokenId> {
    let is_wanted = |(token, standing): &&Told| filter.matches(token, standing.as_ref(), last_use(token));
    let wanted = tokens.iter().filter(is_wanted);
    let mut wanted: Vec<&Token> = wanted.map(|(token, _)| token).collect();
    order.sort(&mut wanted, |token| order.place(token));
    wanted.into_iter().map(|token| token.id).collect()
}

/// All pages of a selection together.
pub(super) async fn listed(store: &Arc<dyn Store>, selection: &Selection) -> Answer<Vec<TokenId>> {
    let mut selection = selection.clone();
    let mut ids = Vec::new();
    loop {
        let slice = store.tokens(selection.clone()).await?;
        assert!(slice.tokens.len() <= selection.limit as usize);
        ids.extend(slice.tokens.iter().map(|stored| stored.record.id));
        let Some(next) = slice.next else {
            return Ok(ids);
        };
        let moves_on = |after: &Place| selection.order.is_after(&next, after);
        assert!(
            selection.after.as_ref().is_none_or(moves_on),
            "it stands still at {next:?}"
        );
        selection.after = Some(next);
    }
}

pub(super) async fn pages_in_every_order_are_what_the_filter_lets_through(store: Arc<dyn Store>) -> Law {
    let mut runner = TestRunner::deterministic();
    let tokens = with_tokens(&store, &mut runner).await?;
    let mut found = 0;
    for _ in 0..FILTERS {
        let filter = drawn(&mut runner, &any_filter())?;
        let order = drawn(&mut runner, &any_order())?;
        let selection = Selection {
            filter,
            order,
            after: None,
            limit: drawn(&mut runner, &(1..=9_u32))?,
        };
        let listed = listed(&store, &selection).await?;
        assert_eq!(listed, wanted(&tokens, &selection.filter, order), "{selection:?}");
        found += usize::from(!listed.is_empty());
    }
    assert!(found > FILTERS / 4, "{found} filters let anything through");
    Ok(())
}

pub(super) async fn counts_are_of_what_the_filter_lets_through(store: Arc<dyn Store>) -> Law {
    let mut runner = TestRunner::deterministic();
    let tokens = with_tokens(&store, &mut runner).await?;
    for _ in 0..FILTERS {
        let filter = drawn(&mut runner, &any_filter())?;
        let by = filter.selector.order_of_search();
        let (mut count, mut after) = (0, None);
        loop {
            let some = store.count(filter.clone(), by, after).await?;
            count += some.tokens;
            after = some.next;
            if after.is_none() {
                break;
            }
        }
        let wanted = wanted(&tokens, &filter, Order::default());
        assert_eq!(count, wanted.len() as u64, "{filter:?}");
    }
    Ok(())
}

pub(super) async fn what_is_named_by_id_is_found_wherever_it_is(store: Arc<dyn Store>) -> Law {
    let mut runner = TestRunner::deterministic();
    let tokens = with_tokens(&store, &mut runner).await?;
    for (namespace, unused_since) in [
        (None, None),
        (Some(slug("tasks")), None),
        (None, Some(instant(0))),
    ] {
        for order in [Order::default(), drawn(&mut runner, &any_order())?] {
            // One of them is nobody's.
            let named = (0..20).map(|n| token(n * 8 + 3).id);
            let mut filter = all_of("notes");
            filter.namespace.clone_from(&namespace);
            filter.selector.ids = named.collect();
            filter.selector.states = States::UNREVOKED;
            filter.not_before = [(slug("tasks"), withdrawal(instant(-1_500)))].into();
            filter.selector.unused_since = unused_since;
            let selection = Selection {
                filter: filter.clone(),
                order,
                after: None,
                limit: 3,
            };
            let wanted = wanted(&tokens, &filter, order);
            assert_eq!(listed(&store, &selection).await?, wanted);
            let count = store.count(filter, order.by, None).await?;
            assert_eq!((count.tokens, count.next), (wanted.len() as u64, None));
        }
    }
    Ok(())
}

pub(super) async fn a_filter_that_matches_nothing_comes_to_an_end(store: Arc<dyn Store>) -> Law {
    let mut runner = TestRunner::deterministic();
    with_tokens(&store, &mut runner).await?;
    let mut filter = all_of("notes");
    filter.selector.name_contains = Some(name("no such name"));
    for by in [
        OrderBy::CreateTime,
        OrderBy::Name,
        OrderBy::ExpireTime,
        OrderBy::Subject,
    ] {
        for descending in [false, true] {
            let selection = Selection {
                filter: filter.clone(),
                order: Order { by, descending },
                after: None,
                limit: 1,
            };
            assert_eq!(listed(&store, &selection).await?, []);
        }
    }
    Ok(())
}
