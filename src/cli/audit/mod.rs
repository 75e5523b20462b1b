//! `tokenward audit`: what happened, and whether it still says so.

mod live;
mod verify;

use std::process::ExitCode;

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::connect::ANSWER_BYTES_MAX;
use super::failure::Outcome;
use super::output::{self, text};
use super::{Caller, PAGE_SIZE, view};
use crate::proto::v1;
use crate::proto::v1::audit_service_client::AuditServiceClient;

#[derive(clap::Subcommand, Debug)]
pub(super) enum AuditCommand {
    /// List the entries of the journal, oldest first
    List(ListArgs),
    /// Show where the journal ends: keep this elsewhere, and later tampering shows
    Head,
    /// Check the journal, of a store file or through a server: exit 0 intact, 1 tampered with, 2 could not be read
    Verify(verify::VerifyArgs),
}

#[derive(clap::Args, Debug)]
pub(super) struct ListArgs {
    /// Only entries of the namespace with this slug
    #[arg(long, value_name = "SLUG", default_value = "", hide_default_value = true)]
    namespace: String,
    /// Only entries of the token with this id
    #[arg(long, value_name = "TOKEN_ID", default_value = "", hide_default_value = true)]
    token: String,
    /// At most so many; without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

#[derive(Serialize, Debug)]
struct Head {
    epoch: String,
    revision: i64,
    link: String,
    oldest_revision: i64,
    cursor: String,
}

impl AuditCommand {
    pub(super) fn judges(&self) -> bool {
        matches!(self, AuditCommand::Verify(_))
    }
}

pub(super) async fn run(command: AuditCommand, caller: &Caller) -> Outcome {
    match command {
        AuditCommand::List(args) => list(args, caller).await,
        AuditCommand::Head => head(caller).await,
        AuditCommand::Verify(args) => verify::run(args, caller).await,
    }
}

async fn list(args: ListArgs, caller: &Caller) -> Outcome {
    let client = AuditServiceClient::new(caller.connect().await?);
    let mut client = client.max_decoding_message_size(ANSWER_BYTES_MAX);
    let mut listing = caller.output.list(view::Entry::HEADER);
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut page_token = String::new();
    loop {
        let request = v1::ListEntriesRequest {
            page_size: i32::try_from(left).map_or(PAGE_SIZE, |left| left.min(PAGE_SIZE)),
            page_token,
            namespace: args.namespace.clone(),
            token_id: args.token.clone(),
        };
        let page = client.list_entries(request).await?.into_inner();
        let entries: Vec<_> = page.entries.into_iter().map(view::Entry::from).collect();
        listing.page(&entries, view::Entry::row)?;
        left = left.saturating_sub(entries.len() as u64);
        page_token = page.next_page_token;
        if page_token.is_empty() || left == 0 {
            break;
        }
    }
    listing.end("entries")?;
    Ok(ExitCode::SUCCESS)
}

async fn head(caller: &Caller) -> Outcome {
    let mut client = AuditServiceClient::new(caller.connect().await?);
    let answer = client.get_head(v1::GetHeadRequest {}).await?.into_inner();
    let head = Head {
        epoch: answer.epoch,
        revision: answer.revision,
        link: HEXLOWER.encode(&answer.link),
        oldest_revision: answer.oldest_revision,
        cursor: answer.cursor,
    };
    caller.output.print(&head, || {
        output::facts(vec![
            ("epoch", text(&head.epoch)),
            ("revision", text(&head.revision.to_string())),
            ("link", text(&head.link)),
            ("oldest", text(&head.oldest_revision.to_string())),
            ("cursor", text(&head.cursor)),
        ])
    })?;
    Ok(ExitCode::SUCCESS)
}
