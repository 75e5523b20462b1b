//! A server's memory is closed to core dumps and debuggers, as the kernel tells.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use super::Outcome;
use crate::program::{PATH, deaf};

/// What owns the files of a process that may not be looked into.
const ROOT: u32 = 0;
const NOBODY: u32 = 65_534;

/// A process that is killed with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_leaves_no_core_and_lets_nobody_look_into_it() -> Outcome {
    // Root's files are root's in either case, so root runs it as somebody else: a copy, where they can reach it.
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("tokenward");
    let mut command = deaf(&program);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        command.uid(NOBODY).gid(NOBODY);
    }
    std::fs::copy(PATH, &program)?;
    let child = command
        .args(["serve", "--store", "memory:", "--listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut server = Killed(child);
    let log = server.0.stderr.take().ok_or("it has no log")?;
    let mut said = Vec::new();
    for line in BufReader::new(log).lines() {
        said.push(line?);
        if said.last().is_some_and(|line| line.contains("listening")) {
            break;
        }
    }
    let process = format!("/proc/{}", server.0.id());
    let limits = std::fs::read_to_string(format!("{process}/limits"))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let core: Vec<_> = core.unwrap_or_default().split_whitespace().skip(4).collect();
    assert_eq!(core, ["0", "0", "bytes"], "{limits} {said:?}");
    assert_eq!(
        std::fs::metadata(format!("{process}/mem"))?.uid(),
        ROOT,
        "{said:?}"
    );
    Ok(())
}
