//! What is kept is what was given: every character, every byte, every microsecond.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Answer, Law, change, listed_after, read, write};
use crate::journal::samples::{issue, origin};
use crate::journal::{Draft, Entry, Origin, Revision};
use crate::store::{EntryFilter, READ_MAX, Store};
use crate::token::change::TokenChange;
use crate::token::namespace::Namespace;
use crate::token::samples::{HARD_TEXT, instant, kept, namespace, slug, token};
use crate::token::scope::{LabelKey, Labels, Scope, Scopes};
use crate::token::secret::Digest;
use crate::token::text::{Actor, LabelValue, Name, Reason, Subject};
use crate::token::time::Timestamp;
use crate::token::{KeptSecret, Token, Withdrawal};

/// The hard texts, and the longest there are.
fn texts() -> Vec<String> {
    let longest = ["🦀", "\u{301}", "\"", "\\", "a"].map(|c| c.repeat(200));
    HARD_TEXT.map(str::to_owned).into_iter().chain(longest).collect()
}

/// The entry at this revision, as a reader gets it.
async fn entry_at(store: &Arc<dyn Store>, revision: Revision) -> Answer<Entry> {
    let before = Revision::new(revision.get() - 1);
    let mut found = store.entries(before, EntryFilter::ALL, 1).await?;
    Ok(found.pop().ok_or("no such entry")?)
}

fn full_token(number: u64, text: &str) -> Answer<Token> {
    let scopes = ["*", "a:b/c.d_e-f", &"s".repeat(Scope::CHARS_MAX)].map(|s| Scope::try_from(s.to_owned()));
    let labels = ["k", "k.k_k-0"].map(|key| {
        let key = LabelKey::try_from(key.to_owned())?;
        Answer::Ok((key, LabelValue::try_from(text.to_owned())?))
    });
    Ok(Token {
        name: Name::try_from(text.to_owned())?,
        subject: Subject::try_from(text.to_owned())?,
        scopes: Scopes::try_from(scopes.into_iter().collect::<Result<Vec<_>, _>>()?)?,
        labels: Labels::try_from(labels.into_iter().collect::<Answer<BTreeMap<_, _>>>()?)?,
        ..token(number)
    })
}

pub(super) async fn text_survives(store: Arc<dyn Store>) -> Law {
    let mut newest = store.directory().await?.version;
    for (number, text) in (0..).zip(texts()) {
        let token = full_token(number, &text)?;
        let draft = Draft::of_token(
            Origin {
                actor: Actor::try_from(text.clone())?,
                ..origin()
            },
            None,
            TokenChange::Issued(Box::new(token.clone())),
        )?;
        let written = write(&store, draft).await?;
        assert_eq!(written.actor.as_str(), text);
        assert_eq!(entry_at(&store, written.revision).await?, written);
        assert_eq!(read(&store, token.id).await?.record, token);
        let look = store.tokens_by_digest(vec![token.secrets[0].digest]).await?;
        assert_eq!(look.tokens, [Ok(Some(token.clone()))]);
        let listed = listed_after(&store, "notes", None, READ_MAX).await?;
        assert_eq!(listed.last(), Some(&token));

        let withdrawn = |micros| {
            Answer::Ok(Withdrawal {
                time: instant(micros),
                reason: Reason::try_from(text.repeat(2))?,
            })
        };
        let (pause, end) = (withdrawn(1)?, withdrawn(2)?);
        change(&store, token.id, TokenChange::Suspended(pause.clone())).await?;
        let written = change(&store, token.id, TokenChange::Revoked(end.clone())).await?;
        assert_eq!(entry_at(&store, written.revision).await?, written);
        let stored = read(&store, token.id).await?.record;
        assert_eq!((stored.suspension, stored.revocation), (Some(pause), Some(end)));

        let renamed = Namespace {
            display_name: Name::try_from(text)?,
            ..namespace("notes", "kn_")
        };
        let written = write(&store, Draft::of_namespace(origin(), newest, renamed.clone())).await?;
        newest = written.revision;
        assert_eq!(entry_at(&store, newest).await?, written);
        let directory = store.directory().await?.record;
        assert_eq!(
            directory.get(&slug("notes")).map(|kept| Namespace::clone(kept)),
            Some(renamed)
        );
    }
    Ok(())
}

