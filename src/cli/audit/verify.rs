//! `tokenward audit verify`: reads a journal from end to end, wherever it is, and names the first thing that is wrong.

use std::path::PathBuf;
use std::process::ExitCode;

use super::super::failure::Outcome;
use super::super::output;
use super::kept::KeptArgs;
use super::{Caller, database, exported, file, live};
use crate::store::postgres::NotPostgresUrl;

#[derive(clap::Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The store file, which a server may have open, or the URL of a Postgres database, of which the rows of tokens are
    /// not compared; without it, the journal is read through the server, which
    /// shows what is linked, and not whether the rows of tokens agree
    #[arg(long, value_name = "PATH")]
    database: Option<PathBuf>,
    /// A file that `audit export` wrote, which shows what is linked and that nothing is missing up to its end
    #[arg(long, value_name = "FILE", conflicts_with = "database")]
    export: Option<PathBuf>,
    #[command(flatten)]
    kept: KeptArgs,
}

pub(super) async fn run(args: VerifyArgs, caller: &Caller) -> Outcome {
    let report = match (&args.database, &args.export) {
        (Some(database), _) => match database.to_string_lossy().parse() {
            Ok(options) => database::report(&options, &args.kept).await?,
            Err(NotPostgresUrl) => file::report(database, &args.kept).await?,
        },
        (None, Some(export)) => exported::report(export, &args.kept)?,
        (None, None) => live::report(&args.kept, caller).await?,
    };
    report.print(caller.output)?;
    match &report.finding {
        None => Ok(ExitCode::SUCCESS),
        Some(finding) => {
            output::note(&format!(
                "tokenward: {finding}; keep the store as it is, and find out who wrote to it"
            ))?;
            Ok(ExitCode::FAILURE)
        }
    }
}
