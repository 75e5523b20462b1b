//! The program itself, as a process that can be paused, ended and killed.

mod hints;
mod tests;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::time::timeout;
use tonic::transport;

use crate::admin::FILES;
use crate::server::Client;

/// How long a replica may take until it accepts calls, on a machine with other things to do.
const START_MAX: Duration = Duration::from_secs(20);

/// What it logs; who runs the tests may want more.
const LOG: &str = "TOKENWARD_LOG";

/// What it says when it accepts calls, before its address.
const LISTENING: &str = "tokenward: listening on ";

/// A server in a process of its own, which is killed with it.
pub(crate) struct Replica {
    child: Child,
    pub(crate) address: String,
}

impl Replica {
    /// Runs `tokenward serve` on a port of its own; `args` say at least on which store.
    pub(crate) async fn start(args: &[&str]) -> Result<Replica, Box<dyn std::error::Error>> {
        let mut command = serve(args);
        // It would warn of what the tests do to it.
        if std::env::var_os(LOG).is_none() {
            command.env(LOG, "error");
        }
        Replica::spawn(command).await
    }

    /// The same; what it has to say goes to `log`.
    pub(crate) async fn start_logging(
        args: &[&str],
        log: File,
    ) -> Result<Replica, Box<dyn std::error::Error>> {
        let mut command = serve(args);
        command.env(LOG, "warn").stderr(log);
        Replica::spawn(command).await
    }

    async fn spawn(mut command: Command) -> Result<Replica, Box<dyn std::error::Error>> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        // From here on it is killed whatever happens.
        let mut replica = Replica {
            child,
            address: String::new(),
        };
        let mut lines = BufReader::new(pipe::Receiver::from_owned_fd(OwnedFd::from(stdout))?).lines();
        let address = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix(LISTENING) {
                    return Ok(Some(address.to_owned()));
                }
            }
            io::Result::Ok(None)
        };
        replica.address = timeout(START_MAX, address).await??.ok_or("it did not start")?;
        Ok(replica)
    }

    /// Clients over a connection of their own.
    pub(crate) async fn client(&self) -> Result<Client, transport::Error> {
        Client::connect(&self.address).await
    }

    /// SIGSTOP: returns when nothing of the process runs any more.
    pub(crate) fn pause(&self) -> io::Result<()> {
        kill_process(self.pid(), Signal::STOP)?;
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.pid()), options)?;
        if status.is_some_and(|status| status.stopped()) {
            Ok(())
        } else {
            Err(io::Error::other("it has ended"))
        }
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) -> io::Result<()> {
        Ok(kill_process(self.pid(), Signal::CONT)?)
    }

    /// SIGTERM: returns when the process has ended by itself.
    pub(crate) async fn terminate(mut self) -> io::Result<ExitStatus> {
        kill_process(self.pid(), Signal::TERM)?;
        tokio::task::spawn_blocking(move || self.child.wait()).await?
    }

    /// SIGKILL: the process gets no chance to write anything.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

fn serve(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenward"));
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command
        .env("TOKENWARD_PEPPER_FILE", &FILES.pepper)
        .env("TOKENWARD_ADMIN_FILE", &FILES.admin);
    command.args(args);
    command
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.kill();
    }
}
