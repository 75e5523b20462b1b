//! `tokenward migrate`: brings a store to the schema of this program.

use std::process::ExitCode;

use serde::Serialize;

use super::failure::{Failure, Outcome};
use super::output::{self, Output};
use super::store::StoreArgs;
use crate::clock::{SystemEntropy, random};
use crate::journal::cursor::Epoch;
use crate::serve::StoreAddress;
use crate::store::migrations::Applied;
use crate::store::{postgres, sqlite};

#[derive(clap::Args, Debug)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    store: StoreArgs,
}

/// What was applied, oldest first; nothing where the schema was this program's already.
#[derive(Serialize, Debug)]
struct Migrated {
    applied: Vec<Applied>,
}

pub(super) async fn run(args: MigrateArgs, output: Output) -> Outcome {
    let epoch = Epoch::new(random(&SystemEntropy));
    let applied = match args.store.address()? {
        StoreAddress::Postgres(options) => postgres::migrate(&options, epoch).await.map_err(Failure::new)?,
        StoreAddress::Sqlite(path) => sqlite::migrate(&path, epoch).await.map_err(Failure::new)?,
        StoreAddress::Memory => return Err(Failure::usage("memory: has no schema to migrate")),
    };
    let migrated = Migrated { applied };
    match output {
        Output::Json => output::json(&migrated)?,
        Output::Table if migrated.applied.is_empty() => output::line("up to date")?,
        Output::Table => {
            for Applied { version, description } in &migrated.applied {
                output::line(&format!("applied {version:04}: {description}"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
