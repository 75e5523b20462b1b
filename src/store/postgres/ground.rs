//! What must hold of the server and of the journal before a connection is used, and of every answer after.

use std::sync::{Mutex, PoisonError};

use sqlx::{PgConnection, Row};

use super::super::Head;
use super::super::columns::{link, sql};
use super::fault::{Class, Fault};
use super::read;
use super::refusal::{Refusal, Shaky};
use crate::journal::link::Link;

// One statement, and so one moment: the settings of this very session, the head, and what the journal says
// of the highest revision seen.
pub(super) const GROUND: &str = "
    SELECT
        pg_is_in_recovery() AS standby,
        current_setting('fsync') AS fsync,
        current_setting('full_page_writes') AS full_page_writes,
        current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('synchronous_standby_names') AS synchronous_standby_names,
        epoch, revision, link,
        (SELECT min(revision) FROM journal) AS oldest,
        (SELECT link FROM journal WHERE revision = $1) AS link_then
    FROM journal_head";

/// The highest head this process has seen: on any connection, and whoever moved it there.
#[derive(Debug, Default)]
pub(super) struct Ground(Mutex<Option<Head>>);

/// What a new connection finds.
#[derive(Clone, Debug)]
struct Found {
    standby: bool,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    synchronous_standby_names: String,
    head: Head,
    /// What the journal says of the highest revision that was seen; `None`: nothing.
    link_then: Option<Link>,
}

impl Ground {
    /// What was seen when this is asked: later answers must not be behind it, earlier ones may.
    pub(super) fn seen(&self) -> Option<Head> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a head that was committed.
    pub(super) fn saw(&self, head: Head) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none_or(|seen| seen.revision <= head.revision) {
            *seen = Some(head);
        }
    }

    /// Refuses a new connection unless it leads to a primary that keeps what it acknowledges, and to the
    /// journal that was followed.
    pub(super) async fn check(&self, connection: &mut PgConnection) -> Result<Head, Fault> {
        let seen = self.seen();
        let found = match find(connection, seen).await {
            Ok(found) => found,
            Err(fault) if fault.class() == Class::Broken && seen.is_some() => {
                tracing::error!(%fault, "there is no journal where one was");
                return Err(Refusal::Forked("there is no journal in it".to_owned()).into());
            }
            Err(fault) => return Err(fault),
        };
        stands(&found).map_err(Refusal::from)?;
        if let Some(seen) = seen {
            follows(&found, &seen)?;
        }
        self.saw(found.head);
        Ok(found.head)
    }
}

/// Whether an answer that was asked for after `seen` was seen can be relied on. One that cannot condemns its
/// connection, which may lead to a server that is no longer the primary; whether it is the journal that has
/// lost something is for the check of the next connection to say.
pub(super) fn not_behind(head: &Head, seen: Option<&Head>) -> Result<(), Fault> {
    match seen {
        Some(seen)
            if head.epoch != seen.epoch
                || head.revision < seen.revision
                || head.revision == seen.revision && head.link != seen.link =>
        {
            Err(Fault::Behind)
        }
        _ => Ok(()),
    }
}

async fn find(connection: &mut PgConnection, seen: Option<Head>) -> Result<Found, Fault> {
    let seen = seen.map(|seen| sql(seen.revision));
    let row = sqlx::query(GROUND).bind(seen).fetch_one(connection).await?;
    let link_then: Option<&[u8]> = row.try_get("link_then")?;
    Ok(Found {
        standby: row.try_get("standby")?,
        fsync: row.try_get("fsync")?,
        full_page_writes: row.try_get("full_page_writes")?,
        synchronous_commit: row.try_get("synchronous_commit")?,
        synchronous_standby_names: row.try_get("synchronous_standby_names")?,
        head: read::head_in(&row)?,
        link_then: link_then.map(link).transpose()?,
    })
}

/// `remote_write` and `remote_apply` differ in what a standby has done, never in what is on this disk. `local`
/// leaves the standbys out: that takes something away only where there are any.
fn stands(found: &Found) -> Result<(), Shaky> {
    if found.standby {
        return Err(Shaky::Standby);
    }
    for (setting, value) in [
        ("fsync", &found.fsync),
        ("full_page_writes", &found.full_page_writes),
        ("synchronous_commit", &found.synchronous_commit),
    ] {
        if value == "off" {
            return Err(Shaky::Setting {
                setting,
                found: value.clone(),
            });
        }
    }
    match found.synchronous_commit.as_str() {
        "local" if !found.synchronous_standby_names.is_empty() => Err(Shaky::Local),
        _ => Ok(()),
    }
}

fn follows(found: &Found, seen: &Head) -> Result<(), Refusal> {
    let forked = |what: String| Err(Refusal::Forked(what));
    let Head {
        epoch,
        revision,
        link,
        oldest,
    } = found.head;
    if epoch != seen.epoch {
        return forked(format!("its epoch is {epoch}, not {}", seen.epoch));
    }
    if revision < seen.revision {
        return forked(format!(
            "it ends at revision {revision}, {} was seen",
            seen.revision
        ));
    }
    let link_then = if revision == seen.revision {
        Some(link)
    } else if seen.revision < oldest {
        // Before the first entry, or trimmed since: nothing there contradicts.
        return Ok(());
    } else {
        found.link_then
    };
    if link_then == Some(seen.link) {
        Ok(())
    } else {
        forked(format!("revision {} is not what was seen", seen.revision))
    }
}

#[cfg(test)]
mod tests;
