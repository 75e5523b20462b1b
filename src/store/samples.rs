//! What tests do with a store over and over.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::select::Selection;
use super::{EntryFilter, Outcome, READ_MAX, Store};
use crate::journal::cursor::Epoch;
use crate::journal::samples::origin;
use crate::journal::{Draft, Entry, Revision, Stored};
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::id::TokenId;
use crate::token::namespace::Directory;
use crate::token::order::Order;
use crate::token::samples::{instant, kept, namespace, slug};
use crate::token::selector::{Filter, Selector};
use crate::token::time::Timestamp;

pub(crate) type Answer<T> = Result<T, Box<dyn Error + Send + Sync>>;

pub(crate) const EPOCH: Epoch = Epoch::new([1; 16]);

/// Creates the namespace `notes`, which is then revision 1.
pub(crate) async fn found_notes(store: &Arc<dyn Store>) -> Answer<()> {
    let notes = namespace("notes", "kn_");
    let entry = write(store, Draft::of_new_namespace(origin(), Revision::ZERO, notes)).await?;
    assert_eq!(entry.revision, Revision::new(1));
    Ok(())
}

/// Commits one draft, which must go through.
pub(crate) async fn write(store: &Arc<dyn Store>, draft: Draft) -> Answer<Entry> {
    match <[Outcome; 1]>::try_from(store.commit(vec![draft]).await?) {
        Ok([Outcome::Written(entry)]) => Ok(entry),
        outcome => Err(format!("not written: {outcome:?}").into()),
    }
}

pub(crate) async fn read(store: &Arc<dyn Store>, id: TokenId) -> Answer<Stored<Token>> {
    Ok(store.token(id).await?.ok_or("no such token")?)
}

/// Commits a change to the token as it is now.
pub(crate) async fn change(store: &Arc<dyn Store>, id: TokenId, change: TokenChange) -> Answer<Entry> {
    let before = read(store, id).await?;
    write(store, Draft::of_token(origin(), Some(&before), change)?).await
}

/// The next rotation of the token of this number; the old secret ends at `retire_time`.
pub(crate) fn rotation(number: u64, token: &Token, retire_time: Timestamp) -> TokenChange {
    let version = token.current_secret().map_or(1, |current| current.version + 1);
    TokenChange::Rotated {
        secret: kept(number, version, retire_time),
        retire_time: Some(retire_time),
        beside: None,
        ends: None,
        by_default: false,
    }
}

/// The whole journal, a page at a time.
pub(crate) async fn all_entries(store: &Arc<dyn Store>) -> Answer<Vec<Entry>> {
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

/// The tokens of a namespace after one of them, in the order of issue.
pub(crate) async fn listed_after(
    store: &Arc<dyn Store>,
    namespace: &str,
    after: Option<&Token>,
    limit: u32,
) -> Answer<Vec<Token>> {
    let order = Order::default();
    let slice = store
        .tokens(Selection {
            filter: all_of(namespace),
            order,
            after: after.map(|token| order.place(token)),
            limit,
        })
        .await?;
    Ok(slice.tokens.into_iter().map(|stored| stored.record).collect())
}

/// A filter that lets through all tokens of a namespace.
pub(crate) fn all_of(namespace: &str) -> Filter {
    Filter {
        namespace: Some(slug(namespace)),
        ..Selector::default().anywhere(&Directory::default(), instant(0))
    }
}

/// Returns when every other task waits: time that is paused moves no sooner.
pub(crate) async fn idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
