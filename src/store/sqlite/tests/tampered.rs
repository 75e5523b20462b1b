//! Rows that somebody else has written: refused by name, and no harm to their neighbours.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::*;
use crate::store::samples::all_of;
use crate::store::{BadRow, Wrong};
use crate::token::namespace::Namespace;
use crate::token::order::Order;
use crate::token::samples::{name, plan, subject};
use crate::token::standing::SubjectChange;

/// Tokens 1 and 2; the first was suspended and resumed, so that there is an older state of it.
async fn with_tokens(folder: &TempDir) -> Result<SqliteStore, Box<dyn Error + Send + Sync>> {
    let store = with_notes(folder).await?;
    for number in [1, 2] {
        write(&store, issue(token(number))).await?;
    }
    for change in [
        TokenChange::Suspended(withdrawal(instant(1))),
        TokenChange::Resumed,
    ] {
        let before = store.token(token(1).id).await?;
        write(&store, Draft::of_token(origin(), before.as_ref(), change)?).await?;
    }
    Ok(store)
}

async fn meddle(folder: &TempDir, statement: &str) -> Tested {
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let mut connection = SqliteConnection::connect(&url).await?;
    let statement = AssertSqlSafe(statement.to_owned());
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_bad_row_is_refused_wherever_it_is_read_and_spares_the_others() -> Tested {
    for (meddling, wrong) in [
        (
            "UPDATE token SET scopes = '[\"admin\"]' WHERE version = 5",
            Wrong::Forged,
        ),
        (
            "UPDATE token SET scopes = 'no JSON' WHERE version = 5",
            Wrong::Unreadable,
        ),
        (
            "UPDATE token SET subject = CAST(x'ff' AS TEXT) WHERE version = 5",
            Wrong::Unreadable,
        ),
        ("UPDATE token SET mac = NULL WHERE version = 5", Wrong::Unsealed),
        ("UPDATE token SET version = 6 WHERE version = 5", Wrong::Forged),
    ] {
        let folder = TempDir::new()?;
        let store = with_tokens(&folder).await?;
        meddle(&folder, meddling).await?;
        let bad = BadRow {
            record: format!("token {}", token(1).id),
            wrong,
        };
        let digests = [1, 2, 3].map(|number| token(number).secrets.remove(0).digest);
        let look = store.tokens_by_digest(digests.to_vec()).await?;
        assert_eq!(
            look.tokens,
            [Err(bad.clone()), Ok(Some(token(2))), Ok(None)],
            "{meddling}"
        );
        let told = [
            store.token(token(1).id).await.err(),
            store
                .tokens(Selection {
                    filter: all_of("notes"),
                    order: Order::default(),
                    after: None,
                    limit: READ_MAX,
                })
                .await
                .err(),
        ];
        for error in told {
            let corrupt = StoreError::from(bad.clone()).to_string();
            assert_eq!(error.map(|error| error.to_string()), Some(corrupt), "{meddling}");
        }
        assert!(store.token(token(2).id).await?.is_some(), "{meddling}");
    }
    Ok(())
}

#[tokio::test]
async fn a_row_that_was_put_back_is_refused() -> Tested {
    let folder = TempDir::new()?;
    let store = with_notes(&folder).await?;
    write(&store, issue(token(1))).await?;
    meddle(&folder, "CREATE TABLE kept AS SELECT * FROM token").await?;
    let before = store.token(token(1).id).await?;
    let revoked = TokenChange::Revoked(withdrawal(instant(1)));
    write(&store, Draft::of_token(origin(), before.as_ref(), revoked)?).await?;
    meddle(
        &folder,
        "PRAGMA foreign_keys = OFF; DELETE FROM token; INSERT INTO token SELECT * FROM kept",
    )
    .await?;
    let look = store.tokens_by_digest(vec![token(1).secrets[0].digest]).await?;
    let wrong = Wrong::Outdated {
        version: Revision::new(2),
        newest: Revision::new(3),
    };
    assert_eq!(
        look.tokens,
        [Err(BadRow {
            record: format!("token {}", token(1).id),
            wrong
        })]
    );
    Ok(())
}

#[tokio::test]
async fn a_namespace_is_under_a_mac_too() -> Tested {
    let folder = TempDir::new()?;
    let store = with_notes(&folder).await?;
    meddle(&folder, "UPDATE namespace SET display_name = 'Eve'").await?;
    let error = store.directory().await.err().ok_or("it was believed")?;
    assert!(
        error
            .to_string()
            .contains("namespace notes: its row is not the one"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_was_put_back_is_refused() -> Tested {
    let folder = TempDir::new()?;
    let store = with_notes(&folder).await?;
    meddle(&folder, "CREATE TABLE kept AS SELECT * FROM namespace").await?;
    let renamed = Namespace {
        display_name: name("Memos"),
        ..namespace("notes", "kn_")
    };
    write(&store, Draft::of_namespace(origin(), Revision::new(1), renamed)).await?;
    meddle(
        &folder,
        "DELETE FROM namespace; INSERT INTO namespace SELECT * FROM kept",
    )
    .await?;
    let error = store.directory().await.err().ok_or("it was believed")?;
    assert!(
        error
            .to_string()
            .contains("namespace notes: its row is of revision 1"),
        "{error}"
    );
    Ok(())
}

/// Ann's token, and that she is suspended; `kept` has what was said of her before.
async fn with_ann_suspended(folder: &TempDir) -> Result<SqliteStore, Box<dyn Error + Send + Sync>> {
    let store = with_notes(folder).await?;
    write(&store, issue(token(1))).await?;
    let ann = || (slug("notes"), subject("ann"));
    let planned = SubjectChange::PlanSet(Some(plan("pro")));
    write(&store, Draft::of_subject(origin(), None, ann(), planned)?).await?;
    meddle(folder, "CREATE TABLE kept AS SELECT * FROM subject").await?;
    let before = store
        .standings(slug("notes"), vec![subject("ann")])
        .await?
        .remove(0);
    let suspended = SubjectChange::Suspended(withdrawal(instant(1)));
    write(
        &store,
        Draft::of_subject(origin(), before.as_ref(), ann(), suspended)?,
    )
    .await?;
    Ok(store)
}

#[tokio::test]
async fn nobody_resumes_a_subject_by_its_row() -> Tested {
    for (meddling, wrong) in [
        (
            "UPDATE subject SET suspend_time = NULL, suspend_reason = NULL",
            Wrong::Forged,
        ),
        ("UPDATE subject SET mac = NULL", Wrong::Unsealed),
        ("UPDATE subject SET plan = CAST(x'ff' AS TEXT)", Wrong::Unreadable),
        ("UPDATE subject SET subject = 'bob'", GONE),
        ("DELETE FROM subject", GONE),
        (
            "DELETE FROM subject; INSERT INTO subject SELECT * FROM kept",
            Wrong::Outdated {
                version: Revision::new(3),
                newest: Revision::new(4),
            },
        ),
    ] {
        let folder = TempDir::new()?;
        let store = with_ann_suspended(&folder).await?;
        meddle(&folder, meddling).await?;
        let bad = BadRow {
            record: "subject ann of notes".to_owned(),
            wrong,
        };
        let look = store.tokens_by_digest(vec![token(1).secrets[0].digest]).await?;
        assert_eq!(look.tokens, [Err(bad.clone())], "{meddling}");
        let asked = store.standings(slug("notes"), vec![subject("ann")]).await;
        assert_eq!(
            asked.err().map(|error| error.to_string()),
            Some(StoreError::from(bad).to_string()),
            "{meddling}"
        );
    }
    Ok(())
}

const GONE: Wrong = Wrong::Gone {
    newest: Revision::new(4),
};
