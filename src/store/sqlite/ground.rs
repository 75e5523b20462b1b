//! What must hold of SQLite and of the file before a change is entrusted to them.

use sqlx::sqlite::SqlitePool;

/// Older ones can corrupt a write-ahead log when two connections write and checkpoint at once.
const VERSION_MIN: (u32, u32, u32) = (3, 51, 3);

/// Why the ground does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Shaky {
    #[error("SQLite {found} can corrupt a write-ahead log; at least 3.51.3 is needed")]
    Version { found: String },
    #[error("synchronous is {found}, not FULL: a power cut could take acknowledged changes")]
    Synchronous { found: i64 },
    #[error("its journal mode is {found}, not WAL")]
    JournalMode { found: String },
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
}

/// Reads back what was asked for; a file system may have refused it in silence.
pub(super) async fn check(writer: &SqlitePool) -> Result<(), Shaky> {
    check_version(writer).await?;
    match sqlx::query_scalar::<_, i64>("PRAGMA synchronous")
        .fetch_one(writer)
        .await?
    {
        2 => {}
        found => return Err(Shaky::Synchronous { found }),
    }
    match sqlx::query_scalar::<_, String>("PRAGMA journal_mode")
        .fetch_one(writer)
        .await?
    {
        mode if mode == "wal" => Ok(()),
        found => Err(Shaky::JournalMode { found }),
    }
}

pub(super) async fn check_version(pool: &SqlitePool) -> Result<(), Shaky> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(pool)
        .await?;
    match parse(&found) {
        Some(version) if version >= VERSION_MIN => Ok(()),
        _ => Err(Shaky::Version { found }),
    }
}

fn parse(version: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(parse("3.51.3") >= Some(VERSION_MIN));
        assert!(parse("3.100.0") >= Some(VERSION_MIN));
        assert!(parse("3.51.2") < Some(VERSION_MIN));
        assert!(parse("3.9.99") < Some(VERSION_MIN));
        assert_eq!(parse("three"), None);
    }
}
