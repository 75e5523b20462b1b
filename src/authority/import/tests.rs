//! Each row is imported once, however often and however broken the way was; and what cannot be is refused by itself.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::*;
use crate::authority::samples::{Scene, ask};
use crate::journal::samples::origin;
use crate::store::faulty::{Call, Fault, Gate};
use crate::store::samples::{Answer, write};
use crate::token::format::Body;
use crate::token::phc::Phc;
use crate::token::samples::{instant, name, namespace, pepper, scopes, slug};
use crate::token::scope::Labels;
use crate::token::secret::Secret;
use crate::token::text::{Actor, ImportKey, Subject};

fn text(number: u64) -> String {
    format!("kt_{number:040}")
}

fn row(number: u64) -> Row {
    Row {
        key: ImportKey::try_from(number.to_string()).unwrap(),
        name: name("Laptop"),
        subject: Subject::try_from("ann".to_owned()).unwrap(),
        scopes: scopes(&["read"]),
        labels: Labels::default(),
        digest: ImportedDigest::Sha256(Sha256::digest(text(number)).into()),
        beginning: text(number)[..7].to_owned(),
        create_time: None,
        expire_time: None,
        suspension: None,
        revocation: None,
    }
}

fn slow(number: u64) -> Row {
    Row {
        digest: ImportedDigest::ToTry(Phc::of_sha512(&[number as u8; 64])),
        ..row(number)
    }
}

fn id(number: u8) -> ImportId {
    ImportId::of_content([number; 32])
}

/// With the namespace `tasks`, whose texts others can make.
async fn scene() -> Answer<Scene> {
    let scene = Scene::start().await?;
    let mut tasks = namespace("tasks", "kt_");
    tasks.format.body = Body::hex(40)?;
    let newest = scene.store.directory().await?.version;
    write(&scene.store, Draft::of_new_namespace(origin(), newest, tasks)).await?;
    Ok(scene)
}

async fn import_as(
    scene: &Scene,
    caller: &Caller,
    id: ImportId,
    rows: Vec<Row>,
) -> Result<Vec<Imported>, AuthorityError> {
    let mut under_way = scene.authority.begin_import(&slug("tasks"), id, false).await?;
    let rows = rows.into_iter().map(Ok).collect();
    told(scene, caller, &mut under_way, rows).await
}

/// What becomes of the rows of one message, with none ahead of it.
async fn told(
    scene: &Scene,
    caller: &Caller,
    under_way: &mut Import,
    rows: Vec<Result<Row, RowRefused>>,
) -> Result<Vec<Imported>, AuthorityError> {
    scene.authority.import(caller, under_way, rows).await?;
    let imported = scene.authority.imported(under_way).await?;
    Ok(imported.unwrap_or_default())
}

async fn imported(scene: &Scene, id: ImportId, rows: Vec<Row>) -> Result<Vec<Imported>, AuthorityError> {
    import_as(scene, &ask().caller, id, rows).await
}

#[tokio::test]
async fn a_row_is_a_token_and_an_entry() -> Answer<()> {
    let scene = scene().await?;
    let before = scene.journal().await?.len();
    assert_eq!(
        imported(&scene, id(1), vec![row(1), slow(2)]).await?,
        [Imported::Now, Imported::Now]
    );
    let entries = &scene.journal().await?[before..];
    assert_eq!(entries.len(), 2);
    let digest = pepper(7).digest(&Secret::new(text(1)));
    let look = scene.store.tokens_by_digest(vec![digest]).await?;
    let token = look.tokens[0].clone()?.ok_or("not found")?;
    assert_eq!(Some(&token), token_of(&entries[0].change));
    assert_eq!(entries[0].actor, ask().caller.actor());
    assert_eq!(token.create_time, instant(0));
    Ok(())
}

