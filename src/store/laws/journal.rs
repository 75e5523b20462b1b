//! The journal: linked, dense, unchanging, and enough to rebuild every token.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Law, all_entries, change, listed_after, read, rotation, write};
use crate::journal::link::Link;
use crate::journal::samples::{issue, origin};
use crate::journal::{Change, Draft, Entry, Revision, Stored, fold};
use crate::store::{EntryFilter, Outcome, READ_MAX, Store};
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::id::TokenId;
use crate::token::samples::{instant, namespace, slug, token, withdrawal};

/// A few tokens with a past.
async fn live_a_while(store: &Arc<dyn Store>) -> Law {
    store
        .commit((1..=5).map(|number| issue(token(number))).collect())
        .await?;
    let pause = TokenChange::Suspended(withdrawal(instant(3)));
    for step in 1..=10 {
        for number in [1, 2] {
            let before = read(store, token(number).id).await?;
            let rotation = rotation(number, &before.record, instant(step * 10));
            change(store, token(number).id, rotation).await?;
        }
        change(store, token(3).id, pause.clone()).await?;
        if step < 10 {
            change(store, token(3).id, TokenChange::Resumed).await?;
        }
    }
    change(store, token(2).id, TokenChange::Revoked(withdrawal(instant(4)))).await?;
    change(store, token(4).id, TokenChange::Revoked(withdrawal(instant(4)))).await?;
    Ok(())
}

pub(super) async fn links_chain_from_the_start(store: Arc<dyn Store>) -> Law {
    live_a_while(&store).await?;
    let mut previous = Link::START;
    for (entry, revision) in all_entries(&store).await?.into_iter().zip(1..) {
        assert_eq!(entry.revision, Revision::new(revision));
        assert_eq!(entry.link, previous.then(&entry.body));
        assert_eq!(Entry::open(entry.body.clone(), entry.link)?, entry);
        previous = entry.link;
    }
    assert_eq!(store.head().await?.link, previous);
    Ok(())
}

pub(super) async fn the_journal_rebuilds_every_token(store: Arc<dyn Store>) -> Law {
    live_a_while(&store).await?;
    let mut rebuilt: BTreeMap<TokenId, Stored<Token>> = BTreeMap::new();
    for entry in all_entries(&store).await? {
        let Change::Token { token_id, change, .. } = &entry.change else {
            continue;
        };
        let before = rebuilt.get(token_id).map(|stored| &stored.record);
        let stored = Stored {
            record: fold::token(before, change)?,
            version: entry.revision,
        };
        rebuilt.insert(*token_id, stored);
    }
    assert_eq!(rebuilt.len(), 5);
    for (id, stored) in &rebuilt {
        assert_eq!(read(&store, *id).await?, *stored);
    }
    let listed = listed_after(&store, "notes", None, READ_MAX).await?;
    assert!(listed.iter().eq(rebuilt.values().map(|stored| &stored.record)));
    for token in listed {
        let digests = token.secrets.iter().map(|kept| kept.digest).collect();
        let look = store.tokens_by_digest(digests).await?;
        assert_eq!(look.tokens, vec![Ok(Some(token.clone())); token.secrets.len()]);
    }
    Ok(())
}

pub(super) async fn what_was_read_never_changes(store: Arc<dyn Store>) -> Law {
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for number in 0..20 {
                let drafts = (number * 3..number * 3 + 3).map(|n| issue(token(n))).collect();
                store.commit(drafts).await?;
            }
            Law::Ok(())
        }
    });
    let mut seen: Vec<Entry> = Vec::new();
    loop {
        let written = writer.is_finished();
        // Never a gap that a later reading fills, never another entry where one was.
        let now = store.entries(Revision::ZERO, EntryFilter::ALL, READ_MAX).await?;
        assert!(
            now.iter()
                .zip(1..)
                .all(|(entry, revision)| entry.revision == Revision::new(revision))
        );
        assert!(now.starts_with(&seen), "a range that was read has changed");
        assert!(store.head().await?.revision >= Revision::new(now.len() as u64));
        seen = now;
        if written {
            break;
        }
    }
    writer.await??;
    assert_eq!(seen.len(), 61);
    Ok(())
}

