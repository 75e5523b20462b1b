//! Who does what for all servers.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::super::StoreError;
use super::super::lease::{Duties, Duty};
use super::PostgresStore;
use super::fault::Fault;
use crate::token::time::Timestamp;

pub(super) const TAKE_DUTY: &str = "
    INSERT INTO duty (name, holder, until) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE duty.holder = excluded.holder OR duty.until <= $4";

pub(super) const LEAVE_DUTY: &str = "DELETE FROM duty WHERE name = $1 AND holder = $2";

async fn take_duty(
    connection: &mut PgConnection,
    duty: Duty,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, Fault> {
    let query = sqlx::query(TAKE_DUTY)
        .bind(duty.name)
        .bind(&duty.holder.as_bytes()[..])
        .bind(until.micros())
        .bind(now.micros());
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

async fn leave_duty(connection: &mut PgConnection, duty: Duty) -> Result<(), Fault> {
    let query = sqlx::query(LEAVE_DUTY).bind(duty.name);
    query
        .bind(&duty.holder.as_bytes()[..])
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl Duties for PostgresStore {
    async fn take_duty(&self, duty: Duty, until: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        ask!(self.misses, |connection| take_duty(
            &mut connection,
            duty,
            until,
            now
        ))
    }

    async fn leave_duty(&self, duty: Duty) -> Result<(), StoreError> {
        ask!(self.misses, |connection| leave_duty(&mut connection, duty))
    }
}
