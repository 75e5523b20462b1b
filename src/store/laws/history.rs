//! Searches: what is wanted is found, each once, and none reads for ever.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::{Law, all_entries, change, webhooks, write};
use crate::journal::samples::{issue, origin};
use crate::journal::{Draft, Entry, Kind, Revision};
use crate::store::history::{LOOKED_AT_MAX, Place, Search, TOKENS_ONE_BY_ONE_MAX, Wanted};
use crate::store::samples::Answer;
use crate::store::{READ_MAX, Store};
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::id::RequestDigest;
use crate::token::samples::{instant, namespace, slug, token, withdrawal};
use crate::token::standing::SubjectChange;
use crate::token::text::{Actor, Subject};

fn subject(name: &str) -> Subject {
    Subject::try_from(name.to_owned()).expect("it is one")
}

fn actor(name: &str) -> Actor {
    Actor::try_from(name.to_owned()).expect("it is one")
}

fn of(number: u64, name: &str) -> Token {
    Token {
        subject: subject(name),
        ..token(number)
    }
}

/// Every page of a search, and how many there were.
async fn found(store: &Arc<dyn Store>, wanted: &Wanted, limit: u32) -> Answer<(Vec<Entry>, usize)> {
    let (mut entries, mut pages, mut after) = (Vec::new(), 0, Place::START);
    loop {
        let search = Search {
            wanted: wanted.clone(),
            after,
            limit,
        };
        let found = store.search(search).await?;
        assert!(found.entries.len() <= limit as usize);
        entries.extend(found.entries);
        pages += 1;
        match found.next {
            Some(next) => {
                assert!(next > after, "it does not get on");
                after = next;
            }
            None => return Ok((entries, pages)),
        }
    }
}

/// Tokens of two subjects in two namespaces, changed by several, whose clocks do not agree.
async fn live_a_while(store: &Arc<dyn Store>) -> Law {
    let newest = store.directory().await?.version;
    write(
        store,
        Draft::of_new_namespace(origin(), newest, namespace("tasks", "kt_")),
    )
    .await?;
    for number in 1..=12 {
        let name = if number % 3 == 0 { "ada" } else { "bob" };
        let token = Token {
            namespace: slug(if number % 4 == 0 { "tasks" } else { "notes" }),
            ..of(number, name)
        };
        let mut draft = issue(token);
        draft.actor = actor(if number % 2 == 0 { "token:1" } else { "ops" });
        draft.time = instant(i64::try_from(1000 - number * 7 % 40)?);
        write(store, draft).await?;
    }
    for number in [3, 4, 5, 12] {
        change(
            store,
            token(number).id,
            TokenChange::Revoked(withdrawal(instant(1))),
        )
        .await?;
    }
    let suspended = SubjectChange::Suspended(withdrawal(instant(2)));
    let named = (slug("notes"), subject("ada"));
    write(store, Draft::of_subject(origin(), None, named, suspended)?).await?;
    Ok(())
}

pub(super) async fn a_search_finds_what_is_wanted_page_by_page_and_no_more(store: Arc<dyn Store>) -> Law {
    live_a_while(&store).await?;
    let all = all_entries(&store).await?;
    let (from, before) = (Some(instant(975)), Some(instant(990)));
    let none = Wanted::default;
    let notes = || Wanted {
        namespace: Some(slug("notes")),
        ..none()
    };
    for wanted in [
        none(),
        notes(),
        Wanted {
            token_id: Some(token(3).id),
            ..none()
        },
        Wanted {
            token_id: Some(token(4).id),
            ..notes()
        },
        Wanted {
            subject: Some(subject("ada")),
            ..notes()
        },
        Wanted {
            subject: Some(subject("nobody")),
            ..notes()
        },
        Wanted {
            subject: Some(subject("bob")),
            kinds: vec![Kind::TokenRevoked],
            ..notes()
        },
        Wanted {
            actor: Some(actor("ops")),
            ..none()
        },
        Wanted {
            actor: Some(actor("ops")),
            from,
            ..notes()
        },
        Wanted {
            kinds: vec![Kind::TokenRevoked, Kind::SubjectSuspended],
            ..none()
        },
        Wanted {
            from,
            before,
            ..none()
        },
        Wanted { from, ..notes() },
        Wanted {
            before,
            kinds: vec![Kind::TokenIssued],
            ..none()
        },
        Wanted {
            from: before,
            before: from,
            ..none()
        },
    ] {
        let mut expected = Vec::new();
        for entry in &all {
            let token = match entry.change.token_id() {
                Some(id) => store.token(id).await?,
                None => None,
            };
            let subject = token.as_ref().map(|token| &token.record.subject);
            if wanted.matches(entry, subject) {
                expected.push(entry.clone());
            }
        }
        let by_time = (wanted.from.is_some() || wanted.before.is_some()) && wanted.actor.is_none();
        if by_time {
            expected.sort_by_key(|entry| (entry.time, entry.revision));
        }
        for limit in [1, 2, 5, 100, READ_MAX] {
            let (entries, _) = found(&store, &wanted, limit).await?;
            assert_eq!(entries, expected, "{wanted:?} by {limit}");
        }
    }
    Ok(())
}

