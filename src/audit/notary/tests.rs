//! Checkpoints: of the journal as it is, one for each state of it, and never of a past that was signed otherwise.

use super::*;
use crate::clock::ManualClock;
use crate::journal::checkpoint::KeyName;
use crate::journal::samples::issue;
use crate::store::faulty::{Call, Fault, Faulty};
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, all_entries, found_notes, write};
use crate::token::samples::{instant, token};

type Tested = Answer<()>;

fn key(seed: u8) -> SigningKey {
    let name = KeyName::try_from("example.com/log".to_owned()).unwrap();
    SigningKey::new(Some(name), &[seed; 32]).unwrap()
}

async fn store_with(tokens: std::ops::RangeInclusive<u64>) -> Answer<Arc<dyn Store>> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(EPOCH));
    found_notes(&store).await?;
    for number in tokens {
        write(&store, issue(token(number))).await?;
    }
    Ok(store)
}

fn notary(store: &Arc<dyn Store>, seed: u8) -> Notary {
    Notary::new(
        key(seed),
        Arc::clone(store),
        Arc::new(ManualClock::at(instant(0))),
    )
}

/// The root of what the store has.
async fn root(store: &Arc<dyn Store>) -> Answer<[u8; 32]> {
    let mut range = Range::default();
    for entry in all_entries(store).await? {
        range.append(&entry.body);
    }
    Ok(*range.root().as_bytes())
}

#[tokio::test]
async fn each_state_of_the_journal_is_signed_once() -> Tested {
    let store = store_with(1..=5).await?;
    let notary = notary(&store, 1);
    let first = notary.checkpoint().await?;
    let opened = notary.verifying_key().open(&first.note)?;
    assert_eq!(
        (opened.revision, *opened.root.as_bytes()),
        (Revision::new(6), root(&store).await?)
    );
    assert_eq!(notary.checkpoint().await?, first);
    assert_eq!(notary.signed(), Revision::new(6));
    write(&store, issue(token(6))).await?;
    let second = notary.checkpoint().await?;
    let opened = notary.verifying_key().open(&second.note)?;
    assert_eq!(
        (opened.revision, *opened.root.as_bytes()),
        (Revision::new(7), root(&store).await?)
    );
    assert_eq!(store.checkpoints(None, 10).await?, [second, first]);
    Ok(())
}

#[tokio::test]
async fn another_process_with_the_key_goes_on_from_the_kept_tree() -> Tested {
    let store = store_with(1..=5).await?;
    notary(&store, 1).checkpoint().await?;
    write(&store, issue(token(6))).await?;
    // What was signed is not needed any more.
    store.trim(Revision::new(6)).await?;
    let checkpoint = notary(&store, 1).checkpoint().await?;
    assert_eq!(checkpoint.revision, Revision::new(7));
    // One with another key would have to read it all.
    let other = notary(&store, 2).checkpoint().await;
    assert!(matches!(other, Err(StoreError::Corrupt { .. })), "{other:?}");
    Ok(())
}

#[tokio::test]
async fn a_tree_that_was_tampered_with_is_not_gone_on_from() -> Tested {
    let store = store_with(1..=5).await?;
    let real = notary(&store, 1).checkpoint().await?;
    let tampered = store_with(1..=5).await?;
    let forged = KeptCheckpoint {
        subtrees: vec![7; real.subtrees.len()],
        ..real
    };
    tampered.keep_checkpoint(forged, 10).await?;
    write(&tampered, issue(token(6))).await?;
    let checkpoint = notary(&tampered, 1).checkpoint().await?;
    let opened = key(1).verifying().open(&checkpoint.note)?;
    assert_eq!(*opened.root.as_bytes(), root(&tampered).await?);
    Ok(())
}

#[tokio::test]
async fn a_journal_that_is_shorter_than_what_was_signed_is_not_signed() -> Tested {
    let store = store_with(1..=5).await?;
    let signed = notary(&store, 1).checkpoint().await?;
    let shorter = store_with(1..=2).await?;
    shorter.keep_checkpoint(signed, 10).await?;
    let refused = notary(&shorter, 1).checkpoint().await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_signed_in_an_interval_in_which_nothing_was_written() -> Tested {
    let store = store_with(1..=2).await?;
    let notary = notary(&store, 1);
    let every = Duration::from_mins(1);
    notary.sign_if_due(every).await?;
    notary.sign_if_due(every).await?;
    assert_eq!(store.checkpoints(None, 10).await?.len(), 1);
    // What another server has signed just now is enough.
    write(&store, issue(token(3))).await?;
    self::notary(&store, 1).sign_if_due(every).await?;
    assert_eq!(store.checkpoints(None, 10).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_entry_that_is_missing_is_noticed_and_not_gone_on_from() -> Tested {
    let store = store_with(1..=5).await?;
    let faulty = Arc::new(Faulty::over(Arc::clone(&store)));
    faulty.nth(1, Call::Entries, Fault::Skips);
    let notary = notary(&(Arc::clone(&faulty) as Arc<dyn Store>), 1);
    let refused = notary.checkpoint().await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    assert_eq!(store.checkpoints(None, 10).await?, []);
    let checkpoint = notary.checkpoint().await?;
    let opened = notary.verifying_key().open(&checkpoint.note)?;
    assert_eq!(*opened.root.as_bytes(), root(&store).await?);
    Ok(())
}

/// A server that has seen the journal goes on from what it was: what it signs then agrees with no rewritten one.
#[tokio::test]
async fn what_was_signed_once_is_never_signed_otherwise() -> Tested {
    let store = store_with(1..=5).await?;
    let faulty = Arc::new(Faulty::over(Arc::clone(&store)));
    let notary = notary(&(Arc::clone(&faulty) as Arc<dyn Store>), 1);
    notary.checkpoint().await?;
    let rewritten = store_with(11..=17).await?;
    faulty.replace(Arc::clone(&rewritten));
    let checkpoint = notary.checkpoint().await?;
    let opened = notary.verifying_key().open(&checkpoint.note)?;
    assert_ne!(*opened.root.as_bytes(), root(&rewritten).await?);
    Ok(())
}
