//! What is done with tokens, one file a verb or two.

mod credential;
mod filter;
mod issue;
mod leaked;
mod list;
mod matching;
mod revoke;
mod update;
mod usage;

use std::process::ExitCode;

pub(super) use credential::{CredentialCommand, credential};
pub(super) use issue::{IssueArgs, RotateArgs, issue, rotate};
pub(super) use leaked::{LeakedArgs, revoke_leaked};
pub(super) use list::{ListArgs, list};
pub(super) use matching::{MatchingArgs, revoke_matching};
pub(super) use revoke::{RevokeArgs, revoke};
pub(super) use update::{ResumeArgs, SuspendArgs, UpdateArgs, resume, suspend, update};
pub(super) use usage::{UsageCommand, usage};

use super::connect::{ANSWER_BYTES_MAX, Wire};
use super::failure::{Failure, Outcome};
use super::output::{self, Output};
use super::{Caller, view};
use crate::proto::v1;
use crate::proto::v1::token_service_client::TokenServiceClient;

type Client = TokenServiceClient<Wire>;

async fn client(caller: &Caller) -> Result<Client, Failure> {
    let client = TokenServiceClient::new(caller.connect().await?);
    Ok(client.max_decoding_message_size(ANSWER_BYTES_MAX))
}

pub(super) async fn get(token_id: String, caller: &Caller) -> Outcome {
    let mut client = client(caller).await?;
    let token = view::Token::from(read(&mut client, token_id).await?);
    output_token(&token, caller.output)?;
    Ok(ExitCode::SUCCESS)
}

async fn read(client: &mut Client, token_id: String) -> Result<v1::Token, Failure> {
    let answer = client.get(v1::GetRequest { token_id }).await?.into_inner();
    Ok(answer.token.unwrap_or_default())
}

fn output_token(token: &view::Token, output: Output) -> std::io::Result<()> {
    output.print(token, || output::facts(token.facts()))
}
