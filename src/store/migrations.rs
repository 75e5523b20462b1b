//! What a migration has done, told alike for every database.

use serde::Serialize;
use sqlx::migrate::{AppliedMigration, Migrator};

/// A migration that was applied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Applied {
    pub version: i64,
    pub description: String,
}

/// Where sqlx keeps account of what was applied.
pub(super) const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// What of `migrator` was not there `before`.
pub(super) fn since(before: &[AppliedMigration], migrator: &Migrator) -> Vec<Applied> {
    let new = migrator
        .iter()
        .filter(|known| before.iter().all(|before| before.version != known.version));
    new.map(|migration| Applied {
        version: migration.version,
        description: migration.description.to_string(),
    })
    .collect()
}
