//! `tokenward check`: whether a text has the shape of a token, without asking anybody.

use std::process::ExitCode;

use serde::Serialize;

use super::failure::Outcome;
use super::output::{self, Output, bad, good};
use super::present::{self, SecretArgs};
use super::spelling;
use crate::token::format::{Body, Format, Malformed, Prefix};

#[derive(clap::Args, Debug)]
#[command(after_help = present::SOURCES)]
pub(super) struct CheckArgs {
    /// What tokens of the namespace begin with, such as kn_
    #[arg(long, value_parser = spelling::prefix)]
    prefix: Prefix,
    /// What follows the prefix: native, hex:<N>, base64url:<N> or base62:<N>
    #[arg(long, value_parser = spelling::body)]
    format: Body,
    #[command(flatten)]
    secret: SecretArgs,
}

/// It says what is wrong, never where: that would tell of the text around it.
#[derive(Serialize, Debug)]
struct Checked {
    well_formed: bool,
    problem: Option<String>,
}

pub(super) fn run(args: CheckArgs, output: Output) -> Outcome {
    let secret = args.secret.read()?;
    let format = Format {
        prefix: args.prefix,
        body: args.format,
    };
    let problem = match format.parse(&secret) {
        Ok(()) => None,
        Err(Malformed::Prefix) => Some(format!("does not begin with {}", format.prefix.as_str())),
        Err(malformed) => Some(malformed.to_string()),
    };
    let checked = Checked {
        well_formed: problem.is_none(),
        problem,
    };
    output.print(&checked, || {
        output::facts(match &checked.problem {
            None => vec![("shape", good("well-formed"))],
            Some(problem) => vec![("shape", bad("malformed")), ("problem", output::text(problem))],
        })
    })?;
    Ok(if checked.well_formed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
