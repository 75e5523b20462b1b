//! What a commit writes, and what it must not.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Law, all_entries, change, read, rotation, write};
use crate::journal::samples::{issue, origin, rotation_due};
use crate::journal::{Draft, Entry, Revision, fold};
use crate::store::{EntryFilter, Outcome, Store};
use crate::token::KeptSecret;
use crate::token::change::{Retirement, TokenChange};
use crate::token::policy::RateLimit;
use crate::token::samples::{instant, kept, name, namespace, scopes, token, withdrawal};
use crate::token::scope::{LabelKey, Labels};
use crate::token::text::LabelValue;
use crate::token::time::Span;
use crate::token::update::{To, Update, update};

fn written(outcomes: &[Outcome]) -> Vec<Entry> {
    let written = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Written(entry) => Some(entry.clone()),
        Outcome::Repeated(_) | Outcome::Conflict => None,
    });
    written.collect()
}

fn revisions(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.revision.get()).collect()
}

pub(super) async fn drafts_get_dense_revisions_in_order_under_concurrency(store: Arc<dyn Store>) -> Law {
    const TASKS: u64 = 8;
    const BATCHES: u64 = 4;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut committed = Vec::new();
            for batch in 0..BATCHES {
                let first = (task * BATCHES + batch) * 4;
                let drafts: Vec<_> = (first..=first + batch).map(|n| issue(token(n))).collect();
                let requests: Vec<_> = drafts.iter().map(|draft| draft.request_id).collect();
                let entries = written(&store.commit(drafts).await?);
                let answered: Vec<_> = entries.iter().map(|entry| entry.request_id).collect();
                assert_eq!(answered, requests, "one answer a draft, in order");
                let revisions = revisions(&entries);
                assert!(
                    revisions.windows(2).all(|pair| pair[0] + 1 == pair[1]),
                    "{revisions:?}"
                );
                committed.extend(entries);
            }
            assert!(committed.is_sorted_by_key(|entry| entry.revision));
            Ok::<_, crate::store::StoreError>(committed)
        });
    }
    let mut committed = Vec::new();
    while let Some(task) = tasks.join_next().await {
        committed.extend(task??);
    }
    committed.sort_by_key(|entry| entry.revision);
    let end = 1 + TASKS * (1 + 2 + 3 + 4);
    assert_eq!(revisions(&committed), (2..=end).collect::<Vec<_>>());
    assert_eq!(all_entries(&store).await?[1..], committed);
    assert_eq!(store.head().await?.revision, Revision::new(end));
    Ok(())
}

