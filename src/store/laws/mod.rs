//! The contract of a store as laws: each written once, and held against every store.
//!
//! A new law is one line in `every_law!`; a new store is one line in `store_laws!`, and it may skip a law
//! only with a reason. Every law begins with the namespace `notes`, at revision 1.

mod commits;
mod identity;
mod journal;
mod reads;

use std::error::Error;
use std::future::{Ready, ready};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::runtime::Handle;

use super::memory::MemoryStore;
use super::spawned::Spawned;
use super::sqlite::SqliteStore;
use super::{EntryFilter, Outcome, READ_MAX, Store};
use crate::journal::cursor::Epoch;
use crate::journal::samples::origin;
use crate::journal::{Draft, Entry, Revision, Stored};
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::id::TokenId;
use crate::token::samples::{kept, namespace};
use crate::token::time::Timestamp;

type Law = Result<(), Box<dyn Error + Send + Sync>>;
type Answer<T> = Result<T, Box<dyn Error + Send + Sync>>;

macro_rules! every_law {
    ($open:path) => {
        stamp! { $open;
            commits::drafts_get_dense_revisions_in_order_under_concurrency,
            commits::what_a_commit_returns_is_observable_at_once,
            commits::a_stale_guard_writes_nothing,
            commits::a_repeated_request_gets_its_first_entry,
            commits::a_request_repeated_in_one_batch_gets_its_first_entry,
            commits::of_two_drafts_for_one_token_in_a_batch_one_wins,
            commits::of_concurrent_drafts_for_one_token_one_wins,
            commits::a_conflict_leaves_no_gap_and_spares_its_neighbours,
            commits::an_empty_batch_writes_nothing,
            commits::namespaces_are_guarded_by_the_newest_change_to_any,
            commits::the_hint_reaches_what_was_committed,
            journal::links_chain_from_the_start,
            journal::the_journal_rebuilds_every_token,
            journal::what_was_read_never_changes,
            journal::entries_are_filtered_and_paged,
            journal::beyond_the_head_is_nothing,
            journal::trim_forgets_only_what_is_below,
            reads::strangers_are_absent,
            reads::digests_are_answered_in_the_order_asked,
            reads::a_retired_secret_is_found_and_a_forgotten_one_is_not,
            reads::a_look_is_the_state_at_its_fence,
            reads::pages_neither_repeat_nor_skip,
            reads::a_listing_keeps_to_its_namespace,
            identity::text_survives,
            identity::names_are_compared_byte_for_byte,
            identity::instants_are_exact,
            identity::neighbouring_digests_are_different,
        }
    };
}

/// One test a law, in the module of a store.
macro_rules! stamp {
    ($open:path; $($subject:ident::$law:ident,)*) => {
        const LAWS: &[&str] = &[$(stringify!($law)),*];

        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() -> super::Law {
                if SKIPPED.iter().any(|(law, _reason)| *law == stringify!($law)) {
                    return Ok(());
                }
                let (store, _kept_until_the_end) = $open().await?;
                super::found_notes(&store).await?;
                super::$subject::$law(store).await
            }
        )*

        #[test]
        fn only_laws_are_skipped() {
            for (law, reason) in SKIPPED {
                assert!(LAWS.contains(law) && !reason.is_empty(), "{law}");
            }
        }
    };
}

macro_rules! store_laws {
    ($($store:ident => $open:path $(, skip $law:ident: $reason:literal)*;)*) => {
        $(
            mod $store {
                const SKIPPED: &[(&str, &str)] = &[$((stringify!($law), $reason)),*];

                every_law!($open);
            }
        )*
    };
}

store_laws! {
    memory => super::in_memory;
    sqlite => super::in_sqlite;
    spawned => super::in_a_task;
}

/// A store, and the folder that must outlive it.
type Opened = (Arc<dyn Store>, Option<TempDir>);

const EPOCH: Epoch = Epoch::new([1; 16]);

fn in_memory() -> Ready<Answer<Opened>> {
    ready(Ok((Arc::new(MemoryStore::new(EPOCH)), None)))
}

async fn in_sqlite() -> Answer<Opened> {
    let folder = TempDir::new()?;
    let store = SqliteStore::open(&folder.path().join("store.db"), EPOCH).await?;
    Ok((Arc::new(store), Some(folder)))
}

async fn in_a_task() -> Answer<Opened> {
    let (store, folder) = in_sqlite().await?;
    Ok((Arc::new(Spawned::new(store, Handle::current())), folder))
}

async fn found_notes(store: &Arc<dyn Store>) -> Law {
    let notes = namespace("notes", "kn_");
    let entry = write(store, Draft::of_new_namespace(origin(), Revision::ZERO, notes)).await?;
    assert_eq!(entry.revision, Revision::new(1));
    Ok(())
}

/// Commits one draft, which must go through.
async fn write(store: &Arc<dyn Store>, draft: Draft) -> Answer<Entry> {
    match <[Outcome; 1]>::try_from(store.commit(vec![draft]).await?) {
        Ok([Outcome::Written(entry)]) => Ok(entry),
        outcome => Err(format!("not written: {outcome:?}").into()),
    }
}

async fn read(store: &Arc<dyn Store>, id: TokenId) -> Answer<Stored<Token>> {
    Ok(store.token(id).await?.ok_or("no such token")?)
}

/// Commits a change to the token as it is now.
async fn change(store: &Arc<dyn Store>, id: TokenId, change: TokenChange) -> Answer<Entry> {
    let before = read(store, id).await?;
    write(store, Draft::of_token(origin(), Some(&before), change)?).await
}

/// The next rotation of the token of this number; the old secret ends at `retire_time`.
fn rotation(number: u64, token: &Token, retire_time: Timestamp) -> TokenChange {
    let version = token.current_secret().map_or(1, |current| current.version + 1);
    TokenChange::Rotated {
        secret: kept(number, version, retire_time),
        retire_time,
    }
}

/// The whole journal, a page at a time.
async fn all_entries(store: &Arc<dyn Store>) -> Answer<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(Revision::ZERO, |last| last.revision);
        let page = store.entries(after, EntryFilter::ALL, READ_MAX).await?;
        let Some(first) = page.first() else {
            return Ok(entries);
        };
        assert!(first.revision > after, "a page began again");
        entries.extend(page);
    }
}