pub(super) async fn entries_are_filtered_and_paged(store: Arc<dyn Store>) -> Law {
    let newest = store.directory().await?.version;
    let tasks = Draft::of_new_namespace(origin(), newest, namespace("tasks", "kt_"));
    let other = Token {
        namespace: slug("tasks"),
        ..token(2)
    };
    for draft in [issue(token(1)), tasks, issue(other), issue(token(3))] {
        write(&store, draft).await?;
    }
    change(&store, token(1).id, TokenChange::Revoked(withdrawal(instant(1)))).await?;

    let (all, none): (&[u64], &[u64]) = (&[1, 2, 3, 4, 5, 6], &[]);
    for (after, namespace, number, limit, wanted) in [
        (0, None, None, 100, all),
        (2, None, None, 3, &[3, 4, 5]),
        (6, None, None, 3, none),
        (0, None, None, 0, none),
        (0, Some("notes"), None, 100, &[1, 2, 5, 6]),
        (1, Some("notes"), None, 2, &[2, 5]),
        (0, Some("tasks"), None, 100, &[3, 4]),
        (0, Some("task"), None, 100, none),
        (0, None, Some(1), 100, &[2, 6]),
        (2, None, Some(1), 100, &[6]),
        (0, None, Some(1), 1, &[2]),
        (0, None, Some(9), 100, none),
        (0, Some("notes"), Some(1), 100, &[2, 6]),
        (0, Some("tasks"), Some(1), 100, none),
    ] {
        let filter = EntryFilter {
            namespace: namespace.map(slug),
            token_id: number.map(|number| token(number).id),
        };
        let found = store.entries(Revision::new(after), filter, limit).await?;
        let found: Vec<u64> = found.iter().map(|entry| entry.revision.get()).collect();
        assert_eq!(found, wanted, "after {after} of {namespace:?} {number:?}");
    }
    Ok(())
}

pub(super) async fn beyond_the_head_is_nothing(store: Arc<dyn Store>) -> Law {
    for after in [1, 2, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
        for filter in [
            EntryFilter::ALL,
            EntryFilter {
                namespace: Some(slug("notes")),
                token_id: None,
            },
        ] {
            let found = store.entries(Revision::new(after), filter, READ_MAX).await?;
            assert_eq!(found, [], "after {after}");
        }
    }
    Ok(())
}

pub(super) async fn trim_forgets_only_what_is_below(store: Arc<dyn Store>) -> Law {
    let drafts: Vec<_> = (1..=5).map(|number| issue(token(number))).collect();
    store.commit(drafts.clone()).await?;
    let (head, entries) = (store.head().await?, all_entries(&store).await?);
    assert_eq!(head.oldest, Revision::new(1));

    store.trim(Revision::ZERO).await?;
    assert_eq!(store.head().await?, head);
    store.trim(Revision::new(3)).await?;
    let trimmed = store.head().await?;
    assert_eq!(trimmed.oldest, Revision::new(4));
    assert_eq!((trimmed.revision, trimmed.link), (head.revision, head.link));
    assert_eq!(all_entries(&store).await?, entries[3..]);
    for (draft, entry) in drafts.iter().zip(&entries[1..]) {
        let found = store.entry_of_request(draft.request_id).await?;
        assert_eq!(found, (entry.revision > Revision::new(3)).then(|| entry.clone()));
    }

    // The head is kept, whatever is asked for: the next link follows from it.
    for through in [6, 7, u64::MAX] {
        store.trim(Revision::new(through)).await?;
        assert_eq!(all_entries(&store).await?, entries[5..]);
        assert_eq!(store.head().await?.oldest, Revision::new(6));
    }
    for number in 1..=5 {
        assert_eq!(read(&store, token(number).id).await?.record, token(number));
    }
    let conflict = store.commit(vec![issue(token(1))]).await?;
    assert_eq!(conflict, [Outcome::Conflict]);
    let next = write(&store, issue(token(6))).await?;
    assert_eq!(
        (next.revision, next.link),
        (Revision::new(7), head.link.then(&next.body))
    );
    Ok(())
}