#[tokio::test]
async fn a_row_that_comes_again_is_there_already_whoever_brings_it() -> Answer<()> {
    let scene = scene().await?;
    imported(&scene, id(1), vec![row(1), slow(2)]).await?;
    let head = scene.store.head().await?;
    let ben = Caller::certificate(Actor::try_from("ben".to_owned())?, scopes(&["*"]).into());
    let again = import_as(&scene, &ben, id(1), vec![row(1), slow(2), row(3)]).await?;
    assert_eq!(again, [Imported::Before, Imported::Before, Imported::Now]);
    assert_eq!(scene.store.head().await?.revision, head.revision.next());
    Ok(())
}

/// Redigested, a row is known by its entry alone.
#[tokio::test]
async fn a_row_that_was_used_since_is_there_already() -> Answer<()> {
    let scene = scene().await?;
    imported(&scene, id(1), vec![slow(2)]).await?;
    let entry = scene.journal().await?.pop().ok_or("no entry")?;
    let token_id = entry.change.token_id().ok_or("no token")?;
    crate::store::samples::change(&scene.store, token_id, crate::token::samples::redigested(1)).await?;
    assert_eq!(imported(&scene, id(1), vec![slow(2)]).await?, [Imported::Before]);
    Ok(())
}

#[tokio::test]
async fn a_digest_and_a_key_are_taken_once() -> Answer<()> {
    let scene = scene().await?;
    let keyed = |number, key: &str| Row {
        key: ImportKey::try_from(key.to_owned()).unwrap(),
        ..row(number)
    };
    let twice = imported(&scene, id(1), vec![row(1), keyed(1, "x"), keyed(2, "1")]).await?;
    let refused = Imported::Refused;
    assert_eq!(
        twice,
        [
            Imported::Now,
            refused(RowRefused::DigestTwice),
            refused(RowRefused::KeyTaken)
        ]
    );
    // The key was used before, for another digest; and the digest by another key, or in another import.
    let look = scene
        .store
        .tokens_by_digest(vec![pepper(7).digest(&Secret::new(text(1)))])
        .await?;
    let token_id = look.tokens[0].clone()?.ok_or("not found")?.id;
    let taken = [Imported::Refused(RowRefused::DigestTaken(token_id))];
    assert_eq!(
        imported(&scene, id(1), vec![keyed(2, "1")]).await?,
        [refused(RowRefused::KeyTaken)]
    );
    assert_eq!(imported(&scene, id(1), vec![keyed(1, "x")]).await?, taken);
    assert_eq!(imported(&scene, id(2), vec![row(1)]).await?, taken);
    Ok(())
}

#[tokio::test]
async fn a_refused_row_stops_nothing() -> Answer<()> {
    let scene = scene().await?;
    let caller = Caller::certificate(
        Actor::try_from("ben".to_owned())?,
        scopes(&["tokens.import:tasks", "tokens.grant:tasks:read"]).into(),
    );
    let too_much = Row {
        scopes: scopes(&["read", "write"]),
        ..row(2)
    };
    let misread = RowRefused::Field("name".to_owned(), "is wrong".to_owned());
    let mut under_way = scene.authority.begin_import(&slug("tasks"), id(1), false).await?;
    let rows = vec![Err(misread.clone()), Ok(too_much), Ok(row(1))];
    let imported = told(&scene, &caller, &mut under_way, rows).await?;
    let write = scopes(&["write"]).iter().next().cloned().ok_or("no scope")?;
    let not_grantable = Imported::Refused(RowRefused::NotGrantable(write));
    assert_eq!(
        imported,
        [Imported::Refused(misread), not_grantable, Imported::Now]
    );
    Ok(())
}