pub(super) async fn what_a_commit_returns_is_observable_at_once(store: Arc<dyn Store>) -> Law {
    let mut tasks = JoinSet::new();
    for task in 0..4 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for number in task * 4..task * 4 + 4 {
                let entry = write(&store, issue(token(number))).await?;
                let before = Revision::new(entry.revision.get() - 1);
                let found = store.entries(before, EntryFilter::ALL, 1).await?;
                assert_eq!(found, std::slice::from_ref(&entry));
                assert!(store.head().await?.revision >= entry.revision);
                assert_eq!(
                    store.entry_of_request(entry.request_id).await?,
                    Some(entry.clone())
                );
                let stored = read(&store, token(number).id).await?;
                assert_eq!((stored.record, stored.version), (token(number), entry.revision));
            }
            Law::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

pub(super) async fn a_stale_guard_writes_nothing(store: Arc<dyn Store>) -> Law {
    write(&store, issue(token(1))).await?;
    let before = read(&store, token(1).id).await?;
    change(
        &store,
        token(1).id,
        TokenChange::Suspended(withdrawal(instant(1))),
    )
    .await?;
    let (head, current) = (store.head().await?, read(&store, token(1).id).await?);

    let rotated = TokenChange::Rotated {
        secret: kept(1, 2, instant(2)),
        retire_time: Some(instant(2)),
        beside: None,
        ends: None,
        by_default: false,
    };
    let rotation = Draft::of_token(origin(), Some(&before), rotated)?;
    let revocation = Draft::of_token(
        origin(),
        Some(&before),
        TokenChange::Revoked(withdrawal(instant(2))),
    )?;
    let again = issue(token(1));
    for draft in [rotation, revocation, again] {
        let request_id = draft.request_id;
        assert_eq!(store.commit(vec![draft]).await?, [Outcome::Conflict]);
        assert_eq!(store.entry_of_request(request_id).await?, None);
    }
    assert_eq!(store.head().await?, head);
    assert_eq!(read(&store, token(1).id).await?, current);
    assert_eq!(all_entries(&store).await?.len(), 3);
    let look = store
        .tokens_by_digest(vec![kept(1, 2, instant(2)).digest])
        .await?;
    assert_eq!(look.tokens, [Ok(None)]);
    Ok(())
}

pub(super) async fn a_repeated_request_gets_its_first_entry(store: Arc<dyn Store>) -> Law {
    let draft = issue(token(1));
    let first = write(&store, draft.clone()).await?;
    write(&store, issue(token(2))).await?;
    let head = store.head().await?;
    let mut other = issue(token(3));
    other.request_id = draft.request_id;
    for again in [draft, other] {
        assert_eq!(
            store.commit(vec![again]).await?,
            [Outcome::Repeated(first.clone())]
        );
    }
    assert_eq!(store.head().await?, head);
    assert_eq!(store.token(token(3).id).await?, None);
    assert_eq!(read(&store, token(1).id).await?.version, first.revision);
    Ok(())
}

pub(super) async fn a_request_repeated_in_one_batch_gets_its_first_entry(store: Arc<dyn Store>) -> Law {
    let first = issue(token(1));
    let mut other = issue(token(2));
    other.request_id = first.request_id;
    let batch = vec![first.clone(), other, first, issue(token(3))];
    let outcomes = store.commit(batch).await?;
    let entries = written(&outcomes);
    assert_eq!(revisions(&entries), [2, 3]);
    let repeated = Outcome::Repeated(entries[0].clone());
    assert_eq!(outcomes[1..3], [repeated.clone(), repeated]);
    assert_eq!(store.token(token(2).id).await?, None);
    assert_eq!(all_entries(&store).await?[1..], entries);
    Ok(())
}

pub(super) async fn of_two_drafts_for_one_token_in_a_batch_one_wins(store: Arc<dyn Store>) -> Law {
    let outcomes = store.commit(vec![issue(token(1)), issue(token(1))]).await?;
    assert!(
        matches!(outcomes[..], [Outcome::Written(_), Outcome::Conflict]),
        "{outcomes:?}"
    );
    let before = read(&store, token(1).id).await?;
    let rotation = rotation(1, &before.record, instant(1));
    let revocation = TokenChange::Revoked(withdrawal(instant(1)));
    let batch = [rotation, revocation].map(|change| Draft::of_token(origin(), Some(&before), change));
    let outcomes = store.commit(batch.into_iter().collect::<Result<_, _>>()?).await?;
    assert!(
        matches!(outcomes[..], [Outcome::Written(_), Outcome::Conflict]),
        "{outcomes:?}"
    );
    let after = read(&store, token(1).id).await?;
    assert_eq!((after.record.secrets.len(), after.record.revocation), (2, None));
    assert_eq!(store.head().await?.revision, Revision::new(3));
    Ok(())
}

pub(super) async fn of_concurrent_drafts_for_one_token_one_wins(store: Arc<dyn Store>) -> Law {
    write(&store, issue(token(1))).await?;
    for round in 0..4 {
        let before = read(&store, token(1).id).await?;
        let mut tasks = JoinSet::new();
        for _ in 0..6 {
            let rotation = rotation(1, &before.record, instant(round));
            let draft = Draft::of_token(origin(), Some(&before), rotation)?;
            let store = Arc::clone(&store);
            tasks.spawn(async move { store.commit(vec![draft]).await });
        }
        let mut winners = Vec::new();
        while let Some(task) = tasks.join_next().await {
            winners.extend(written(&task??));
        }
        let after = read(&store, token(1).id).await?;
        assert_eq!(revisions(&winners), [after.version.get()]);
        assert_eq!(after.version, before.version.next());
    }
    Ok(())
}

pub(super) async fn a_conflict_leaves_no_gap_and_spares_its_neighbours(store: Arc<dyn Store>) -> Law {
    write(&store, issue(token(2))).await?;
    let batch = vec![issue(token(1)), issue(token(2)), issue(token(3))];
    let outcomes = store.commit(batch).await?;
    assert_eq!(outcomes[1], Outcome::Conflict);
    assert_eq!(revisions(&written(&outcomes)), [3, 4]);
    let next = write(&store, issue(token(4))).await?;
    assert_eq!(next.revision, Revision::new(5));
    let kept: BTreeSet<_> = all_entries(&store)
        .await?
        .iter()
        .map(|e| e.revision.get())
        .collect();
    assert_eq!(kept, (1..=5).collect());
    Ok(())
}

pub(super) async fn an_empty_batch_writes_nothing(store: Arc<dyn Store>) -> Law {
    let head = store.head().await?;
    assert_eq!(store.commit(Vec::new()).await?, []);
    assert_eq!(store.head().await?, head);
    Ok(())
}

pub(super) async fn namespaces_are_guarded_by_the_newest_change_to_any(store: Arc<dyn Store>) -> Law {
    let newest = store.directory().await?.version;
    assert_eq!(newest, Revision::new(1));
    // A token is not a change to a namespace.
    write(&store, issue(token(1))).await?;
    assert_eq!(store.directory().await?.version, newest);

    let create = |slug, prefix, newest| Draft::of_new_namespace(origin(), newest, namespace(slug, prefix));
    let batch = vec![create("tasks", "kt_", newest), create("other", "kt_", newest)];
    let outcomes = store.commit(batch).await?;
    assert!(
        matches!(outcomes[..], [Outcome::Written(_), Outcome::Conflict]),
        "{outcomes:?}"
    );
    let stale = store.commit(vec![create("third", "third_", newest)]).await?;
    assert_eq!(stale, [Outcome::Conflict]);
    let update = |newest| Draft::of_namespace(origin(), newest, namespace("notes", "kn_"));
    assert_eq!(store.commit(vec![update(newest)]).await?, [Outcome::Conflict]);

    let directory = store.directory().await?;
    assert_eq!((directory.version, directory.record.len()), (Revision::new(3), 2));
    let entry = write(&store, update(directory.version)).await?;
    assert_eq!(store.directory().await?.version, entry.revision);
    Ok(())
}

pub(super) async fn the_hint_reaches_what_was_committed(store: Arc<dyn Store>) -> Law {
    let mut hint = store.committed();
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { write(&store, issue(token(number))).await });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    let head = store.head().await?.revision;
    let reached = hint.wait_for(|hinted| *hinted >= head);
    tokio::time::timeout(Duration::from_secs(30), reached).await??;
    Ok(())
}

