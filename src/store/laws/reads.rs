//! What a read finds, in which order, and how fresh it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Answer, Law, all_entries, change, listed_after, read, rotation, write};
use crate::journal::samples::{import, issue, origin};
use crate::journal::{Change, Draft, Revision, fold};
use crate::store::{Look, READ_MAX, Store, TO_TRY_MAX};
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::id::{RequestDigest, TokenId};
use crate::token::samples::{imported, instant, kept, namespace, redigested, slug, token, withdrawal};

pub(super) async fn strangers_are_absent(store: Arc<dyn Store>) -> Law {
    write(&store, issue(token(1))).await?;
    assert_eq!(store.token(token(2).id).await?, None);
    assert_eq!(
        store
            .entry_of_request(RequestDigest::new(instant(0), [0xff; 10]))
            .await?,
        None
    );
    let look = store
        .tokens_by_digest(vec![kept(2, 1, instant(0)).digest])
        .await?;
    assert_eq!(look.tokens, [Ok(None)]);
    assert_eq!(listed_after(&store, "tasks", None, READ_MAX).await?, []);
    assert!(store.directory().await?.record.get(&slug("tasks")).is_none());
    Ok(())
}

pub(super) async fn digests_are_answered_in_the_order_asked(store: Arc<dyn Store>) -> Law {
    let mut last = Revision::ZERO;
    for number in 0..20 {
        last = write(&store, issue(token(number))).await?.revision;
    }
    let asked: Vec<u64> = (0..u64::from(READ_MAX)).map(|n| n * 7 % 40).collect();
    let digests = asked.iter().map(|number| kept(*number, 1, instant(0)).digest);
    let look = store.tokens_by_digest(digests.collect()).await?;
    let wanted: Vec<_> = asked
        .iter()
        .map(|number| Ok((*number < 20).then(|| token(*number))))
        .collect();
    assert_eq!(look.tokens, wanted);
    assert!(look.fence >= last);
    assert_eq!(store.tokens_by_digest(Vec::new()).await?.tokens, []);
    Ok(())
}

pub(super) async fn a_retired_secret_is_found_and_a_forgotten_one_is_not(store: Arc<dyn Store>) -> Law {
    let id = token(1).id;
    for draft in [issue(token(1)), issue(token(2))] {
        write(&store, draft).await?;
    }
    for version in 2..=12 {
        let before = read(&store, id).await?;
        let entry = change(&store, id, rotation(1, &before.record, instant(version.into()))).await?;
        let now = read(&store, id).await?.record;
        let digests = (1..=version).map(|version| kept(1, version, instant(0)).digest);
        let Look { tokens, fence, .. } = store.tokens_by_digest(digests.collect()).await?;
        assert!(fence >= entry.revision);
        let forgotten = (version as usize).saturating_sub(Token::SECRETS_KEPT_MAX);
        assert_eq!(tokens[..forgotten], vec![Ok(None); forgotten]);
        assert_eq!(tokens[forgotten..], vec![Ok(Some(now)); tokens.len() - forgotten]);
    }
    let neighbour = store
        .tokens_by_digest(vec![kept(2, 1, instant(0)).digest])
        .await?;
    assert_eq!(neighbour.tokens, [Ok(Some(token(2)))]);
    Ok(())
}

pub(super) async fn a_redigested_secret_is_found_by_its_new_digest_alone(store: Arc<dyn Store>) -> Law {
    for number in [1, 2] {
        write(&store, issue(token(number))).await?;
    }
    let id = token(1).id;
    let before = read(&store, id).await?;
    change(&store, id, rotation(1, &before.record, instant(9))).await?;
    change(&store, id, redigested(1)).await?;
    let now = read(&store, id).await?.record;
    let digests = [
        now.secrets[0].digest,
        now.secrets[1].digest,
        token(1).secrets[0].digest,
    ];
    assert_ne!(digests[0], digests[2]);
    let Look { tokens, .. } = store.tokens_by_digest(digests.to_vec()).await?;
    assert_eq!(tokens, [Ok(Some(now.clone())), Ok(Some(now)), Ok(None)]);
    Ok(())
}

pub(super) async fn what_has_to_be_tried_is_found_by_its_beginning(store: Arc<dyn Store>) -> Law {
    let most = u64::from(TO_TRY_MAX);
    // All begin alike but the last, and one that was issued here.
    for number in 0..=most + 1 {
        let beginning = if number > most { "kn_b" } else { "kn_a" };
        write(&store, import(imported(number, beginning))).await?;
    }
    write(&store, issue(token(100))).await?;
    let [alike, other] =
        [&imported(0, "kn_a"), &imported(0, "kn_b")].map(|token| token.secrets[0].hint.clone());
    let last = imported(most + 1, "kn_b");
    let nobody = token(100).secrets[0].hint.clone();
    let digests = vec![last.secrets[0].digest, kept(100, 1, instant(0)).digest];
    let look = store
        .look_up(digests, vec![alike.clone(), nobody, other.clone()])
        .await?;
    assert_eq!(look.tokens, [Ok(Some(last.clone())), Ok(Some(token(100)))]);
    let oldest = (0..most).map(|number| imported(number, "kn_a"));
    let wanted = |token| (token, None);
    assert_eq!(
        look.to_try,
        oldest.chain([last.clone()]).map(wanted).collect::<Vec<_>>()
    );
    assert_eq!(
        store.look_up(Vec::new(), vec![other.clone()]).await?.to_try,
        [(last.clone(), None)]
    );

    let entry = change(&store, last.id, redigested(1)).await?;
    let now = read(&store, last.id).await?.record;
    assert_eq!(now.secrets[0].phc, None);
    let digests = vec![last.secrets[0].digest, now.secrets[0].digest];
    let look = store.look_up(digests, vec![other]).await?;
    assert_eq!(
        (look.tokens, look.to_try),
        (vec![Ok(None), Ok(Some(now))], Vec::new())
    );
    assert!(look.fence >= entry.revision);
    Ok(())
}