#[tokio::test]
async fn no_more_are_taken_to_be_tried_than_are_tried() -> Answer<()> {
    let scene = scene().await?;
    let max = TO_TRY_MAX as usize;
    let rows = |from: u64, count: usize| (from..).take(count).map(slow).collect::<Vec<_>>();
    let first = imported(&scene, id(1), rows(0, max - 1)).await?;
    assert_eq!(first, vec![Imported::Now; max - 1]);
    let refused = Imported::Refused(RowRefused::TooManyAlike { max });
    let next = imported(&scene, id(1), rows(50, 2)).await?;
    assert_eq!(next, [Imported::Now, refused.clone()]);
    assert_eq!(imported(&scene, id(1), rows(60, 1)).await?, [refused]);
    // What is found at once may begin like these.
    assert_eq!(imported(&scene, id(1), vec![row(70)]).await?, [Imported::Now]);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_writes_nothing() -> Answer<()> {
    let scene = scene().await?;
    imported(&scene, id(1), vec![row(1)]).await?;
    let head = scene.store.head().await?;
    let mut under_way = scene.authority.begin_import(&slug("tasks"), id(1), true).await?;
    let rows = vec![Ok(row(1)), Ok(row(2)), Ok(row(2))];
    let told = told(&scene, &ask().caller, &mut under_way, rows).await?;
    let twice = Imported::Refused(RowRefused::DigestTwice);
    assert_eq!(told, [Imported::Before, Imported::Now, twice]);
    assert_eq!(scene.store.head().await?, head);
    Ok(())
}

/// Whatever the store does to a commit, sending the rows again imports each once.
#[tokio::test]
async fn an_import_is_gone_on_with_after_any_failure() -> Answer<()> {
    for fault in [Fault::Before, Fault::After] {
        for lost in 1..=2 {
            let scene = scene().await?;
            let before = scene.journal().await?.len();
            for n in 1..=lost {
                scene.faulty.nth(n, Call::Commit, fault.clone());
            }
            let rows = || (0..40).map(row).collect::<Vec<_>>();
            let first = imported(&scene, id(1), rows()).await;
            if lost == 2 {
                assert!(first.is_err(), "the writer tries twice: {first:?}");
            }
            scene.faulty.heal(Call::Commit);
            let outcome = imported(&scene, id(1), rows()).await?;
            assert!(
                !outcome.iter().any(|row| matches!(row, Imported::Refused(_))),
                "{outcome:?}"
            );
            let entries = &scene.journal().await?[before..];
            let mut digests: Vec<_> = entries
                .iter()
                .filter_map(|entry| token_of(&entry.change))
                .map(|token| token.secrets[0].digest)
                .collect();
            assert_eq!((entries.len(), digests.len()), (40, 40));
            digests.sort_unstable();
            digests.dedup();
            assert_eq!(digests.len(), 40);
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_import_has_a_place_among_few_until_it_ends() -> Answer<()> {
    let scene = scene().await?;
    let begin = |slug_text: &'static str| {
        let authority = Arc::clone(&scene.authority);
        async move { authority.begin_import(&slug(slug_text), id(1), false).await }
    };
    let native = begin("notes").await;
    assert!(
        matches!(native, Err(AuthorityError::FormatTagged(_))),
        "{native:?}"
    );
    let nowhere = begin("nowhere").await;
    assert!(
        matches!(nowhere, Err(AuthorityError::NamespaceNotFound(_))),
        "{nowhere:?}"
    );
    let mut places = Vec::new();
    for _ in 0..IMPORTS_MAX {
        places.push(begin("tasks").await?);
    }
    let beyond = begin("tasks").await;
    assert!(
        matches!(beyond, Err(AuthorityError::TooManyImports { max: IMPORTS_MAX })),
        "{beyond:?}"
    );
    places.pop();
    assert_eq!(begin("tasks").await?.namespace(), &slug("tasks"));
    Ok(())
}

/// Sends messages of these rows; those after the first while its commit is held.
async fn ahead(scene: &Scene, messages: &[Vec<Row>]) -> Answer<(Import, Gate)> {
    let mut under_way = scene.authority.begin_import(&slug("tasks"), id(1), false).await?;
    let (caller, gate) = (ask().caller, scene.faulty.hold(Call::Commit));
    for (number, rows) in messages.iter().enumerate() {
        let rows = rows.iter().cloned().map(Ok).collect();
        let sent = scene.authority.import(&caller, &mut under_way, rows);
        sent.await?;
        if number == 0 {
            gate.arrived().await;
        }
    }
    Ok((under_way, gate))
}

#[tokio::test]
async fn messages_are_sent_while_the_first_is_written_and_told_of_in_order() -> Answer<()> {
    let scene = scene().await?;
    // Told apart by how many rows they have.
    let messages: Vec<Vec<_>> = (1..=AHEAD_MAX as u64)
        .map(|count| (0..count).map(|number| row(count * 10 + number)).collect())
        .collect();
    let before = scene.faulty.calls(Call::Commit);
    let (mut under_way, gate) = ahead(&scene, &messages).await?;
    assert!(!under_way.has_room());
    gate.open();
    for count in 1..=AHEAD_MAX {
        // A wait that is cut short loses nothing.
        let _ = timeout(Duration::ZERO, under_way.oldest_written()).await;
        let told = scene.authority.imported(&mut under_way).await?;
        assert_eq!(told, Some(vec![Imported::Now; count]));
        assert!(under_way.has_room());
    }
    assert_eq!(scene.authority.imported(&mut under_way).await?, None);
    // The first, and all that waited meanwhile in one.
    assert_eq!(scene.faulty.calls(Call::Commit), before + 2);
    Ok(())
}

/// Rows are told what they would be had each message waited for the one before.
#[tokio::test]
async fn what_is_ahead_counts_as_if_it_were_written() -> Answer<()> {
    let max = TO_TRY_MAX as usize;
    let caller = ask().caller;
    let alike = || (20..).take(max - 1).map(slow).collect::<Vec<_>>();
    let other_digest = Row {
        digest: row(9).digest,
        ..row(1)
    };
    let other_key = Row {
        key: row(9).key,
        ..row(1)
    };
    for (first, second) in [
        (vec![row(1)], vec![row(1), row(2)]),
        (vec![row(1)], vec![other_digest]),
        (vec![row(1)], vec![other_key]),
        (alike(), vec![slow(50), slow(51)]),
    ] {
        let mut told = Vec::new();
        for waits in [true, false] {
            let scene = scene().await?;
            let rows = |rows: &[Row]| rows.iter().cloned().map(Ok).collect();
            let mut under_way = scene.authority.begin_import(&slug("tasks"), id(1), false).await?;
            let mut outcomes = Vec::new();
            for message in [&first, &second] {
                let sent = scene.authority.import(&caller, &mut under_way, rows(message));
                sent.await?;
                if waits {
                    outcomes.extend(scene.authority.imported(&mut under_way).await?);
                }
            }
            while under_way.is_ahead() {
                outcomes.extend(scene.authority.imported(&mut under_way).await?);
            }
            // Ids are of the time and the row, so they are the same.
            told.push(outcomes);
        }
        assert_eq!(told[0], told[1]);
        assert_ne!(told[0][1], vec![Imported::Now; second.len()]);
    }
    Ok(())
}

/// Of messages ahead some may have been written, and the client is told of none after the one that failed.
#[tokio::test]
async fn an_import_of_which_messages_ahead_were_lost_is_gone_on_with() -> Answer<()> {
    let scene = scene().await?;
    let before = scene.journal().await?.len();
    let messages: Vec<Vec<_>> = (0..AHEAD_MAX as u64)
        .map(|message| (message * 10..message * 10 + 10).map(row).collect())
        .collect();
    let (mut under_way, gate) = ahead(&scene, &messages).await?;
    // Those behind the first go together: their commit fails, and so does the second try.
    for n in 1..=2 {
        scene.faulty.nth(n, Call::Commit, Fault::After);
    }
    gate.open();
    let told = scene.authority.imported(&mut under_way).await?;
    assert_eq!(told, Some(vec![Imported::Now; 10]));
    let failed = scene.authority.imported(&mut under_way).await;
    assert!(matches!(failed, Err(AuthorityError::Store(_))), "{failed:?}");
    drop(under_way);
    scene.faulty.heal(Call::Commit);
    for rows in messages {
        let told = imported(&scene, id(1), rows).await?;
        assert_eq!(told, [(); 10].map(|()| Imported::Before));
    }
    assert_eq!(scene.journal().await?.len(), before + 40);
    Ok(())
}
