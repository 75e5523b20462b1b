//! A replica as it would be without the barrier. The program cannot be told to be one, so it is this binary,
//! started again as the test below.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tokenward::serve::{Options, Running};

use super::Replica;
use crate::report;
use crate::server::Outcome;

/// What the process finds when it is to be a replica.
const STORE: &str = "TOKENWARD_TEST_REPLICA_STORE";
const PEPPER: &str = "TOKENWARD_TEST_REPLICA_PEPPER";

impl Replica {
    /// One that answers a Revoke when it is committed; the others hear of it when they are hinted at news.
    pub(crate) async fn start_with_hints(store: &str, pepper: &Path) -> Result<Replica, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([
            "--exact",
            "replica::hints::replica",
            "--ignored",
            "--nocapture",
            "--quiet",
        ]);
        command.env(STORE, store).env(PEPPER, pepper);
        Replica::spawn(command).await
    }
}

#[tokio::test]
#[ignore = "no test: a replica, until it is killed"]
async fn replica() -> Outcome {
    let (Ok(store), Some(pepper)) = (std::env::var(STORE), std::env::var_os(PEPPER)) else {
        return Ok(());
    };
    let mut options = Options::new(store.parse()?, SocketAddr::from(([127, 0, 0, 1], 0)));
    options.pepper_file = Some(pepper.into());
    options.in_force_nowhere = true;
    let running = Running::start(options)?;
    report(format_args!("{}{}", super::LISTENING, running.address()));
    running.ended().await;
    Ok(())
}
