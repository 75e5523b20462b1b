//! `tokenward bootstrap`: the first credential of a store.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::confirm;
use super::failure::{Failure, Outcome};
use super::output::{self, Output};
use super::store::StoreArgs;
use crate::serve::{FirstAdminError, Options, ServeError, StoreAddress, bootstrap_store};

#[derive(clap::Args, Debug)]
pub(super) struct BootstrapArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The file to put the credential in; only its owner can read it
    #[arg(long, env = "TOKENWARD_ADMIN_FILE", value_name = "PATH")]
    admin_file: PathBuf,
    /// The file that keeps the pepper [default: beside the SQLite file, with .pepper at the end]
    #[arg(long, env = "TOKENWARD_PEPPER_FILE", value_name = "PATH")]
    pepper_file: Option<PathBuf>,
    /// Make a further admin although there is one, or was
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(long, short, requires = "force")]
    yes: bool,
}

#[derive(Serialize, Debug)]
struct Bootstrapped {
    token_id: String,
    admin_file: PathBuf,
}

pub(super) async fn run(args: BootstrapArgs, output: Output) -> Outcome {
    let address = args.store.address()?;
    if let StoreAddress::Memory = address {
        return Err(Failure::usage(
            "memory: ends with this command, and its credential with it",
        ));
    }
    if args.force && !args.yes {
        confirm::can_be_asked("whoever has the new credential may do everything")?;
        if !confirm::confirmed(&format!("Make a further admin of {address}?"))? {
            return Err(Failure::new("nothing was changed"));
        }
    }
    let mut options = Options::new(address, SocketAddr::from(([127, 0, 0, 1], 0)));
    options.pepper_file = args.pepper_file;
    let admin = bootstrap_store(&options, &args.admin_file, args.force).await;
    let admin = admin.map_err(|error| match error {
        ServeError::FirstAdmin(FirstAdminError::Bootstrap(_)) => {
            Failure::new(error).but("--force makes a further one")
        }
        _ => Failure::new(error),
    })?;
    let made = Bootstrapped {
        token_id: admin.id.to_string(),
        admin_file: args.admin_file,
    };
    match output {
        Output::Json => output::json(&made)?,
        Output::Table => output::line(&format!(
            "made credential {}, which may do everything, in {}",
            made.token_id,
            made.admin_file.display()
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
