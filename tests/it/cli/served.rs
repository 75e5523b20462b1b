//! Commands against a real server.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Outcome, Said, program, tokenward};
use crate::server::Server;

/// A shell beside a server.
pub(super) struct Desk {
    pub(super) address: String,
    /// `None`: the test runs the server itself.
    server: Option<Server>,
}

impl Desk {
    pub(super) fn open() -> Result<Desk, Box<dyn std::error::Error>> {
        let server = Server::start()?;
        Desk::at(server.address, Some(server))
    }

    /// A desk beside the server at `address`, which has no namespace yet.
    pub(super) fn at(
        address: SocketAddr,
        server: Option<Server>,
    ) -> Result<Desk, Box<dyn std::error::Error>> {
        let address = format!("http://{address}");
        let desk = Desk { address, server };
        let created = desk.tokenward(&[
            "namespace",
            "create",
            "notes",
            "--prefix",
            "kn_",
            "--format",
            "hex:40",
        ])?;
        assert_eq!(created.code, Some(0), "{created:?}");
        Ok(desk)
    }

    pub(super) fn tokenward(&self, args: &[&str]) -> io::Result<Said> {
        self.given("", args)
    }

    pub(super) fn given(&self, stdin: &str, args: &[&str]) -> io::Result<Said> {
        tokenward(&[args, &["--address", &self.address]].concat(), stdin)
    }

    /// The answer as JSON, of a command that must succeed.
    pub(super) fn json(&self, args: &[&str]) -> Result<Value, Box<dyn std::error::Error>> {
        let said = self.tokenward(&[args, &["--output", "json"]].concat())?;
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        Ok(said.json()?)
    }

    /// A new token: its id and its secret.
    pub(super) fn issue(&self, more: &[&str]) -> Result<(String, String), Box<dyn std::error::Error>> {
        let issue = ["issue", "--namespace", "notes", "--subject", "ada"];
        let issued = self.json(&[&issue[..], more].concat())?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok((text(&issued["token"]["id"]), text(&issued["secret"])))
    }
}

#[test]
fn a_namespace_is_shown_as_it_was_created() -> Outcome {
    let desk = Desk::open()?;
    let create = [
        "namespace",
        "create",
        "tasks",
        "--prefix",
        "kt_",
        "--display-name",
        "Tasks",
    ];
    let created = desk.json(&create)?;
    assert_eq!(created["format"], json!({ "prefix": "kt_", "body": "native" }));
    assert_eq!(desk.json(&["namespace", "get", "tasks"])?, created);
    let list = desk.json(&["namespace", "list"])?;
    assert_eq!(list[0]["slug"], "notes");
    assert_eq!(list[0]["format"], json!({ "prefix": "kn_", "body": "hex:40" }));
    assert_eq!(list[1]["slug"], "system");
    assert_eq!(list[2], created);
    assert_eq!(list.as_array().map(Vec::len), Some(3));
    Ok(())
}

#[test]
fn what_is_piped_from_issue_into_verify_is_accepted() -> Outcome {
    let desk = Desk::open()?;
    let issue = [
        "issue",
        "--namespace",
        "notes",
        "--subject",
        "ada",
        "--scope",
        "read",
    ];
    let issued = desk.tokenward(&issue)?;
    assert_eq!(issued.code, Some(0), "{issued:?}");
    // Nothing but the secret goes down the pipe, and nothing of the secret goes anywhere else.
    let secret = issued.out.trim_end();
    assert!(secret.starts_with("kn_") && secret.len() == 43, "{issued:?}");
    assert!(!issued.err.contains(&secret[7..]), "{issued:?}");
    let verdict = |args: &[&str]| desk.given(&issued.out, &[&["verify"], args].concat());
    for (args, code, word) in [
        (&[][..], 0, "accepted"),
        (&["--namespace", "notes", "--scope", "read"], 0, "accepted"),
        (&["--scope", "write"], 1, "insufficient_scope"),
        (&["--namespace", "tasks"], 1, "wrong_namespace"),
    ] {
        let said = verdict(args)?;
        assert_eq!(
            (said.code, said.err.as_str()),
            (Some(code), ""),
            "{args:?}: {said:?}"
        );
        assert!(said.out.contains(word), "{args:?}: {said:?}");
        assert!(!said.out.contains(&secret[7..]), "the secret is shown: {said:?}");
    }
    for (text, word) in [
        ("", "malformed"),
        ("kn_x", "malformed"),
        (&"kn_".repeat(1000), "malformed"),
    ] {
        let said = desk.given(text, &["verify"])?;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.out.contains(word), "{said:?}");
    }
    Ok(())
}

