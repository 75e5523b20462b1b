//! The members of the fleet, one row each.

use async_trait::async_trait;
use sqlx::{PgConnection, Row};

use super::super::columns::{revision, sql};
use super::super::member::MemberId;
use super::super::roll::{Member, Roll};
use super::super::{EntryFilter, Head, StoreError};
use super::fault::Fault;
use super::ground::not_behind;
use super::{PostgresStore, read};
use crate::journal::{Entry, Revision};

pub(super) const JOIN: &str = "INSERT INTO member (id, name, beat, acked) VALUES ($1, $2, 0, 0)";

// One statement, and so the head of the moment the renewal began or later. It writes, so that no standby and
// no primary that has lost its standbys can answer it.
pub(super) const RENEW: &str = "
    WITH renewed AS (
        UPDATE member SET beat = beat + 1, acked = $2 WHERE id = $1 RETURNING id
    )
    SELECT epoch, revision, link, (SELECT min(revision) FROM journal) AS oldest
    FROM journal_head, renewed";

pub(super) const MEMBERS: &str = "SELECT id, name, beat, acked FROM member ORDER BY id";

pub(super) const REMOVE: &str = "DELETE FROM member WHERE id = $1 AND beat = $2";

pub(super) async fn join(connection: &mut PgConnection, id: MemberId, name: &str) -> Result<(), Fault> {
    let query = sqlx::query(JOIN).bind(&id.as_bytes()[..]).bind(name);
    query.execute(connection).await?;
    Ok(())
}

pub(super) async fn renew(
    connection: &mut PgConnection,
    id: MemberId,
    acked: Revision,
) -> Result<Option<Head>, Fault> {
    let query = sqlx::query(RENEW).bind(&id.as_bytes()[..]).bind(sql(acked));
    let row = query.fetch_optional(connection).await?;
    row.as_ref().map(read::head_in).transpose()
}

pub(super) async fn members(connection: &mut PgConnection) -> Result<Vec<Member>, Fault> {
    let mut members = Vec::new();
    for row in sqlx::query(MEMBERS).fetch_all(connection).await? {
        members.push(Member {
            id: MemberId::from_bytes(row.try_get("id")?)?,
            name: row.try_get("name")?,
            beat: beat(row.try_get("beat")?)?,
            acked: revision(row.try_get("acked")?)?,
        });
    }
    Ok(members)
}

pub(super) async fn remove(connection: &mut PgConnection, seen: &Member) -> Result<bool, Fault> {
    let query = sqlx::query(REMOVE)
        .bind(&seen.id.as_bytes()[..])
        .bind(i64::try_from(seen.beat).unwrap_or(i64::MAX));
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

fn beat(sql: i64) -> Result<u64, StoreError> {
    u64::try_from(sql).map_err(|_| StoreError::corrupt("a negative beat"))
}

#[async_trait]
impl Roll for PostgresStore {
    async fn join(&self, id: MemberId, name: &str) -> Result<(), StoreError> {
        ask!(self.renewals, |connection| join(&mut connection, id, name))
    }

    async fn renew(&self, id: MemberId, acked: Revision) -> Result<Option<Head>, StoreError> {
        let head = ask!(self.renewals, |connection| async {
            let head = renew(&mut connection, id, acked).await?;
            if let Some(head) = &head {
                not_behind(head, connection.seen.as_ref())?;
            }
            Ok(head)
        })?;
        if let Some(head) = head {
            self.saw(head);
        }
        Ok(head)
    }

    async fn news(&self, after: Revision, limit: u32) -> Result<Vec<Entry>, StoreError> {
        ask!(self.renewals, |connection| read::entries(
            &mut connection,
            after,
            &EntryFilter::ALL,
            limit
        ))
    }

    async fn members(&self) -> Result<Vec<Member>, StoreError> {
        ask!(self.renewals, |connection| members(&mut connection))
    }

    async fn remove(&self, seen: &Member) -> Result<bool, StoreError> {
        ask!(self.renewals, |connection| remove(&mut connection, seen))
    }
}
