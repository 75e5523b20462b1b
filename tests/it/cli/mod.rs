//! The command line, run as people run it: what it prints where, and how it ends.

mod access;
mod asked;
mod closed;
mod import;
mod matching;
mod offline;
mod postgres;
mod recorded;
mod reported;
mod served;
mod subjects;
mod tampering;
mod updates;
mod watching;

use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::admin::FILES;
use crate::program::{self, deaf};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    err: String,
}

/// The program, as the admin of the tests runs it.
fn program(args: &[&str]) -> Command {
    let mut command = deaf(program::PATH);
    command
        .args(args)
        .env("TOKENWARD_CREDENTIAL_FILE", &FILES.admin)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs `command` with `stdin`.
fn run(command: &mut Command, stdin: &str) -> io::Result<Said> {
    let mut child = command.spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        match pipe.write_all(stdin.as_bytes()) {
            // It did not care to read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            result => result?,
        }
    }
    let output = child.wait_with_output()?;
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

pub(crate) fn tokenward(args: &[&str], stdin: &str) -> io::Result<Said> {
    run(&mut program(args), stdin)
}

impl Said {
    /// The one line on stderr; anything else there is a failure of its own.
    fn complaint(&self) -> &str {
        let line = self.err.strip_suffix('\n').unwrap_or_default();
        assert!(!line.is_empty() && !line.contains('\n'), "not one line: {self:?}");
        line
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::from_str(&self.out)
    }
}
