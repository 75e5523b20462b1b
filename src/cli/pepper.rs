//! `tokenward pepper`: the key over all digests, for stores that several servers share.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::failure::{Failure, Outcome};
use super::output::{self, Output};
use crate::clock::SystemEntropy;
use crate::serve::create_pepper;

#[derive(clap::Subcommand, Debug)]
pub(super) enum PepperCommand {
    /// Make a pepper in a new file; every server of a store needs the same one
    Create {
        /// The file, which must not be there yet
        path: PathBuf,
    },
}

#[derive(Serialize, Debug)]
struct Created {
    path: PathBuf,
}

pub(super) fn run(command: PepperCommand, output: Output) -> Outcome {
    let PepperCommand::Create { path } = command;
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
