//! What went wrong, and what is to be done about it: decided here and nowhere else.

use std::time::Duration;

use super::super::{BadRow, StoreError};
use super::refusal::Refusal;

/// Why a call on a connection did not get its answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{error}")]
    Driver {
        #[source]
        error: sqlx::Error,
        stage: Stage,
    },
    /// A connection was made, but to no ground that a store can stand on.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What was answered is older than what this process has seen.
    #[error("the connection has fallen behind what was seen")]
    Behind,
    #[error("no answer within {bound:?}")]
    Late { bound: Duration },
    /// What is stored is not what this program writes.
    #[error(transparent)]
    Stored(#[from] StoreError),
}

/// How far a transaction had come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// COMMIT had not been sent: nothing is written.
    Work,
    /// COMMIT had been sent.
    Commit,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// Others were in the way, and nothing is written: do it all again.
    Retry,
    /// The connection is gone, and nothing is written: do it all again on another.
    Reconnect,
    /// It may be written: whoever asked finds out by the request id.
    Unknown,
    /// A server that must not be written to: whoever asked comes back once it is known where to.
    WrongNode,
    /// The server has no room, or no time: whoever asked comes back later.
    BackOff,
    /// It never works: the schema, the data or this program is not what it should be.
    Broken,
}

impl Fault {
    /// The fault of a COMMIT that was sent.
    pub(super) fn at_commit(error: sqlx::Error) -> Fault {
        Fault::Driver {
            error,
            stage: Stage::Commit,
        }
    }

    /// What is to be done about an error of the driver before any COMMIT.
    pub(super) fn class_of(error: &sqlx::Error) -> Class {
        class(error, Stage::Work)
    }

    pub(super) fn class(&self) -> Class {
        match self {
            Fault::Driver { error, stage } => class(error, *stage),
            Fault::Refused(Refusal::Shaky(_)) => Class::WrongNode,
            Fault::Behind => Class::Reconnect,
            Fault::Late { .. } => Class::Unknown,
            Fault::Refused(Refusal::Forked(_)) | Fault::Stored(_) => Class::Broken,
        }
    }

    /// Whether the connection that this happened on is as good as before, once it has rolled back.
    pub(super) fn spares_the_connection(&self) -> bool {
        match self.class() {
            Class::Retry | Class::Broken => true,
            Class::Reconnect | Class::Unknown | Class::WrongNode | Class::BackOff => false,
        }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Fault {
        Fault::Driver {
            error,
            stage: Stage::Work,
        }
    }
}

impl From<BadRow> for Fault {
    fn from(bad: BadRow) -> Fault {
        Fault::Stored(bad.into())
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> StoreError {
        match fault {
            Fault::Stored(error) => error,
            Fault::Refused(Refusal::Forked(what)) => StoreError::Forked { what },
            fault if violates_a_constraint(&fault) || fault.class() == Class::Broken => {
                // What the driver says of a constraint has values in it.
                tracing::error!(%fault, "the store refuses for ever");
                StoreError::corrupt(broken(&fault))
            }
            fault => StoreError::Unavailable(fault.into()),
        }
    }
}

/// What is to be done about an error of the driver at this stage.
fn class(error: &sqlx::Error, stage: Stage) -> Class {
    let gone = match stage {
        Stage::Work => Class::Reconnect,
        Stage::Commit => Class::Unknown,
    };
    match error {
        sqlx::Error::Database(said) => match said.code().as_deref() {
            Some(code) => by_sqlstate(code, said.constraint(), gone),
            None => Class::BackOff,
        },
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => gone,
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_)
        | sqlx::Error::RowNotFound
        | sqlx::Error::TypeNotFound { .. } => Class::Broken,
        // The pool timed out or is closed, or the server could not be asked at all.
        _ => Class::BackOff,
    }
}

/// An error that the server answers a COMMIT with has undone it; only a connection that ends leaves it open.
fn by_sqlstate(code: &str, constraint: Option<&str>, gone: Class) -> Class {
    match code {
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => Class::Retry,
        // unique_violation: another replica was faster, which the next look shows.
        "23505" if constraint.is_some_and(|name| RACED.contains(&name)) => Class::Retry,
        // admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout,
        // idle_in_transaction_session_timeout, transaction_timeout
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" => gone,
        // read_only_sql_transaction
        "25006" => Class::WrongNode,
        code => match code.get(..2) {
            // connection_exception
            Some("08") => gone,
            // feature_not_supported, data_exception, integrity_constraint_violation, invalid states of the
            // transaction or the statement, syntax_error_or_access_rule_violation, internal_error
            Some("0A" | "22" | "23" | "25" | "26" | "42" | "XX") => Class::Broken,
            // insufficient_resources, query_canceled, invalid_authorization, system_error and the like
            _ => Class::BackOff,
        },
    }
}

/// Keys that two replicas can reach for at once: what they read before does not keep the other out.
const RACED: [&str; 4] = [
    "journal_request_id_key",
    "token_pkey",
    "secret_pkey",
    "secret_by_token",
];

/// A constraint that is still violated after the last try is violated for ever.
fn violates_a_constraint(fault: &Fault) -> bool {
    let Fault::Driver { error, .. } = fault else {
        return false;
    };
    let said = error.as_database_error();
    said.and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code.starts_with("23"))
}

/// What may be told of it: the state and the constraint, not the driver's text.
fn broken(fault: &Fault) -> String {
    match fault {
        Fault::Driver { error, .. } => match error.as_database_error() {
            Some(said) => {
                let code = said.code().unwrap_or_default();
                match said.constraint() {
                    Some(constraint) => format!("SQLSTATE {code}, constraint {constraint}"),
                    None => format!("SQLSTATE {code}"),
                }
            }
            None => "a row could not be read".to_owned(),
        },
        fault => fault.to_string(),
    }
}

#[cfg(test)]
mod tests;
