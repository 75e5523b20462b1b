//! `tokenward audit`: what happened, and whether it still says so.

mod access;
mod checkpoint;
mod database;
mod export;
mod exported;
mod file;
mod found;
mod kept;
mod list;
mod live;
mod proof;
mod refused;
mod report;
mod rows;
mod verify;

use std::process::ExitCode;

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::Caller;
use super::failure::Outcome;
use super::output::{self, text};
use crate::proto::v1;

#[derive(clap::Subcommand, Debug)]
pub(super) enum AuditCommand {
    /// List the entries of the journal, oldest first
    List(Box<list::ListArgs>),
    /// List the calls that were refused: who tried what
    Refused(refused::RefusedArgs),
    /// List calls that were judged and put on record, newest first; or forget them
    Access(Box<access::AccessArgs>),
    /// Show where the journal ends: keep this elsewhere, and later tampering shows
    Head,
    /// Check the journal, of a store file or through a server: exit 0 intact, 1 tampered with, 2 could not be read
    Verify(verify::VerifyArgs),
    /// Sign what the journal is now: keep this elsewhere, and a rewritten journal shows
    Checkpoint(checkpoint::CheckpointArgs),
    /// Make the key that checkpoints are signed with, and show what they are verified with
    Keygen(checkpoint::KeygenArgs),
    /// Write the journal as lines of JSON, which can be verified without the store
    Export(export::ExportArgs),
    /// Tell the story of a token, for the incident file: in Markdown, or as JSON
    Report(report::ReportArgs),
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
        AuditCommand::List(args) => list::run(*args, caller).await,
        AuditCommand::Refused(args) => refused::run(args, caller).await,
        AuditCommand::Access(args) => access::run(*args, caller).await,
        AuditCommand::Head => head(caller).await,
        AuditCommand::Verify(args) => verify::run(args, caller).await,
        AuditCommand::Checkpoint(args) => checkpoint::run(args, caller).await,
        AuditCommand::Keygen(args) => checkpoint::keygen(args, caller.output),
        AuditCommand::Export(args) => export::run(args, caller).await,
        AuditCommand::Report(args) => report::run(args, caller).await,
    }
}

/// An instant as the wire has it.
fn instant(instant: Option<jiff::Timestamp>) -> Option<prost_types::Timestamp> {
    instant.map(|instant| prost_types::Timestamp {
        seconds: instant.as_second(),
        nanos: instant.subsec_nanosecond(),
    })
}

async fn head(caller: &Caller) -> Outcome {
    let mut client = live::client(caller).await?;
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
