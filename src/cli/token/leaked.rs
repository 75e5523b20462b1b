//! `tokenward revoke-leaked`: revoke by the secret itself.

use std::process::ExitCode;

use super::super::failure::Outcome;
use super::super::present::{SOURCES, SecretArgs};
use super::super::{Caller, output};
use crate::proto::v1;

#[derive(clap::Args, Debug)]
#[command(after_help = SOURCES)]
pub(crate) struct LeakedArgs {
    #[command(flatten)]
    secret: SecretArgs,
    /// Why, such as where it was found; kept with the token and told to all who watch
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) async fn revoke_leaked(args: LeakedArgs, caller: &Caller) -> Outcome {
    let secret = args.secret.read()?;
    let mut client = super::client(caller).await?;
    let request = v1::RevokeLeakedRequest {
        secret: secret.expose().to_owned(),
        reason: args.reason,
    };
    client.revoke_leaked(request).await?;
    output::note("if it was a token's, and you may revoke that, it is revoked")?;
    Ok(ExitCode::SUCCESS)
}
