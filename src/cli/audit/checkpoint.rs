//! `tokenward audit checkpoint` and `keygen`: what the journal was, signed, and the key for it.

use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;

use super::super::failure::{Failure, Outcome};
use super::super::output::{self, Output, text};
use super::super::{Caller, PAGE_SIZE, view};
use super::live;
use crate::clock::SystemEntropy;
use crate::journal::checkpoint::KeyName;
use crate::proto::v1;
use crate::serve::create_checkpoint_key;

#[derive(clap::Args, Debug)]
pub(crate) struct CheckpointArgs {
    /// List those that the store still has, newest first, and sign none
    #[arg(long)]
    list: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct KeygenArgs {
    /// The file, which must not be there yet; every server of a store needs the same one
    path: PathBuf,
    /// What the log is known by, best as example.com/tokenward [default: one that tells it from all others]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Serialize, Debug)]
struct Checkpoint {
    revision: i64,
    time: Option<String>,
    note: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_key: Option<String>,
}

#[derive(Serialize, Debug)]
struct Key {
    path: PathBuf,
    verification_key: String,
}

impl Checkpoint {
    const HEADER: &[&str] = &["REVISION", "TIME", "ROOT"];

    fn of(checkpoint: v1::Checkpoint, verification_key: Option<String>) -> Checkpoint {
        Checkpoint {
            revision: checkpoint.revision,
            time: checkpoint.time.map(view::time),
            note: checkpoint.note,
            verification_key,
        }
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.revision),
            text(self.time.as_deref().unwrap_or_default()),
            text(self.note.lines().nth(2).unwrap_or_default()),
        ]
    }
}

pub(super) async fn run(args: CheckpointArgs, caller: &Caller) -> Outcome {
    if args.list {
        return list(caller).await;
    }
    let mut client = live::client(caller).await?;
    let answer = client
        .get_checkpoint(v1::GetCheckpointRequest {})
        .await?
        .into_inner();
    let Some(checkpoint) = answer.checkpoint else {
        return Err(Failure::new("the server signs no checkpoints")
            .but("make a key with `tokenward audit keygen`, and start it with --checkpoint-key-file"));
    };
    let checkpoint = Checkpoint::of(checkpoint, Some(answer.verification_key));
    match caller.output {
        Output::Json => output::json(&checkpoint)?,
        // As it is: it goes into a file.
        Output::Table => {
            output::line(checkpoint.note.trim_end_matches('\n'))?;
            let key = checkpoint.verification_key.as_deref().unwrap_or_default();
            output::note(&format!("signed with {key}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(caller: &Caller) -> Outcome {
    let mut client = live::client(caller).await?;
    let mut listing = caller.output.list(Checkpoint::HEADER);
    let mut page_token = String::new();
    loop {
        let request = v1::ListCheckpointsRequest {
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = client.list_checkpoints(request).await?.into_inner();
        let checkpoints = page.checkpoints.into_iter();
        let checkpoints: Vec<_> = checkpoints
            .map(|checkpoint| Checkpoint::of(checkpoint, None))
            .collect();
        listing.page(&checkpoints, Checkpoint::row)?;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    listing.end("checkpoints")?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn keygen(args: KeygenArgs, output: Output) -> Outcome {
    let name = args.name.map(KeyName::try_from).transpose();
    let name = name.map_err(|wanted| Failure::usage(format_args!("--name {wanted}")))?;
    let key = create_checkpoint_key(&args.path, name, &SystemEntropy).map_err(Failure::new)?;
    let verification_key = key.verifying().to_string();
    match output {
        Output::Json => output::json(&Key {
            path: args.path,
            verification_key,
        })?,
        Output::Table => {
            output::line(&verification_key)?;
            output::note(&format!(
                "made {}: start servers with --checkpoint-key-file; checkpoints are verified with the key above, which \
                 is no secret",
                args.path.display()
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
