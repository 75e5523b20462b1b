//! Two schemas, one design: the same tables, columns and indexes as SQLite has.

use std::collections::BTreeSet;

use sqlx::{Connection, Row, SqliteConnection};
use tempfile::TempDir;

use super::*;
use crate::store::sqlite::SqliteStore;

/// What only Postgres has, and why.
const ONLY_HERE: [(&str, &str); 3] = [
    (
        "member",
        "one process owns an SQLite file, so there is nobody to list",
    ),
    ("budget", "and nobody to share it with"),
    ("budget_report", "nor to hear from"),
];

/// Columns as `table.column`, those that must not be null marked with `!`, and the indexes by name.
#[derive(PartialEq, Eq, Debug)]
struct Catalogue {
    columns: BTreeSet<String>,
    indexes: BTreeSet<String>,
}

async fn in_sqlite() -> Answer<Catalogue> {
    let folder = TempDir::new()?;
    let path = folder.path().join("store.db");
    SqliteStore::open(&path, EPOCH, pepper(7).row_key())
        .await?
        .close()
        .await;
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await?;
    let columns = sqlx::query(
        "SELECT tables.name || '.' || columns.name AS name,
                tables.type = 'table' AND (columns.\"notnull\" OR columns.pk > 0) AS required
         FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
         WHERE tables.type IN ('table', 'view') AND tables.name NOT LIKE '\\_sqlx%' ESCAPE '\\'",
    );
    let indexes = sqlx::query("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL");
    Ok(Catalogue {
        columns: columns
            .fetch_all(&mut connection)
            .await?
            .iter()
            .map(|row| Ok(marked(row.try_get("name")?, row.try_get("required")?)))
            .collect::<Result<_, sqlx::Error>>()?,
        indexes: indexes
            .fetch_all(&mut connection)
            .await?
            .iter()
            .map(|row| row.try_get("name"))
            .collect::<Result<_, _>>()?,
    })
}

async fn in_postgres() -> Answer<Catalogue> {
    let database = Database::new().await?;
    let mut connection = database.connect().await?;
    let columns = sqlx::query(
        "SELECT table_name || '.' || column_name AS name, is_nullable = 'NO' AS required
         FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'",
    );
    // What a constraint brings along has no name of ours.
    let indexes = sqlx::query(
        "SELECT class.relname::text AS name
         FROM pg_index AS index JOIN pg_class AS class ON class.oid = index.indexrelid
         WHERE class.relnamespace = 'public'::regnamespace
             AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = index.indexrelid)",
    );
    Ok(Catalogue {
        columns: columns
            .fetch_all(&mut connection)
            .await?
            .iter()
            .map(|row| Ok(marked(row.try_get("name")?, row.try_get("required")?)))
            .collect::<Result<_, sqlx::Error>>()?,
        indexes: indexes
            .fetch_all(&mut connection)
            .await?
            .iter()
            .map(|row| row.try_get("name"))
            .collect::<Result<_, _>>()?,
    })
}

fn marked(name: &str, required: bool) -> String {
    format!("{name}{}", if required { "!" } else { "" })
}

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_and_indexes() -> Tested {
    let mut here = in_postgres().await?;
    for (table, reason) in ONLY_HERE {
        assert!(!reason.is_empty());
        let before = here.columns.len();
        here.columns
            .retain(|column| !column.starts_with(&format!("{table}.")));
        assert!(
            here.columns.len() < before,
            "{table} is excused but does not exist"
        );
    }
    let there = in_sqlite().await?;
    assert!(there.columns.contains("token.namespace!") && there.columns.contains("token_record.record"));
    assert_eq!(here, there);
    Ok(())
}

#[test]
fn migrations_have_the_same_numbers_and_names() {
    let names = |migrator: &sqlx::migrate::Migrator| {
        let names = migrator
            .iter()
            .map(|migration| (migration.version, migration.description.to_string()));
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        names(&sqlx::migrate!("migrations/postgres")),
        names(&sqlx::migrate!("migrations/sqlite"))
    );
}