#[test]
fn what_the_server_does_not_take_is_named_by_field() -> Outcome {
    let desk = Desk::open()?;
    let verify = desk.given("kn_x", &["verify", "--namespace", "Notes"])?;
    assert_eq!((verify.code, verify.out.as_str()), (Some(2), ""), "{verify:?}");
    assert_eq!(
        verify.complaint(),
        "tokenward: namespace: must match [a-z][a-z0-9-]{0,62}"
    );
    let issue = desk.tokenward(&["issue", "--namespace", "nowhere", "--subject", "ada"])?;
    assert_eq!((issue.code, issue.out.as_str()), (Some(1), ""), "{issue:?}");
    assert!(
        issue
            .complaint()
            .ends_with("; `tokenward namespace list` shows those there are"),
        "{issue:?}"
    );
    let get = desk.tokenward(&["get", "x"])?;
    assert!(get.complaint().starts_with("tokenward: token_id: "), "{get:?}");
    Ok(())
}

#[test]
fn an_issued_token_has_what_was_asked_for() -> Outcome {
    let desk = Desk::open()?;
    let asked = [
        "--name", "laptop", "--scope", "b", "--scope", "a", "--label", "team=x=y",
    ];
    let (id, secret) = desk.issue(&[&asked[..], &["--expires", "2099-01-31T12:00:00.5Z"]].concat())?;
    let token = desk.json(&["get", &id])?;
    assert_eq!(token["id"], id.as_str());
    assert_eq!(token["name"], "laptop");
    assert_eq!(token["subject"], "ada");
    assert_eq!(token["scopes"], json!(["a", "b"]));
    assert_eq!(token["labels"], json!({ "team": "x=y" }));
    assert_eq!(token["expire_time"], "2099-01-31T12:00:00.5Z");
    assert_eq!(token["state"], "active");
    assert_eq!(token["revoke_time"], Value::Null);
    assert_eq!(token["secrets"][0]["hint"], format!("{}…", &secret[..7]));
    let table = desk.tokenward(&["get", &id])?;
    for fact in [
        &id,
        "laptop",
        "a b",
        "team=x=y",
        "2099-01-31T12:00:00.5Z",
        "active",
    ] {
        assert!(table.out.contains(fact), "{fact}: {table:?}");
    }
    assert!(
        !table.out.contains('\u{1b}'),
        "colours without a terminal: {table:?}"
    );
    Ok(())
}

#[test]
fn a_repeated_issue_shows_its_secret_again() -> Outcome {
    let desk = Desk::open()?;
    let once = ["--request-id", "7d444840-9dc0-41d1-b245-5ffdce74fad2"];
    let first = desk.issue(&once)?;
    assert_eq!(desk.issue(&once)?, first);
    let other = ["issue", "--namespace", "notes", "--subject", "eve"];
    let reused = desk.tokenward(&[&other[..], &once].concat())?;
    assert_eq!((reused.code, reused.out.as_str()), (Some(1), ""), "{reused:?}");
    assert_eq!(
        reused.complaint(),
        "tokenward: the request id was used for another change; send another --request-id"
    );
    Ok(())
}

#[test]
fn a_secret_nobody_could_read_is_not_lost_in_silence() -> Outcome {
    let desk = Desk::open()?;
    let (reader, writer) = io::pipe()?;
    drop(reader);
    let issue = [
        "issue",
        "--namespace",
        "notes",
        "--subject",
        "ada",
        "--address",
        &desk.address,
    ];
    let said = super::run(program(&issue).stdout(writer), "")?;
    assert_eq!(said.code, Some(1), "{said:?}");
    let tokens = desk.json(&["list", "--namespace", "notes"])?;
    let id = tokens[0]["id"].as_str().unwrap_or_default();
    assert!(
        said.complaint().contains(&format!("token {id} was issued"))
            && said.complaint().contains("--request-id"),
        "{said:?}"
    );
    // What it says to do shows the secret after all.
    let told = said.complaint();
    let (_, after) = told.split_once("--request-id ").ok_or("no request id")?;
    let again = desk.issue(&["--request-id", after.get(..36).ok_or("no request id")?])?;
    assert_eq!(again.0, id);
    Ok(())
}

