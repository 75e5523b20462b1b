//! What cannot be taken back is asked for on a terminal, and done only when the answer is right to the letter.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use super::served::Desk;
use super::{Outcome, Said, program};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Reads what is shown until `wanted` is; how a terminal ends that nobody writes to any more differs by system.
fn read_until(terminal: &mut File, shown: &mut String, wanted: &str) -> Outcome {
    let mut piece = [0; 1024];
    while !shown.contains(wanted) {
        match terminal.read(&mut piece) {
            Ok(0) | Err(_) => return Err(format!("it ended without {wanted:?}: {shown}").into()),
            Ok(read) => shown.push_str(&String::from_utf8_lossy(&piece[..read])),
        }
    }
    Ok(())
}

/// Runs a command on a terminal, and gives each answer when its question has been asked. What it printed is all on the
/// terminal but its result.
fn on_terminal(desk: &Desk, args: &[&str], answers: &[(&str, &str)]) -> Fallible<Said> {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&terminal)?;
    unlockpt(&terminal)?;
    let name = ptsname(&terminal, Vec::new())?;
    let name = std::ffi::OsStr::from_bytes(name.as_bytes());
    let its_end = OpenOptions::new().read(true).write(true).open(name)?;
    let mut command = program(&[args, &["--address", &desk.address, "--output", "json"]].concat());
    command
        .env("TERM", "xterm")
        .stdin(its_end.try_clone()?)
        .stderr(its_end)
        .stdout(Stdio::piped());
    let child = command.spawn()?;
    // It holds the other end, too.
    drop(command);
    let mut terminal = File::from(terminal);
    let mut shown = String::new();
    for (question, answer) in answers {
        read_until(&mut terminal, &mut shown, question)?;
        terminal.write_all(answer.as_bytes())?;
    }
    // What is shown goes on being read, so that nothing waits for it.
    let rest = std::thread::spawn(move || {
        let mut rest = Vec::new();
        // Where nobody writes any more some systems say so with an error.
        let _ = terminal.read_to_end(&mut rest);
        rest
    });
    let output = child.wait_with_output()?;
    let rest = rest.join().map_err(|_| "nobody read the terminal")?;
    shown.push_str(&String::from_utf8_lossy(&rest));
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: shown,
    })
}

fn state(desk: &Desk, id: &str) -> Fallible<Value> {
    Ok(desk.json(&["get", id])?["state"].clone())
}

#[test]
fn how_many_are_to_be_revoked_is_typed() -> Outcome {
    const HOW_MANY: &str = "How many tokens are to be revoked";
    let desk = Desk::open()?;
    let names = ["ci-1", "ci-2", "laptop"];
    let ids: Vec<_> = names
        .iter()
        .map(|name| Ok(desk.issue(&["--name", name])?.0))
        .collect::<Fallible<_>>()?;
    let matching = ["revoke-matching", "--namespace", "notes", "--name-prefix", "ci-"];
    for wrong in ["3\r", "\r", "y\r"] {
        let said = on_terminal(&desk, &matching, &[(HOW_MANY, wrong)])?;
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        assert!(said.err.contains("nothing was revoked"), "{said:?}");
        // What would be is shown before it is asked.
        let (before, _) = said.err.split_once(HOW_MANY).unwrap_or_default();
        assert!(before.contains("ci-1") && before.contains("ci-2"), "{said:?}");
    }
    for id in &ids {
        assert_eq!(state(&desk, id)?, "active");
    }
    let said = on_terminal(&desk, &matching, &[(HOW_MANY, "2\r")])?;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.json()?["revoked"], json!(2));
    let states: Vec<_> = ids.iter().map(|id| state(&desk, id)).collect::<Result<_, _>>()?;
    assert_eq!(states, ["revoked", "revoked", "active"]);
    Ok(())
}

#[test]
fn the_red_button_is_confirmed_and_its_namespace_typed() -> Outcome {
    const SURE: &str = "for ever?";
    const SLUG: &str = "Type the slug to go on";
    let desk = Desk::open()?;
    let (id, _) = desk.issue(&[])?;
    let button = ["namespace", "revoke-issued", "notes"];
    for answers in [&[(SURE, "n")][..], &[(SURE, "y"), (SLUG, "tasks\r")]] {
        let said = on_terminal(&desk, &button, answers)?;
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        assert!(said.err.contains("nothing was revoked"), "{said:?}");
        assert_eq!(state(&desk, &id)?, "active");
    }
    let said = on_terminal(&desk, &button, &[(SURE, "y"), (SLUG, "notes\r")])?;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(state(&desk, &id)?, "revoked");
    Ok(())
}
