//! `--store`: which store a command works on.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::failure::Failure;
use crate::serve::StoreAddress;

#[derive(clap::Args, Debug)]
pub(super) struct StoreArgs {
    /// Where tokens are kept: sqlite:PATH, postgres://USER@HOST/DATABASE, or memory: for a store that ends
    /// with the process
    #[arg(
        long,
        env = "TOKENWARD_STORE",
        hide_env_values = true,
        value_name = "STORE",
        default_value = "sqlite:tokenward.db"
    )]
    store: StoreText,
}

/// The value as it was given. It is read later, and not by the parser of arguments: that would repeat what it
/// does not understand, and there may be a password in it.
#[derive(Clone)]
struct StoreText(String);

impl StoreArgs {
    pub(super) fn address(&self) -> Result<StoreAddress, Failure> {
        let address = self.store.0.parse();
        address.map_err(|wanted: &str| Failure::usage(format_args!("--store {wanted}")))
    }
}

/// Whoever lists the processes of the machine sees the arguments of each.
pub(super) fn refuse_password(matches: &ArgMatches) -> Result<(), Failure> {
    let Some((_, mut of_command)) = matches.subcommand() else {
        return Ok(());
    };
    while let Some((_, deeper)) = of_command.subcommand() {
        of_command = deeper;
    }
    let Ok(Some(store)) = of_command.try_get_one::<StoreText>("store") else {
        return Ok(());
    };
    let has_password = match store.0.parse() {
        Ok(StoreAddress::Postgres(options)) => options.password_in_url(),
        Ok(StoreAddress::Sqlite(_) | StoreAddress::Memory) | Err(_) => false,
    };
    if has_password && of_command.value_source("store") == Some(ValueSource::CommandLine) {
        let wrong = Failure::usage("the password in --store can be seen by every user of this machine");
        return Err(wrong.but("leave it out and set PGPASSWORD or a .pgpass file, or set TOKENWARD_STORE"));
    }
    Ok(())
}

impl FromStr for StoreText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<StoreText, Infallible> {
        Ok(StoreText(text.to_owned()))
    }
}

impl fmt::Debug for StoreText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreText")
    }
}