pub(super) async fn names_are_compared_byte_for_byte(store: Arc<dyn Store>) -> Law {
    // One person's eyes would take each pair for one; a store that folds case or normalises would too.
    let pairs = [
        ("É", "E\u{301}"),
        ("ann", "Ann"),
        ("a", "a "),
        ("ß", "ss"),
        ("k", "\u{212a}"),
    ];
    let texts: Vec<&str> = pairs.into_iter().flat_map(|(one, other)| [one, other]).collect();
    for (number, text) in (0..).zip(&texts) {
        write(&store, issue(full_token(number, text)?)).await?;
    }
    let listed = listed_after(&store, "notes", None, READ_MAX).await?;
    let names: Vec<_> = listed.iter().map(|token| token.name.as_str()).collect();
    assert_eq!(names, texts);
    let subjects: Vec<_> = listed.iter().map(|token| token.subject.as_str()).collect();
    assert_eq!(subjects, texts);

    // Slugs are lower case, so the nearest neighbours differ by their ends.
    let slugs = ["note", "notes-", "notes-0", "notess"];
    for (slug, prefix) in slugs.into_iter().zip(["a_", "b_", "c_", "d_"]) {
        let newest = store.directory().await?.version;
        write(
            &store,
            Draft::of_new_namespace(origin(), newest, namespace(slug, prefix)),
        )
        .await?;
    }
    let directory = store.directory().await?.record;
    assert_eq!(directory.len(), 5);
    for text in slugs.into_iter().chain(["notes"]) {
        assert_eq!(
            directory.get(&slug(text)).map(|kept| kept.slug.as_str()),
            Some(text)
        );
        let filter = EntryFilter {
            namespace: Some(slug(text)),
            token_id: None,
        };
        let entries = store.entries(Revision::ZERO, filter, READ_MAX).await?;
        assert!(!entries.is_empty());
        assert!(
            entries
                .iter()
                .all(|entry| entry.change.namespace().as_str() == text)
        );
    }
    Ok(())
}

pub(super) async fn instants_are_exact(store: Arc<dyn Store>) -> Law {
    let epoch = |micros| Timestamp::from_micros(micros);
    let instants = [
        Timestamp::MIN,
        epoch(Timestamp::MIN.micros() + 1)?,
        epoch(-1)?,
        epoch(0)?,
        epoch(1)?,
        epoch(9_007_199_254_740_993)?,
        epoch(Timestamp::MAX.micros() - 1)?,
        Timestamp::MAX,
    ];
    for (number, time) in (0..).zip(instants) {
        let secret = KeptSecret {
            retire_time: Some(time),
            ..kept(number, 1, time)
        };
        let token = Token {
            create_time: time,
            expire_time: Some(time),
            secrets: vec![secret, kept(number, 2, time)],
            ..token(number)
        };
        let draft = Draft::of_token(
            Origin { time, ..origin() },
            None,
            TokenChange::Issued(Box::new(token.clone())),
        )?;
        let written = write(&store, draft).await?;
        assert_eq!(written.time, time);
        assert_eq!(entry_at(&store, written.revision).await?, written);
        assert_eq!(read(&store, token.id).await?.record, token);

        let withdrawn = Withdrawal {
            time,
            reason: Reason::try_from(String::new())?,
        };
        change(&store, token.id, TokenChange::Suspended(withdrawn.clone())).await?;
        change(&store, token.id, TokenChange::Revoked(withdrawn.clone())).await?;
        let withdrawn_token = Token {
            suspension: Some(withdrawn.clone()),
            revocation: Some(withdrawn),
            ..token
        };
        assert_eq!(read(&store, withdrawn_token.id).await?.record, withdrawn_token);

        let newest = store.directory().await?.version;
        let founded = Namespace {
            create_time: time,
            update_time: time,
            ..namespace(&format!("n{number}"), &format!("k{number}_"))
        };
        write(&store, Draft::of_new_namespace(origin(), newest, founded.clone())).await?;
        let directory = store.directory().await?.record;
        assert_eq!(
            directory.get(&founded.slug).map(|kept| Namespace::clone(kept)),
            Some(founded)
        );
    }
    Ok(())
}

pub(super) async fn neighbouring_digests_are_different(store: Arc<dyn Store>) -> Law {
    let mut digests = Vec::new();
    for (byte, flipped) in [(0, 0), (0, 0x80), (0, 0x01), (15, 0x20), (31, 0x01), (31, 0x80)] {
        let mut bytes = [0; 32];
        bytes[byte] = flipped;
        digests.push(Digest::from_bytes(&bytes)?);
    }
    let token_of = |number: usize| {
        let mut token = token(number as u64);
        token.secrets[0].digest = digests[number];
        token
    };
    let tokens: Vec<_> = (0..digests.len()).map(token_of).collect();
    for token in &tokens[..3] {
        write(&store, issue(token.clone())).await?;
    }
    let look = store.tokens_by_digest(digests.clone()).await?;
    let found: Vec<_> = look.tokens.iter().flatten().flatten().collect();
    assert_eq!(found, tokens[..3].iter().collect::<Vec<_>>());
    assert_eq!(look.tokens[3..], [Ok(None), Ok(None), Ok(None)]);
    Ok(())
}
