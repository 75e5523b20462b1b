//! What a thief of the database has, and what can be tried with it.

use std::collections::{BTreeMap, HashSet};

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use tokenward::token::answer::SealedAnswer;
use tokenward::token::id::RequestId;
use tokenward::token::secret::{Pepper, PepperId};
use tokenward::token::time::Timestamp;

use crate::admin::FILES;
use crate::place::{Fallible, Place, database};
use crate::server::Outcome;

const TABLES: &str = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";

const ANSWERS: &str = "SELECT pepper, sealed, expire_time FROM answer ORDER BY revision";

/// Everything that the database is made of, by file or table, without the pepper.
#[derive(Default)]
pub(super) struct Dump(BTreeMap<String, Vec<u8>>);

impl Dump {
    pub(super) async fn of(place: &Place) -> Fallible<Dump> {
        let mut dump = Dump::default();
        dump.add(place).await?;
        Ok(dump)
    }

    /// Adds what there is now.
    pub(super) async fn add(&mut self, place: &Place) -> Outcome {
        match place {
            Place::Sqlite(folder) => {
                for file in std::fs::read_dir(folder.path())? {
                    let file = file?;
                    if file.path() == place.pepper() {
                        continue;
                    }
                    let name = file.file_name().to_string_lossy().into_owned();
                    let kept = self.0.entry(name).or_default();
                    kept.extend(std::fs::read(file.path())?);
                }
            }
            Place::Postgres(store, _) => {
                let mut connection = store
                    .database
                    .connect()
                    .await
                    .map_err(|error| error.to_string())?;
                let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut connection).await?;
                for table in tables {
                    let rows = AssertSqlSafe(format!("SELECT whole::text FROM {table} AS whole"));
                    let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut connection).await?;
                    let kept = self.0.entry(table).or_default();
                    for row in rows {
                        kept.extend(raw(&row));
                        kept.extend(row.into_bytes());
                    }
                }
            }
        }
        Ok(())
    }

    /// Where `wanted` is found, as it is or as something common makes of it.
    pub(super) fn places_of(&self, wanted: &[u8]) -> Vec<&str> {
        let mut forms = vec![wanted.to_vec()];
        for encoding in [HEXLOWER, HEXUPPER, BASE64, BASE64URL] {
            let text = encoding.encode(wanted);
            forms.push(text.trim_end_matches('=').as_bytes().to_vec());
        }
        let forms: Vec<_> = forms.iter().map(|form| latin(form)).collect();
        let found = self.0.iter().filter(|(_, bytes)| {
            let text = latin(bytes);
            forms.iter().any(|form| text.contains(form))
        });
        found.map(|(place, _)| &**place).collect()
    }

    /// What of the dump opens `answer`, tried as the request id, by one who has the pepper, and as the pepper, by
    /// one who has the request id.
    pub(super) fn opening(&self, answer: &SealedAnswer, pepper: &Pepper, id: &RequestId) -> Vec<String> {
        let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
        for bytes in self.0.values() {
            ids.extend(bytes.windows(16));
            keys.extend(bytes.windows(Pepper::KEY_BYTES));
        }
        let ids = ids.into_iter().filter_map(|bytes| {
            let bytes = <[u8; 16]>::try_from(bytes).ok()?;
            // Version and variant are set, as they are in every id that a caller can have sent.
            answer.open(pepper, &RequestId::new(bytes)).ok()?;
            Some(format!("the request id {bytes:?}"))
        });
        let keys = keys.into_iter().filter_map(|bytes| {
            let key = <[u8; Pepper::KEY_BYTES]>::try_from(bytes).ok()?;
            answer.open(&Pepper::new(PepperId(1), &key), id).ok()?;
            Some(format!("the pepper {key:?}"))
        });
        ids.chain(keys).collect()
    }
}

/// Bytes as text, one character each: the standard library searches text, and fast.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The bytes that a row shows as hexadecimal text: columns of bytes, and ids.
fn raw(row: &str) -> Vec<u8> {
    let mut raw = Vec::new();
    for field in row.split(['(', ')', ',', '"', '\\']) {
        let digits = field.strip_prefix('x').unwrap_or(field).replace('-', "");
        raw.extend(HEXLOWER.decode(digits.as_bytes()).unwrap_or_default());
    }
    raw
}

/// The pepper that the thief has not.
pub(super) fn pepper() -> Fallible<Pepper> {
    let text = std::fs::read_to_string(&FILES.pepper)?;
    let (id, key) = text.trim_end().split_once(' ').ok_or("no pepper")?;
    let key = HEXLOWER.decode(key.as_bytes())?;
    Ok(Pepper::new(PepperId(id.parse()?), key.as_slice().try_into()?))
}

/// The answers that are kept, oldest first.
pub(super) async fn answers(place: &Place) -> Fallible<Vec<SealedAnswer>> {
    let mut answers = Vec::new();
    let mut add = |pepper: i64, sealed, expire_time| {
        answers.push(SealedAnswer {
            pepper: PepperId(pepper.try_into()?),
            sealed,
            expire_time: Timestamp::from_micros(expire_time)?,
        });
        Outcome::Ok(())
    };
    match place {
        Place::Sqlite(_) => {
            for row in sqlx::query(ANSWERS).fetch_all(&mut sqlite(place).await?).await? {
                add(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?;
            }
        }
        Place::Postgres(store, _) => {
            let mut connection = store
                .database
                .connect()
                .await
                .map_err(|error| error.to_string())?;
            for row in sqlx::query(ANSWERS).fetch_all(&mut connection).await? {
                add(row.try_get::<i32, _>(0)?.into(), row.try_get(1)?, row.try_get(2)?)?;
            }
        }
    }
    Ok(answers)
}

async fn sqlite(place: &Place) -> Fallible<SqliteConnection> {
    let Place::Sqlite(folder) = place else {
        return Err("not an SQLite store".into());
    };
    let path = database(folder);
    Ok(SqliteConnection::connect(&format!("sqlite:{}", path.display())).await?)
}