/// A fill of a cache is dropped if a later entry was applied meanwhile; that is sound only if tokens and
/// fence are of one moment.
pub(super) async fn a_look_is_the_state_at_its_fence(store: Arc<dyn Store>) -> Law {
    let drafts = vec![issue(token(1)), issue(token(2))];
    store.commit(drafts).await?;
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for _ in 0..15 {
                for (number, micros) in [(1, 1), (2, 2)] {
                    let pause = TokenChange::Suspended(withdrawal(instant(micros)));
                    change(&store, token(number).id, pause).await?;
                    change(&store, token(number).id, TokenChange::Resumed).await?;
                }
            }
            Law::Ok(())
        }
    });
    let digests = vec![token(1).secrets[0].digest, token(2).secrets[0].digest];
    let mut looks = Vec::new();
    loop {
        let written = writer.is_finished();
        looks.push(store.tokens_by_digest(digests.clone()).await?);
        if written {
            break;
        }
    }
    writer.await??;

    let mut states: BTreeMap<Revision, BTreeMap<TokenId, Token>> = BTreeMap::new();
    let mut state: BTreeMap<TokenId, Token> = BTreeMap::new();
    for entry in all_entries(&store).await? {
        if let Change::Token { token_id, change, .. } = &entry.change {
            let after = fold::token(state.get(token_id), change)?;
            state.insert(*token_id, after);
        }
        states.insert(entry.revision, state.clone());
    }
    for Look { tokens, fence, .. } in looks {
        let found: Vec<Option<Token>> = tokens.into_iter().collect::<Result<_, _>>()?;
        let found: Vec<Token> = found.into_iter().flatten().collect();
        assert!(
            found.iter().eq(states[&fence].values()),
            "not the state at {fence}"
        );
    }
    Ok(())
}

/// The ids of all notes, by pages.
async fn listed(store: &Arc<dyn Store>, limit: u32) -> Answer<Vec<TokenId>> {
    let mut all: Vec<Token> = Vec::new();
    loop {
        let page = listed_after(store, "notes", all.last(), limit).await?;
        assert!(page.len() <= limit as usize);
        let Some(first) = page.first() else {
            return Ok(all.into_iter().map(|token| token.id).collect());
        };
        assert!(
            all.last().is_none_or(|last| last.id < first.id),
            "a page began again"
        );
        all.extend(page);
    }
}

pub(super) async fn pages_neither_repeat_nor_skip(store: Arc<dyn Store>) -> Law {
    // Even numbers are there before; odd ones arrive between them, from the end to the beginning.
    let before: Vec<u64> = (0..40).map(|n| n * 2).collect();
    store
        .commit(before.iter().map(|n| issue(token(*n))).collect())
        .await?;
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for number in (0..40).rev() {
                write(&store, issue(token(number * 2 + 1))).await?;
                change(
                    &store,
                    token(number * 2).id,
                    TokenChange::Suspended(withdrawal(instant(1))),
                )
                .await?;
            }
            Law::Ok(())
        }
    });
    let mut limits = (1..=7).cycle();
    loop {
        let written = writer.is_finished();
        let ids = listed(&store, limits.next().unwrap_or(1)).await?;
        assert!(
            ids.windows(2).all(|pair| pair[0] < pair[1]),
            "not each once, in order"
        );
        assert!(
            before.iter().all(|n| ids.binary_search(&token(*n).id).is_ok()),
            "skipped"
        );
        if written {
            break;
        }
    }
    writer.await??;
    let all: Vec<_> = (0..80).map(|number| token(number).id).collect();
    assert_eq!(listed(&store, 9).await?, all);
    Ok(())
}

pub(super) async fn a_listing_keeps_to_its_namespace(store: Arc<dyn Store>) -> Law {
    let slugs = ["note", "notes-", "notes-2", "n"];
    for (slug, prefix) in slugs.into_iter().zip(["ka_", "kb_", "kc_", "kd_"]) {
        let newest = store.directory().await?.version;
        let draft = Draft::of_new_namespace(origin(), newest, namespace(slug, prefix));
        write(&store, draft).await?;
    }
    for (number, name) in (0..).zip(slugs.into_iter().chain(["notes"]).cycle().take(20)) {
        let token = Token {
            namespace: slug(name),
            ..token(number)
        };
        write(&store, issue(token)).await?;
    }
    for (first, name) in (0..).zip(slugs.into_iter().chain(["notes"])) {
        let found = listed_after(&store, name, None, READ_MAX).await?;
        assert!(found.iter().all(|token| token.namespace == slug(name)));
        let ids: Vec<_> = found.iter().map(|token| token.id).collect();
        let wanted: Vec<_> = (0..4).map(|n| token(first + n * 5).id).collect();
        assert_eq!(ids, wanted);
        let after = listed_after(&store, name, found.get(1), 1).await?;
        assert_eq!(after.first().map(|token| token.id), Some(wanted[2]));
    }
    Ok(())
}