#[test]
fn lists_have_every_token_or_as_many_as_wanted() -> Outcome {
    let desk = Desk::open()?;
    assert_eq!(desk.json(&["list", "--namespace", "notes"])?, json!([]));
    let empty = desk.tokenward(&["list", "--namespace", "notes"])?;
    assert_eq!((empty.out.as_str(), empty.complaint()), ("", "no tokens"));
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(desk.issue(&[])?.0);
    }
    let listed = |more: &[&str]| -> Result<Vec<String>, Box<dyn std::error::Error>> {
        let list = desk.json(&[&["list", "--namespace", "notes"], more].concat())?;
        let tokens = list.as_array().cloned().unwrap_or_default();
        Ok(tokens
            .iter()
            .map(|token| token["id"].as_str().unwrap_or_default().to_owned())
            .collect())
    };
    assert_eq!(listed(&[])?, ids);
    assert_eq!(listed(&["--limit", "2"])?, ids[..2]);
    assert_eq!(listed(&["--limit", "9"])?, ids);
    desk.tokenward(&["revoke", &ids[1], "--yes"])?;
    assert_eq!(listed(&["--state", "revoked"])?, ids[1..2]);
    assert_eq!(
        listed(&["--state", "active", "--limit", "2"])?,
        [ids[0].clone(), ids[2].clone()]
    );
    let table = desk.tokenward(&["list", "--namespace", "notes"])?;
    let lines: Vec<_> = table.out.lines().collect();
    assert!(lines[0].starts_with("ID"), "{table:?}");
    assert_eq!(lines.len(), 4, "{table:?}");
    assert!(
        lines[2].starts_with(&ids[1]) && lines[2].contains("revoked"),
        "{table:?}"
    );
    Ok(())
}

#[test]
fn revoking_asks_and_then_holds() -> Outcome {
    let desk = Desk::open()?;
    let (id, secret) = desk.issue(&[])?;
    let unasked = desk.tokenward(&["revoke", &id])?;
    assert_eq!((unasked.code, unasked.out.as_str()), (Some(2), ""), "{unasked:?}");
    assert!(unasked.complaint().contains("--yes"), "{unasked:?}");
    assert_eq!(desk.given(&secret, &["verify"])?.code, Some(0));
    let revoked = desk.json(&["revoke", &id, "--yes", "--reason", "lost"])?;
    assert_eq!(revoked["state"], "revoked");
    assert_eq!(revoked["revoke_reason"], "lost");
    assert_eq!(revoked["propagation"], "acknowledged");
    let verdict = desk.given(&secret, &["verify", "--output", "json"])?;
    assert_eq!(verdict.code, Some(1), "{verdict:?}");
    assert_eq!(verdict.json()?["verdict"], "revoked");
    Ok(())
}

#[test]
fn a_rotated_token_has_a_new_secret_and_the_old_one_for_the_overlap() -> Outcome {
    let desk = Desk::open()?;
    let (id, first) = desk.issue(&[])?;
    let second = desk.tokenward(&["rotate", &id, "--overlap", "1h"])?;
    assert_eq!(second.code, Some(0), "{second:?}");
    let verdict = |secret: &str| desk.given(secret, &["verify", "--output", "json"]);
    assert_eq!(verdict(&first)?.json()?["token"]["secret_version"], 1);
    assert_eq!(verdict(&second.out)?.json()?["token"]["secret_version"], 2);
    let third = desk.tokenward(&["rotate", &id, "--secret-only", "--output", "json"])?;
    for (secret, wanted) in [
        (&first, "secret_retired"),
        (&second.out, "secret_retired"),
        (&third.out, "accepted"),
    ] {
        assert_eq!(verdict(secret)?.json()?["verdict"], wanted);
    }
    Ok(())
}

#[test]
fn the_journal_is_listed_and_found_intact_while_it_is_written() -> Outcome {
    let desk = Desk::open()?;
    let (id, _) = desk.issue(&[])?;
    desk.json(&["revoke", &id, "--yes"])?;
    let entries = desk.json(&["audit", "list", "--namespace", "notes"])?;
    let kinds: Vec<_> = entries
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| &entry["kind"])
        .collect();
    assert_eq!(kinds, ["namespace.created", "token.issued", "token.revoked"]);
    let of_token = desk.json(&["audit", "list", "--token", &id, "--limit", "1"])?;
    assert_eq!(of_token, json!([entries[1]]));
    let head = desk.json(&["audit", "head"])?;
    assert_eq!(head["link"], entries[2]["link"]);
    let folder = desk.server.as_ref().map(|server| server.folder.path());
    let database = folder.ok_or("no server")?.join("tokenward.db");
    let database = database.to_str().unwrap_or_default();
    let anchor = format!(
        "{}:{}",
        head["revision"],
        head["link"].as_str().unwrap_or_default()
    );
    let verify = ["audit", "verify", "--database", database, "--anchor", &anchor];
    let report = desk.json(&verify)?;
    assert_eq!(report["intact"], true);
    assert_eq!(report["epoch"], head["epoch"]);
    assert_eq!(report["link"], head["link"]);
    assert_eq!((&report["entries"], &report["tokens"]), (&json!(5), &json!(2)));
    Ok(())
}
