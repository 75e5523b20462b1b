//! `tokenward revoke`: for ever, so it asks first.

use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;

use super::super::failure::{Failure, Outcome};
use super::super::output::{self, text};
use super::super::{Caller, confirm, view};
use crate::proto::v1;

#[derive(clap::Args, Debug)]
pub(crate) struct RevokeArgs {
    /// Id of the token
    token_id: String,
    /// Why; kept with the token and told to all who watch
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Makes a retry safe: a UUID, version 4 or 7
    #[arg(long, value_name = "UUID", default_value = "", hide_default_value = true)]
    request_id: String,
}

pub(crate) async fn revoke(args: RevokeArgs, caller: &Caller) -> Outcome {
    if !args.yes {
        confirm::can_be_asked("revoking is for ever")?;
    }
    let mut client = super::client(caller).await?;
    if !args.yes {
        let token = super::read(&mut client, args.token_id.clone()).await?;
        output::note_table(output::facts(token.facts()))?;
        if !confirm::confirmed("Revoke this token, for ever?")? {
            return Err(Failure::new("nothing was revoked"));
        }
    }
    let request = v1::RevokeRequest {
        token_id: args.token_id,
        reason: args.reason,
        request_id: args.request_id,
    };
    let answer = client.revoke(request).await?.into_inner();
    let revoked = Revoked {
        propagation: view::propagation(answer.propagation()),
        cursor: answer.cursor,
        token: view::Token::from(answer.token.unwrap_or_default()),
    };
    caller.output.print(&revoked, || output::facts(revoked.facts()))?;
    Ok(ExitCode::SUCCESS)
}

/// The token as revoked, and how that became true everywhere.
#[derive(Serialize, Debug)]
struct Revoked {
    #[serde(flatten)]
    token: view::Token,
    cursor: String,
    propagation: String,
}

impl Revoked {
    fn facts(&self) -> Vec<(&'static str, Cell)> {
        let mut facts = self.token.facts();
        facts.push(("propagation", text(&self.propagation)));
        facts
    }
}
