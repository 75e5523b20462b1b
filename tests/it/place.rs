//! Where servers keep what outlives them, on either store.

use std::path::PathBuf;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;
use tokenward::serve::{Options, Running, StoreAddress};

use crate::admin::{FILES, known_to};
use crate::server::Outcome;
use crate::shared_store::SharedStore;

pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// A store, and a pepper of its own that begins as that of all tests.
pub(crate) enum Place {
    Sqlite(TempDir),
    /// With a folder for the pepper.
    Postgres(SharedStore, TempDir),
}

impl Place {
    pub(crate) fn sqlite() -> Fallible<Place> {
        Ok(Place::Sqlite(with_pepper()?))
    }

    pub(crate) async fn postgres() -> Fallible<Place> {
        Ok(Place::Postgres(SharedStore::new().await?, with_pepper()?))
    }

    pub(crate) fn start(&self) -> Fallible<Running> {
        Ok(Running::start(self.options()?)?)
    }

    pub(crate) fn options(&self) -> Fallible<Options> {
        let mut options = match self {
            Place::Sqlite(folder) => {
                let store = StoreAddress::Sqlite(database(folder));
                Options::new(store, ([127, 0, 0, 1], 0).into())
            }
            Place::Postgres(store, _) => store.server()?,
        };
        known_to(&mut options);
        options.pepper_file = Some(self.pepper());
        Ok(options)
    }

    /// A pepper file that no other test has.
    pub(crate) fn pepper(&self) -> PathBuf {
        match self {
            Place::Sqlite(folder) | Place::Postgres(_, folder) => folder.path().join("pepper"),
        }
    }

    /// Writes past every check.
    pub(crate) async fn execute(&self, sql: &str) -> Outcome {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Place::Sqlite(folder) => {
                let options = SqliteConnectOptions::new().filename(database(folder));
                let mut connection = options.foreign_keys(false).connect().await?;
                sqlx::raw_sql(sql).execute(&mut connection).await?;
                connection.close().await?;
            }
            Place::Postgres(store, _) => {
                let connection = store.database.connect().await;
                let mut connection = connection.map_err(|error| error.to_string())?;
                sqlx::raw_sql(sql).execute(&mut connection).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }

    /// An id as this database spells it.
    pub(crate) fn literal(&self, id: &str) -> String {
        match self {
            Place::Sqlite(_) => format!("x'{}'", id.replace('-', "")),
            Place::Postgres(..) => format!("'{id}'::uuid"),
        }
    }
}

/// The file of an embedded store.
pub(crate) fn database(folder: &TempDir) -> PathBuf {
    folder.path().join("tokenward.db")
}

fn with_pepper() -> Fallible<TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::copy(&FILES.pepper, folder.path().join("pepper"))?;
    Ok(folder)
}
