//! `tokenward recover`: after a backup was restored, nobody may go on from what it has forgotten.

use std::process::ExitCode;

use serde::Serialize;

use super::confirm;
use super::failure::{Failure, Outcome};
use super::output::{self, Output};
use super::store::StoreArgs;
use crate::clock::{SystemEntropy, random};
use crate::journal::cursor::Epoch;
use crate::serve::StoreAddress;
use crate::store::{postgres, sqlite};

#[derive(clap::Args, Debug)]
pub(super) struct RecoverArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Serialize, Debug)]
struct Recovered {
    epoch: String,
    revision: u64,
}

pub(super) async fn run(args: RecoverArgs, output: Output) -> Outcome {
    let address = args.store.address()?;
    let epoch = Epoch::new(random(&SystemEntropy));
    let revision = match &address {
        StoreAddress::Memory => return Err(Failure::usage("memory: is never restored")),
        StoreAddress::Sqlite(path) if !path.exists() => {
            return Err(Failure::new(format_args!("{} does not exist", path.display())));
        }
        StoreAddress::Sqlite(path) => {
            agreed(&address, args.yes)?;
            sqlite::recover(path, epoch).await.map_err(Failure::new)?
        }
        StoreAddress::Postgres(options) => {
            agreed(&address, args.yes)?;
            postgres::recover(options, epoch).await.map_err(Failure::new)?
        }
    };
    let recovered = Recovered {
        epoch: epoch.to_string(),
        revision: revision.get(),
    };
    match output {
        Output::Json => output::json(&recovered)?,
        Output::Table => output::line(&format!(
            "the journal goes on from revision {revision} under another epoch: start the servers again, and \
             revoke what was revoked since the backup was made"
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn agreed(address: &StoreAddress, unasked: bool) -> Result<(), Failure> {
    if unasked {
        return Ok(());
    }
    confirm::can_be_asked("every cursor of before will be refused, and servers that run will stop")?;
    let question = format!("Was {address} restored, so that its cursors have to be refused?");
    if confirm::confirmed(&question)? {
        Ok(())
    } else {
        Err(Failure::new("nothing was changed"))
    }
}
