//! Pages of a listing together are the list: whatever the filter, nothing is lost or shown twice.

use super::*;
use crate::authority::samples::Scene;
use crate::journal::samples::issue;
use crate::store::faulty::Call;
use crate::store::samples::{Answer, change, write};
use crate::token::State;
use crate::token::change::TokenChange;
use crate::token::id::TokenId;
use crate::token::samples::{instant, slug, token, withdrawal};
use crate::token::selector::States;

/// A scene in which the tokens of these numbers are issued, and those that `revoked` names revoked.
async fn with_tokens(count: u64, revoked: impl Fn(u64) -> bool) -> Answer<Scene> {
    let scene = Scene::start().await?;
    for number in 0..count {
        write(&scene.store, issue(token(number))).await?;
        if revoked(number) {
            let revocation = TokenChange::Revoked(withdrawal(instant(0)));
            change(&scene.store, token(number).id, revocation).await?;
        }
    }
    Ok(scene)
}

fn query(namespace: &str, state: Option<State>, size: u32) -> TokenQuery {
    TokenQuery {
        namespace: slug(namespace),
        selector: Selector {
            states: States::of(state),
            ..Selector::default()
        },
        order: Order::default(),
        after: None,
        size,
        with_total: false,
    }
}

/// All pages of a listing; it must come to an end.
async fn pages(scene: &Scene, state: Option<State>, size: u32) -> Answer<Vec<Vec<TokenId>>> {
    let mut pages = Vec::new();
    let mut query = query("notes", state, size);
    loop {
        let TokenPage { tokens, next, .. } = scene.authority.list(query.clone()).await?;
        assert!(tokens.len() <= size as usize);
        pages.push(tokens.iter().map(|token| token.id).collect());
        if next.is_none() {
            return Ok(pages);
        }
        let after = query.after.as_ref();
        assert!(
            after.is_none_or(|after| next.as_ref() > Some(after)),
            "it does not move on"
        );
        query.after = next;
    }
}

#[tokio::test]
async fn the_pages_of_every_listing_are_the_list() -> Answer<()> {
    const TOKENS: u64 = 6;
    for revoked in 0..1_u64 << TOKENS {
        let is_revoked = |number: u64| revoked >> number & 1 == 1;
        let scene = with_tokens(TOKENS, is_revoked).await?;
        let ids = |wanted: &dyn Fn(u64) -> bool| -> Vec<_> {
            let wanted = (0..TOKENS).filter(|number| wanted(*number));
            wanted.map(|number| token(number).id).collect()
        };
        for size in 1..=TOKENS as u32 + 1 {
            let all = pages(&scene, None, size).await?.concat();
            assert_eq!(all, ids(&|_| true), "{size} of all");
            let found = pages(&scene, Some(State::Revoked), size).await?.concat();
            assert_eq!(found, ids(&is_revoked), "{size} of revoked {revoked:06b}");
            let found = pages(&scene, Some(State::Active), size).await?.concat();
            assert_eq!(found, ids(&|number| !is_revoked(number)), "{size}, {revoked:06b}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_filter_that_matches_little_reads_once_a_page_and_comes_to_an_end() -> Answer<()> {
    const TOKENS: u64 = 200;
    let scene = with_tokens(TOKENS, |number| number == 3 || number == 190).await?;
    let before = scene.faulty.calls(Call::Tokens);
    let pages = pages(&scene, Some(State::Revoked), 2).await?;
    assert_eq!(scene.faulty.calls(Call::Tokens) - before, pages.len());
    assert_eq!(pages.concat(), [token(3).id, token(190).id]);
    let (last, others) = pages.split_last().ok_or("no page")?;
    assert!(last.len() <= 2 && others.len() > 2);
    assert!(others.iter().any(Vec::is_empty), "{pages:?}");
    Ok(())
}

#[tokio::test]
async fn a_total_is_exact_up_to_its_bound_and_then_a_lower_one() -> Answer<()> {
    let scene = with_tokens(7, |number| number < 3).await?;
    let total = async |state, size| {
        let counted = TokenQuery {
            with_total: true,
            ..query("notes", state, size)
        };
        Answer::Ok(scene.authority.list(counted).await?.total)
    };
    assert_eq!(total(None, 1).await?, Some(Total::Exactly(7)));
    assert_eq!(total(Some(State::Revoked), 5).await?, Some(Total::Exactly(3)));
    assert_eq!(scene.authority.list(query("notes", None, 1)).await?.total, None);
    let more = (7..COUNT_MAX + 5).map(|number| issue(token(number)));
    scene.store.commit(more.collect()).await?;
    assert_eq!(total(None, 1).await?, Some(Total::AtLeast(COUNT_MAX)));
    assert_eq!(total(Some(State::Revoked), 1).await?, Some(Total::Exactly(3)));
    Ok(())
}

#[tokio::test]
async fn what_can_match_nothing_is_not_looked_for() -> Answer<()> {
    let scene = with_tokens(3, |_| false).await?;
    let mut due = query("notes", None, 5);
    // The namespace does not say when a rotation is due.
    due.selector.rotation_due_before = Some(instant(9));
    due.with_total = true;
    let before = scene.faulty.calls(Call::Tokens);
    let page = scene.authority.list(due).await?;
    assert_eq!((page.tokens.len(), page.total), (0, Some(Total::Exactly(0))));
    assert_eq!(scene.faulty.calls(Call::Tokens), before);
    Ok(())
}

#[tokio::test]
async fn a_page_that_is_full_and_the_last_says_so() -> Answer<()> {
    let scene = with_tokens(4, |_| false).await?;
    for (size, wanted) in [(4, vec![4]), (2, vec![2, 2]), (3, vec![3, 1]), (5, vec![4])] {
        let sizes: Vec<_> = pages(&scene, None, size).await?.iter().map(Vec::len).collect();
        assert_eq!(sizes, wanted);
    }
    Ok(())
}

#[tokio::test]
async fn the_largest_page_asks_no_more_of_the_store_than_it_may() -> Answer<()> {
    let scene = with_tokens(3, |_| false).await?;
    for size in [READ_MAX, u32::MAX] {
        assert_eq!(pages(&scene, None, size).await?.concat().len(), 3);
    }
    // Nothing is no size of a page.
    assert_eq!(
        scene.authority.list(query("notes", None, 0)).await?.tokens.len(),
        1
    );
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_is_not_there_has_no_list() -> Answer<()> {
    let scene = with_tokens(1, |_| false).await?;
    let refused = scene.authority.list(query("tasks", None, 10)).await;
    assert!(
        matches!(refused, Err(AuthorityError::NamespaceNotFound(_))),
        "{refused:?}"
    );
    Ok(())
}
