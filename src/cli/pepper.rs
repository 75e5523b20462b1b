//! `tokenward pepper`: the keys over all digests, made once and changed without a token being lost.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::confirm;
use super::failure::{Failure, Outcome};
use super::output::{self, Output};
use super::store::StoreArgs;
use crate::clock::{Clock, SystemClock, SystemEntropy};
use crate::serve::{Retiring, Rotated, StoreAddress, create_pepper, rotate_pepper};
use crate::store::peppers::KnownPeppers;
use crate::store::postgres;
use crate::store::sqlite::Snapshot;
use crate::token::secret::PepperId;

#[derive(clap::Subcommand, Debug)]
pub(super) enum PepperCommand {
    /// Make a pepper in a new file; every server of a store needs the same one
    Create {
        /// The file, which must not be there yet
        path: PathBuf,
    },
    /// Make a new key the current one; the one before stays accepted. Servers read the file when they start
    Rotate {
        /// The pepper file, which is replaced
        path: PathBuf,
        /// Only accept the new key as yet; the next rotate makes it the current one. Where several servers share a
        /// store, each must accept a key before any of them uses it
        #[arg(long)]
        prepare: bool,
    },
    /// Drop the previous key, once no secret that can still be used needs it
    Retire(RetireArgs),
}

#[derive(clap::Args, Debug)]
pub(super) struct RetireArgs {
    /// The pepper file, which is replaced
    path: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Drop it although there are secrets that need it: they are unknown from then on
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Serialize, Debug)]
struct Created {
    path: PathBuf,
}

#[derive(Serialize, Debug)]
struct Keys {
    path: PathBuf,
    current: u16,
    /// The one that is accepted besides; none where it was retired.
    other: Option<u16>,
}

pub(super) async fn run(command: PepperCommand, output: Output) -> Outcome {
    match command {
        PepperCommand::Create { path } => create(path, output),
        PepperCommand::Rotate { path, prepare } => rotate(path, prepare, output),
        PepperCommand::Retire(args) => retire(args, output).await,
    }
}

fn create(path: PathBuf, output: Output) -> Outcome {
    create_pepper(&path, &SystemEntropy).map_err(Failure::new)?;
    match output {
        Output::Json => output::json(&Created { path })?,
        Output::Table => output::line(&format!(
            "made {}: give it to every server of the store, and back it up apart from the store",
            path.display()
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn rotate(path: PathBuf, prepare: bool, output: Output) -> Outcome {
    let Rotated { current, other } = rotate_pepper(&path, prepare, &SystemEntropy).map_err(Failure::new)?;
    let (current, other) = (current.0, other.0);
    match output {
        Output::Json => output::json(&Keys {
            path,
            current,
            other: Some(other),
        })?,
        Output::Table if prepare => output::line(&format!(
            "key {other} is accepted, key {current} still the current one: give {0} to every server, start each \
             again, and then run `tokenward pepper rotate {0}`",
            path.display()
        ))?,
        Output::Table => output::line(&format!(
            "key {current} is the current one, key {other} still accepted: give {} to every server, start each \
             again, and back it up apart from the store",
            path.display()
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn retire(args: RetireArgs, output: Output) -> Outcome {
    let retiring = Retiring::of(&args.path).map_err(Failure::new)?;
    let (previous, peppers) = (retiring.previous(), retiring.peppers());
    let current = peppers.current().id();
    let address = args.store.address()?;
    let (secrets, known) = needing(&address, previous).await?;
    // Of another store nothing would need it.
    if let Err(other) = known.compare(&peppers) {
        return Err(Failure::new(format_args!(
            "{} is not the pepper file of {address}: {other}",
            args.path.display()
        )));
    }
    if !known.has(current) {
        return Err(Failure::new(format_args!(
            "no server of {address} uses key {current} yet, so key {previous} is still needed",
            previous = previous.0,
            current = current.0
        ))
        .but("start the servers with this file first"));
    }
    if secrets > 0 {
        let what = format!(
            "{secrets} secrets that can still be used are kept under key {}, and are unknown without it",
            previous.0
        );
        if !args.force {
            return Err(Failure::new(what)
                .but("each is kept under the current key once it was used: wait, rotate or revoke them, or pass --force"));
        }
        if !args.yes {
            confirm::can_be_asked(&what)?;
            if !confirm::confirmed(&format!("{what}. Drop the key?"))? {
                return Err(Failure::new("nothing was changed"));
            }
        }
    }
    retiring.retire().map_err(Failure::new)?;
    let (path, current) = (args.path, current.0);
    match output {
        Output::Json => output::json(&Keys {
            path,
            current,
            other: None,
        })?,
        Output::Table => output::line(&format!(
            "key {} is gone: give {} to every server, and start each again",
            previous.0,
            path.display()
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// How many secrets of the store need this pepper, and which ones the store knows.
async fn needing(address: &StoreAddress, pepper: PepperId) -> Result<(i64, KnownPeppers), Failure> {
    let now = SystemClock.now();
    match address {
        StoreAddress::Memory => Err(Failure::usage("memory: keeps no secrets")),
        StoreAddress::Sqlite(path) => {
            let mut snapshot = Snapshot::open(path).await.map_err(Failure::new)?;
            let secrets = snapshot.secrets_under(pepper, now).await.map_err(Failure::new)?;
            Ok((secrets, snapshot.peppers().await.map_err(Failure::new)?))
        }
        StoreAddress::Postgres(options) => postgres::secrets_under(options, pepper, now)
            .await
            .map_err(Failure::new),
    }
}
