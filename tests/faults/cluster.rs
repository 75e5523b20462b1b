//! A Postgres of one test's own, which it may stop and restart as it likes.

mod tests;

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::proxy::{Proxy, Target};
use crate::server::Outcome;

const BINARIES_WANTED: &str = "there are no Postgres server binaries: run scripts/with-postgres once, which \
     installs them or says how, or name their folder in PG_BIN";

/// Everything is as a careful operator would leave it, except that it is reached by its socket only.
const SETTINGS: &str = "
listen_addresses = ''
max_connections = 300
";

/// Stops the server and removes its folder when stdin ends: when the cluster is dropped, and when the process of
/// the test is killed; again where something was still being made.
const KEEP: &str = r#"
trap '' INT TERM HUP
read -r _
until "$2" --pgdata "$1/data" --mode immediate stop; rm -rf "$1"; do :; done
"#;

/// A running server. It keeps its data through restarts and is gone when it is dropped.
pub(crate) struct Cluster {
    folder: PathBuf,
    binaries: PathBuf,
    owner: Option<Owner>,
    keeper: Child,
}

/// How a server is shut down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// Sessions are told, and their transactions rolled back.
    Fast,
    /// As if the power had failed: the log is replayed when it starts.
    Immediate,
}

/// Whose the server is: not root's, for it refuses that.
#[derive(Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
}

impl Cluster {
    /// Creates and starts a server; takes about a second.
    pub(crate) async fn start() -> Result<Cluster, Box<dyn Error>> {
        let binaries = binaries().ok_or(BINARIES_WANTED)?;
        let owner = owner()?;
        let folder = tempfile::Builder::new().prefix("tokenward-postgres-").tempdir()?;
        if let Some(Owner { user, group }) = owner {
            chown(&folder, Some(user), Some(group))?;
        }
        let cluster = Cluster::keep(folder, binaries, owner)?;
        let mut initdb = cluster.command("initdb");
        initdb.arg("--pgdata").arg(cluster.data());
        initdb.args([
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        run(initdb).await?;
        let settings = cluster.data().join("postgresql.conf");
        let sockets = format!("unix_socket_directories = '{}'\n", cluster.folder.display());
        let mut settings = OpenOptions::new().append(true).open(settings)?;
        settings.write_all(SETTINGS.as_bytes())?;
        settings.write_all(sockets.as_bytes())?;
        cluster.control(&["start"]).await?;
        Ok(cluster)
    }

    /// Sees to it that the folder, and the server in it, do not outlive the test.
    fn keep(folder: TempDir, binaries: PathBuf, owner: Option<Owner>) -> io::Result<Cluster> {
        let mut keeper = command(Path::new("/bin/sh"), folder.path(), owner);
        keeper.args(["-c", KEEP, "keeper"]).arg(folder.path());
        keeper.arg(binaries.join("pg_ctl"));
        let keeper = keeper.stdin(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        Ok(Cluster {
            folder: folder.keep(),
            binaries,
            owner,
            keeper,
        })
    }

    /// Where its database is reached directly. [`Proxy::url`] is the other way.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://postgres@localhost/postgres?host={}",
            self.folder.display()
        )
    }

    /// A network of its own to this server.
    pub(crate) fn proxy(&self) -> io::Result<Proxy> {
        Proxy::start(Target::Unix(self.folder.join(".s.PGSQL.5432")))
    }

    /// Returns when it accepts connections again.
    pub(crate) async fn restart(&self, mode: Mode) -> Outcome {
        let mode = match mode {
            Mode::Fast => "fast",
            Mode::Immediate => "immediate",
        };
        self.control(&["restart", "--mode", mode]).await
    }

    async fn control(&self, args: &[&str]) -> Outcome {
        let mut control = self.command("pg_ctl");
        control
            .arg("--pgdata")
            .arg(self.data())
            .arg("--log")
            .arg(self.folder.join("log"));
        control.args(args);
        run(control).await
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, program: &str) -> Command {
        command(&self.binaries.join(program), &self.folder, self.owner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // There is nobody left to tell.
        let _ = self.keeper.wait();
    }
}

fn command(program: &Path, folder: &Path, owner: Option<Owner>) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // They would be about another server.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    if let Some(Owner { user, group }) = owner {
        command.uid(user).gid(group);
    }
    command
}

async fn run(mut command: Command) -> Outcome {
    command.stderr(Stdio::piped());
    let (command, output) = tokio::task::spawn_blocking(move || {
        let output = command.output();
        (command, output)
    })
    .await?;
    let output = output?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// The folder in `PG_BIN`, the newest that Debian's packages have made, or the one on the path.
fn binaries() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PG_BIN") {
        return Some(named.into());
    }
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .ok()
        .into_iter()
        .flatten();
    let newest = debian
        .filter_map(|version| {
            let version = version.ok()?;
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .filter(|(_, folder)| folder.join("initdb").exists())
        .max();
    let path = std::env::var_os("PATH").unwrap_or_default();
    newest
        .map(|(_, folder)| folder)
        .or_else(|| std::env::split_paths(&path).find(|folder| folder.join("initdb").exists()))
}

/// `None` for whoever runs the test; for root, the user that Debian's packages have made, or nobody.
fn owner() -> Result<Option<Owner>, Box<dyn Error>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let id = |option, name| -> Option<u32> {
        let id = Command::new("id").args([option, name]).output().ok()?;
        String::from_utf8(id.stdout).ok()?.trim().parse().ok()
    };
    let owner = ["postgres", "nobody"].into_iter().find_map(|name| {
        let (user, group) = (id("-u", name)?, id("-g", name)?);
        Some(Owner { user, group })
    });
    let owner =
        owner.ok_or("Postgres refuses to be run by root, and there is neither postgres nor nobody")?;
    Ok(Some(owner))
}
