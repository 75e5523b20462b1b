//! `tokenward watch`: what it prints, and that nothing is lost where the stream breaks.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command};

use serde_json::Value;
use tokenward::serve::{Options, Running, StoreAddress};

use super::served::Desk;
use super::{Outcome, program, tokenward};
use crate::admin;

/// A watch in JSON, ended with the test.
struct Watching {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watching {
    fn start(address: &str, more: &[&str]) -> Result<Watching, Box<dyn std::error::Error>> {
        let args = ["watch", "--output", "json", "--address", address];
        let mut child = program(&[&args[..], more].concat()).spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Watching { child, lines })
    }

    /// The next message; the stream has to be waited for, not timed.
    fn next(&mut self) -> Result<Value, Box<dyn std::error::Error>> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_revocation_reaches_the_watcher() -> Outcome {
    let desk = Desk::open()?;
    let (id, _) = desk.issue(&[])?;
    let mut watching = Watching::start(&desk.address, &["--namespace", "notes"])?;
    let started = watching.next()?;
    assert_eq!(started["started"], serde_json::json!({}));
    desk.json(&["revoke", &id, "--yes", "--reason", "lost"])?;
    let revoked = watching.next()?;
    assert_eq!(revoked["revoked"]["token_id"], id.as_str());
    assert_eq!(revoked["revoked"]["reason"], "lost");
    Ok(())
}

#[test]
fn ctrl_c_ends_a_watch_well() -> Outcome {
    let desk = Desk::open()?;
    let mut watching = Watching::start(&desk.address, &[])?;
    watching.next()?;
    let id = watching.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status()?.success());
    assert_eq!(watching.child.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_watch_outlives_its_server_and_misses_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = StoreAddress::Sqlite(folder.path().join("tokenward.db"));
    let serve = |port| {
        let mut options = Options::new(store.clone(), SocketAddr::from(([127, 0, 0, 1], port)));
        admin::known_to(&mut options);
        Running::start(options)
    };
    let first = serve(0)?;
    let port = first.address().port();
    let desk = Desk::at(first.address(), None)?;
    let (id, _) = desk.issue(&[])?;
    let mut watching = Watching::start(&desk.address, &["--heartbeats"])?;
    watching.next()?;
    first.stop()?;
    // Where the watcher does not look, so that only its cursor can tell it of this.
    let elsewhere = serve(0)?;
    let address = format!("http://{}", elsewhere.address());
    let revoked = tokenward(&["revoke", &id, "--yes", "--address", &address], "")?;
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    elsewhere.stop()?;
    let _again = serve(port)?;
    while watching.next()?.get("started").is_none() {}
    // Were the cursor lost, a heartbeat would come instead.
    assert_eq!(watching.next()?["revoked"]["token_id"], id.as_str());
    Ok(())
}

#[test]
fn a_cursor_of_another_journal_is_not_taken_for_silence() -> Outcome {
    let (desk, other) = (Desk::open()?, Desk::open()?);
    let head = other.json(&["audit", "head"])?;
    let cursor = head["cursor"].as_str().unwrap_or_default();
    let said = desk.tokenward(&["watch", "--cursor", cursor])?;
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.complaint().ends_with("watch without --cursor"), "{said:?}");
    let nowhere = desk.tokenward(&["watch", "--namespace", "nowhere"])?;
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
    nowhere.complaint();
    Ok(())
}
