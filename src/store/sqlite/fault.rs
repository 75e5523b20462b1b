//! What SQLite's errors mean to whoever asked.

use super::super::StoreError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        match &error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::RowNotFound => {
                StoreError::corrupt(error)
            }
            sqlx::Error::Database(said) if said.code().is_some_and(|code| never_works(&code)) => {
                StoreError::corrupt(said.message())
            }
            _ => StoreError::Unavailable(error.into()),
        }
    }
}

/// Whether what SQLite answered comes of the file or of this program, so that another try ends the same.
fn never_works(code: &str) -> bool {
    // The lowest byte of an extended result code is the primary one: a statement that makes no sense, a
    // damaged file, a broken constraint, a value of the wrong type, not a database.
    let primary = code.parse::<u32>().map(|code| code & 0xff);
    matches!(primary, Ok(1 | 11 | 19 | 20 | 26))
}
