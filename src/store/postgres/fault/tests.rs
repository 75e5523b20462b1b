use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;

use sqlx::error::{DatabaseError, ErrorKind};

use super::*;
use crate::store::postgres::Shaky;

/// What a server says.
#[derive(Debug)]
struct Said {
    code: &'static str,
    constraint: Option<&'static str>,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text of the driver")
    }
}

impl Error for Said {}

impl DatabaseError for Said {
    fn message(&self) -> &'static str {
        "text of the driver"
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.into())
    }

    fn constraint(&self) -> Option<&str> {
        self.constraint
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

fn said(code: &'static str) -> sqlx::Error {
    sqlx::Error::Database(Box::new(Said {
        code,
        constraint: None,
    }))
}

fn violated(constraint: &'static str) -> sqlx::Error {
    sqlx::Error::Database(Box::new(Said {
        code: "23505",
        constraint: Some(constraint),
    }))
}

fn end_of_file() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::UnexpectedEof.into())
}

/// The class of an error before COMMIT was sent, and of the same error after.
fn classes(error: sqlx::Error) -> [Class; 2] {
    let before = class(&error, Stage::Work);
    [before, Fault::at_commit(error).class()]
}

#[test]
fn what_others_were_in_the_way_of_is_done_again() {
    for code in ["40001", "40P01", "55P03"] {
        assert_eq!(classes(said(code)), [Class::Retry; 2], "{code}");
    }
    for constraint in RACED {
        assert_eq!(classes(violated(constraint)), [Class::Retry; 2], "{constraint}");
    }
}

#[test]
fn a_connection_that_ended_is_replaced_unless_it_had_been_told_to_commit() {
    for code in ["08006", "08P01", "57P01", "57P02", "57P03", "25P03"] {
        assert_eq!(classes(said(code)), [Class::Reconnect, Class::Unknown], "{code}");
    }
    assert_eq!(classes(end_of_file()), [Class::Reconnect, Class::Unknown]);
    assert_eq!(Fault::Behind.class(), Class::Reconnect);
    let bound = Duration::from_secs(1);
    assert_eq!(Fault::Late { bound }.class(), Class::Unknown);
}

#[test]
fn a_server_that_must_not_be_written_to_is_the_wrong_one() {
    assert_eq!(classes(said("25006")), [Class::WrongNode; 2]);
    let standby = Fault::Refused(Refusal::Shaky(Shaky::Standby));
    assert_eq!(standby.class(), Class::WrongNode);
}

#[test]
fn a_server_without_room_or_time_is_left_alone() {
    for code in ["53300", "53100", "57014", "58030", "28P01"] {
        assert_eq!(classes(said(code)), [Class::BackOff; 2], "{code}");
    }
    assert_eq!(classes(sqlx::Error::PoolTimedOut), [Class::BackOff; 2]);
    assert_eq!(classes(sqlx::Error::PoolClosed), [Class::BackOff; 2]);
}

#[test]
fn what_never_works_is_not_tried_again() {
    for code in [
        "22P02", "23502", "23503", "23514", "42P01", "42703", "42501", "XX001",
    ] {
        assert_eq!(classes(said(code)), [Class::Broken; 2], "{code}");
    }
    for constraint in ["journal_pkey", "member_pkey", "namespace_prefix_key"] {
        assert_eq!(classes(violated(constraint)), [Class::Broken; 2], "{constraint}");
    }
    assert_eq!(classes(sqlx::Error::RowNotFound), [Class::Broken; 2]);
    assert_eq!(
        Fault::from(StoreError::corrupt("a negative revision")).class(),
        Class::Broken
    );
}

#[test]
fn only_a_connection_that_answered_is_used_again() {
    let spared = |error: sqlx::Error| Fault::from(error).spares_the_connection();
    assert!(spared(said("40P01")) && spared(said("23503")));
    assert!(!spared(said("57P01")) && !spared(said("25006")) && !spared(end_of_file()));
    assert!(!Fault::Behind.spares_the_connection());
}

#[test]
fn callers_are_told_what_it_means_and_nothing_the_driver_said() {
    let told = |fault: Fault| StoreError::from(fault);
    for fault in [
        Fault::from(said("40001")),
        Fault::from(end_of_file()),
        Fault::at_commit(end_of_file()),
        Fault::from(said("25006")),
        Fault::from(sqlx::Error::PoolTimedOut),
    ] {
        let error = told(fault);
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert_eq!(error.to_string(), "the store is unavailable");
    }
    for (fault, wanted) in [
        (Fault::from(said("23514")), "SQLSTATE 23514"),
        // It was tried again, and another replica is not what is in the way.
        (
            Fault::from(violated("secret_pkey")),
            "SQLSTATE 23505, constraint secret_pkey",
        ),
        (Fault::from(sqlx::Error::RowNotFound), "a row could not be read"),
    ] {
        let error = told(fault);
        assert!(
            matches!(&error, StoreError::Corrupt { what } if what == wanted),
            "{error:?}"
        );
    }
    let forked = told(Refusal::Forked("its epoch is another".to_owned()).into());
    assert!(matches!(forked, StoreError::Forked { what } if what == "its epoch is another"));
}