pub(super) async fn a_search_that_finds_little_comes_back_before_it_has_read_all(
    store: Arc<dyn Store>,
) -> Law {
    let drafts = (1..=60).map(|number| issue(token(number))).collect();
    store.commit(drafts).await?;
    change(&store, token(9).id, TokenChange::Revoked(withdrawal(instant(1)))).await?;
    let wanted = Wanted {
        kinds: vec![Kind::TokenRevoked],
        ..Wanted::default()
    };
    let search = Search {
        wanted: wanted.clone(),
        after: Place::START,
        limit: 1,
    };
    let first = store.search(search).await?;
    assert_eq!(first.entries, []);
    let next = first.next.ok_or("it read on")?;
    assert_eq!(next.revision, Revision::new(u64::from(LOOKED_AT_MAX)));
    let (entries, pages) = found(&store, &wanted, 1).await?;
    assert_eq!((entries.len(), pages), (1, 7));
    Ok(())
}

pub(super) async fn the_entries_of_a_subject_are_those_of_its_tokens_too_however_many(
    store: Arc<dyn Store>,
) -> Law {
    let wanted = Wanted {
        namespace: Some(slug("notes")),
        subject: Some(subject("ada")),
        ..Wanted::default()
    };
    let many = u64::from(TOKENS_ONE_BY_ONE_MAX) + 20;
    let mut expected = BTreeSet::new();
    for first in (1..=many).step_by(40) {
        let drafts = (first..(first + 40).min(many + 1))
            .flat_map(|number| [issue(of(number, "ada")), issue(of(1000 + number, "bob"))]);
        store.commit(drafts.collect()).await?;
        for entry in all_entries(&store).await? {
            let id = entry.change.token_id();
            if (1..=many).any(|number| id == Some(token(number).id)) {
                expected.insert(entry.revision);
            }
        }
        let (entries, _) = found(&store, &wanted, 50).await?;
        let found: Vec<_> = entries.iter().map(|entry| entry.revision).collect();
        assert!(found.iter().eq(&expected), "{found:?}");
    }
    assert_eq!(expected.len() as u64, many);
    Ok(())
}

pub(super) async fn the_entry_before_is_of_the_namespace_itself(store: Arc<dyn Store>) -> Law {
    write(&store, issue(token(1))).await?;
    let mut notes = namespace("notes", "kn_");
    notes.update_time = instant(5);
    let newest = store.directory().await?.version;
    let updated = write(&store, Draft::of_namespace(origin(), newest, notes)).await?;
    write(&store, issue(token(2))).await?;
    // Neither a token's nor a subject's, and not the namespace's own either.
    webhooks::create(&store, 1).await?;
    for (before, wanted) in [
        (1, None),
        (2, Some(1)),
        (3, Some(1)),
        (4, Some(3)),
        (100, Some(3)),
    ] {
        let found = store
            .namespace_entry_before(slug("notes"), Revision::new(before))
            .await?;
        assert_eq!(found.map(|entry| entry.revision.get()), wanted, "before {before}");
    }
    assert_eq!(updated.revision, Revision::new(3));
    let other = store
        .namespace_entry_before(slug("tasks"), Revision::new(9))
        .await?;
    assert_eq!(other, None);
    Ok(())
}

pub(super) async fn which_requests_were_written_is_told_of_each(store: Arc<dyn Store>) -> Law {
    let mut written = HashSet::new();
    for number in 1..=3 {
        written.insert(write(&store, issue(token(number))).await?.request_id);
    }
    let unwritten = [b"one", b"two"].map(|what| RequestDigest::of_program(what));
    let asked: Vec<_> = written.iter().copied().chain(unwritten).collect();
    assert_eq!(store.written(asked).await?, written);
    assert_eq!(store.written(unwritten.to_vec()).await?, HashSet::new());
    assert_eq!(store.written(Vec::new()).await?, HashSet::new());
    Ok(())
}
