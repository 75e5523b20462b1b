//! A Postgres store from the command line: its schema, its pepper, and where its password may stand.

use std::os::unix::fs::PermissionsExt;

use super::{Outcome, program, run, tokenward};
use crate::database::Database;

/// A database with nothing in it; the command line is not asynchronous, and needs no runtime of its own.
fn empty() -> Result<Database, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(Database::empty())
        .map_err(|error| error.to_string().into())
}

#[test]
fn migrate_says_what_it_applied() -> Outcome {
    let database = empty()?;
    let migrate = |more: &[&str]| tokenward(&[&["migrate", "--store", &database.url], more].concat(), "");
    let known = sqlx::migrate!("migrations/postgres");
    let applied = known
        .iter()
        .map(|known| format!("applied {:04}: {}\n", known.version, known.description));
    let applied = applied.collect::<Vec<_>>().concat();
    let first = migrate(&[])?;
    assert_eq!(
        (first.code, first.out.as_str(), first.err.as_str()),
        (Some(0), applied.as_str(), "")
    );
    let again = migrate(&[])?;
    assert_eq!((again.code, again.out.as_str()), (Some(0), "up to date\n"));
    let json = migrate(&["--output", "json"])?;
    assert_eq!(json.json()?, serde_json::json!({ "applied": [] }));
    Ok(())
}

#[test]
fn migrate_knows_the_other_stores() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = format!("sqlite:{}", folder.path().join("tokenward.db").display());
    let first = tokenward(&["migrate", "--store", &store, "--output", "json"], "")?;
    let applied: serde_json::Value = sqlx::migrate!("migrations/sqlite")
        .iter()
        .map(|known| serde_json::json!({ "version": known.version, "description": known.description }))
        .collect();
    assert_eq!(first.json()?["applied"], applied);
    let mut by_variable = program(&["migrate"]);
    let again = run(by_variable.env("TOKENWARD_STORE", &store), "")?;
    assert_eq!((again.code, again.out.as_str()), (Some(0), "up to date\n"));
    let memory = tokenward(&["migrate", "--store", "memory:"], "")?;
    assert_eq!(memory.code, Some(2), "{memory:?}");
    assert_eq!(memory.complaint(), "tokenward: memory: has no schema to migrate");
    Ok(())
}

#[test]
fn serve_says_what_to_run_first() -> Outcome {
    let database = empty()?;
    let folder = tempfile::tempdir()?;
    let pepper = folder.path().join("pepper");
    let serve = |more: &[&str]| {
        let args = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "off",
            "--store",
            &database.url,
        ];
        tokenward(&[&args, more].concat(), "")
    };
    let unnamed = serve(&[])?;
    assert_eq!(unnamed.code, Some(1), "{unnamed:?}");
    assert!(unnamed.complaint().contains("needs --pepper-file"), "{unnamed:?}");

    let file = pepper.to_str().unwrap_or_default();
    let absent = serve(&["--pepper-file", file])?;
    let advice = format!("`tokenward pepper create {file}`");
    assert!(absent.complaint().contains(&advice), "{absent:?}");
    assert!(!pepper.exists());

    let made = tokenward(&["pepper", "create", file], "")?;
    assert_eq!((made.code, made.err.as_str()), (Some(0), ""), "{made:?}");
    let kept = std::fs::read(&pepper)?;
    assert_eq!(std::fs::metadata(&pepper)?.permissions().mode() & 0o777, 0o600);
    let again = tokenward(&["pepper", "create", file], "")?;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.complaint().contains("exists already"), "{again:?}");
    assert_eq!(std::fs::read(&pepper)?, kept);

    let unmigrated = serve(&["--pepper-file", file])?;
    assert_eq!(unmigrated.code, Some(1), "{unmigrated:?}");
    assert!(
        unmigrated
            .complaint()
            .contains("run `tokenward migrate --store postgres://"),
        "{unmigrated:?}"
    );
    Ok(())
}

#[test]
fn a_password_is_taken_from_the_environment_only_and_never_shown() -> Outcome {
    let folder = tempfile::tempdir()?;
    let place = folder.path().display();
    let with_password = format!("postgres://ann:s3cret@localhost/x?host={place}");
    for command in ["serve", "migrate"] {
        let said = tokenward(&[command, "--store", &with_password], "")?;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.complaint().contains("PGPASSWORD"), "{said:?}");
        assert!(!said.err.contains("s3cret"), "{said:?}");
    }
    // From there it gets as far as the server, which is not there.
    let from_environment = |args: &[&str], store: &str| run(program(args).env("TOKENWARD_STORE", store), "");
    let said = from_environment(&["migrate"], &with_password)?;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.complaint().contains("cannot be reached"), "{said:?}");
    assert!(!said.err.contains("s3cret"), "{said:?}");
    for (args, store) in [
        (&["serve", "--help"][..], with_password.as_str()),
        (&["migrate"], "postgres://ann:s3cret@local host/x"),
        (&["migrate"], "mysql://ann:s3cret@localhost/x"),
    ] {
        let said = from_environment(args, store)?;
        assert!(!format!("{said:?}").contains("s3cret"), "{args:?}: {said:?}");
    }
    Ok(())
}

#[test]
fn recover_refuses_every_cursor_of_before() -> Outcome {
    let database = empty()?;
    let folder = tempfile::tempdir()?;
    let file = format!("sqlite:{}", folder.path().join("tokenward.db").display());
    for store in [database.url.as_str(), &file] {
        tokenward(&["migrate", "--store", store], "")?;
        let recover = |more: &[&str]| tokenward(&[&["recover", "--store", store], more].concat(), "");
        let unasked = recover(&[])?;
        assert_eq!(unasked.code, Some(2), "{unasked:?}");
        assert!(
            unasked
                .complaint()
                .ends_with("pass --yes to go on without asking"),
            "{unasked:?}"
        );
        let first = recover(&["--yes", "--output", "json"])?.json()?;
        let second = recover(&["--yes", "--output", "json"])?.json()?;
        assert_eq!((&first["revision"], &second["revision"]), (&0.into(), &0.into()));
        assert_ne!(first["epoch"], second["epoch"]);
        let told = recover(&["--yes"])?;
        assert!(
            told.out.starts_with("the journal goes on from revision 0"),
            "{told:?}"
        );
    }
    for (store, complaint) in [
        ("memory:", "tokenward: memory: is never restored"),
        ("sqlite:/nowhere/t.db", "tokenward: /nowhere/t.db does not exist"),
    ] {
        let refused = tokenward(&["recover", "--yes", "--store", store], "")?;
        assert_ne!(refused.code, Some(0));
        assert_eq!(refused.complaint(), complaint);
    }
    Ok(())
}