/// Whatever an entry makes of a token is what is read of it, by id and by digest.
pub(super) async fn every_change_to_a_token_is_read_back(store: Arc<dyn Store>) -> Law {
    let id = token(1).id;
    for number in [1, 2] {
        write(&store, issue(token(number))).await?;
    }
    let asked = Update {
        name: Some(name("É \"🦀\"")),
        scopes: Some(scopes(&["admin"])),
        labels: Some(Labels::try_from(BTreeMap::from([(
            LabelKey::try_from("team".to_owned())?,
            LabelValue::try_from("'; --".to_owned())?,
        )]))?),
        expire_time: Some(To(Some(instant(99)))),
        networks: Some(To(Some(
            vec!["10.0.0.0/8".parse()?, "2001:db8::/32".parse()?].try_into()?,
        ))),
        rate_limit: Some(To(Some(RateLimit {
            requests: NonZeroU32::MAX,
            period: Span::seconds(60),
        }))),
    };
    let emptied = Update {
        labels: Some(Labels::default()),
        expire_time: Some(To(None)),
        networks: Some(To(None)),
        rate_limit: Some(To(None)),
        ..Update::default()
    };
    let rotated = TokenChange::Rotated {
        secret: KeptSecret {
            overlap: Some(Span::seconds(3600)),
            ..kept(1, 2, instant(2))
        },
        retire_time: None,
        beside: None,
        ends: None,
        by_default: true,
    };
    let before = token(1);
    let updated = update(&before, &asked, instant(1))?.ok_or("it is so already")?;
    let after = fold::token(Some(&before), &updated)?;
    let changes = [
        updated,
        rotated,
        TokenChange::FirstUsed {
            version: 2,
            time: instant(7),
            retires: Some(Retirement {
                version: 1,
                retire_time: instant(8),
            }),
        },
        TokenChange::RetiredSecretUsed {
            version: 1,
            time: instant(9),
            suspension: Some(withdrawal(instant(9))),
        },
        TokenChange::Resumed,
        rotation_due(2),
        update(&after, &emptied, instant(2))?.ok_or("it is so already")?,
    ];
    let mut wanted = before;
    for to in changes {
        wanted = fold::token(Some(&wanted), &to)?;
        change(&store, id, to).await?;
        assert_eq!(read(&store, id).await?.record, wanted);
        let digest = wanted.secrets[wanted.secrets.len() - 1].digest;
        let look = store.tokens_by_digest(vec![digest]).await?;
        assert_eq!(look.tokens, [Ok(Some(wanted.clone()))]);
    }
    assert_eq!(read(&store, token(2).id).await?.record, token(2));
    Ok(())
}
