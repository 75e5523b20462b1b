//! `tokenward import`: tokens that were issued elsewhere, from a file.

mod file;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::Cell;
use indicatif::{ProgressBar, ProgressStyle};
use prost::Message;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Caller;
use super::connect::ANSWER_BYTES_MAX;
use super::failure::{Failure, Outcome};
use super::output::{self, text};
use crate::proto::v1;
use crate::proto::v1::import_service_client::ImportServiceClient;
use crate::token::id::ImportId;
use file::Rows;

/// Rows of a message: as many as a server takes.
const ROWS_MAX: usize = 256;
/// Bytes of a message, with room to what a server takes: 64 KiB unless it was told otherwise.
const BYTES_MAX: usize = 60 * 1024;
/// Messages sent before the first of them is answered: the next is there when one is written.
const AHEAD_MAX: usize = 4;
/// Refused rows that are shown; all are counted.
const SHOWN_MAX: usize = 1000;

const COLUMNS: &str = "\
A .jsonl file has an object a line, a .csv file a header and a row a token: key, name, subject, scopes, label.<KEY> \
(labels in JSON), sha256 or sha512 or phc, hint, create_time, expire_time, suspend_time, suspend_reason, revoke_time, \
revoke_reason. Scopes are separated by spaces (a list in JSON), times are in RFC 3339. Without a key, a row is known \
by its line.

Repeat the same command to go on after an interruption: each row is imported once. Exits with 1 if a row was refused.";

#[derive(clap::Args, Debug)]
#[command(after_help = COLUMNS)]
pub(super) struct ImportArgs {
    /// What to import: a .jsonl or .csv file
    file: PathBuf,
    /// Slug of the namespace to import into
    #[arg(long, value_name = "SLUG")]
    namespace: String,
    /// Only say what would become of each row
    #[arg(long)]
    dry_run: bool,
    /// Names the import, so that it can be gone on with [default: made of the file and the namespace]
    #[arg(long, value_name = "UUID")]
    import_id: Option<String>,
}

/// What became of the rows.
#[derive(Default, Serialize, Debug)]
struct Report {
    import_id: String,
    dry_run: bool,
    imported: u64,
    already_there: u64,
    refused: u64,
    /// The first of them.
    refused_rows: Vec<Refused>,
}

#[derive(Serialize, Debug)]
struct Refused {
    line: u64,
    reason: String,
}

pub(super) async fn run(args: ImportArgs, caller: &Caller) -> Outcome {
    let mut rows = Rows::open(&args.file)?;
    let id = match &args.import_id {
        Some(text) => {
            ImportId::parse(text).map_err(|error| Failure::usage(format_args!("--import-id {error}")))?
        }
        None => ImportId::of_content(file::sha256(&args.file, &args.namespace)?),
    };
    let mut report = Report {
        import_id: id.to_string(),
        dry_run: args.dry_run,
        ..Report::default()
    };
    let bar = progress(rows.bytes());
    let imported = import(&args, caller, &mut rows, &bar, &mut report).await;
    bar.finish_and_clear();
    if let Err(failure) = imported {
        let answered = report.imported + report.already_there + report.refused;
        return Err(failure.but(format_args!(
            "{answered} rows are done; to go on, repeat the command, with --import-id {id} if the file has changed"
        )));
    }
    if report.refused > 0 && caller.output == output::Output::Table {
        let mut listing = caller.output.list(&["LINE", "REFUSED BECAUSE"]);
        listing.page(&report.refused_rows, |row| {
            vec![Cell::new(row.line), text(&row.reason)]
        })?;
        listing.end("rows")?;
        let shown = report.refused_rows.len() as u64;
        if report.refused > shown {
            output::note(&format!("and {} more", report.refused - shown))?;
        }
    }
    caller.output.print(&report, || output::facts(report.facts()))?;
    Ok(if report.refused == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn import(
    args: &ImportArgs,
    caller: &Caller,
    rows: &mut Rows,
    bar: &ProgressBar,
    report: &mut Report,
) -> Result<(), Failure> {
    let client = ImportServiceClient::new(caller.connect().await?);
    let mut client = client.max_decoding_message_size(ANSWER_BYTES_MAX);
    // There is room for all that may be ahead, so nothing here waits but for answers.
    let (messages, sent) = mpsc::channel(AHEAD_MAX + 1);
    let start = v1::ImportStart {
        namespace: args.namespace.clone(),
        import_id: report.import_id.clone(),
        dry_run: args.dry_run,
    };
    let start = v1::ImportRequest {
        start: Some(start),
        ..Default::default()
    };
    let _ = messages.send(start).await;
    let mut messages = Some(messages);
    let mut answers = client.import(ReceiverStream::new(sent)).await?.into_inner();
    let mut ahead: VecDeque<Vec<u64>> = VecDeque::new();
    let mut batch = Batch::default();
    loop {
        while let Some(open) = messages.as_ref().filter(|_| ahead.len() < AHEAD_MAX) {
            let Some((lines, message)) = batch.next(rows, report)? else {
                messages = None;
                break;
            };
            // If the server has ended the stream, its answer says why.
            let _ = open.send(message).await;
            ahead.push_back(lines);
        }
        bar.set_position(rows.position());
        match (answers.message().await?, ahead.pop_front()) {
            (Some(answer), Some(lines)) => report.count(&lines, answer),
            (None, None) => return Ok(()),
            (None, Some(_)) => {
                return Err(Failure::new(
                    "the server ended the import before all was answered",
                ));
            }
            (Some(_), None) => return Err(Failure::new("the server answered what was not sent")),
        }
    }
}

/// Rows for the next message.
#[derive(Default)]
struct Batch {
    /// One that did not fit into the message before.
    left: Option<(u64, v1::ImportRow)>,
}

impl Batch {
    /// The next message, with the line of each of its rows; `None`: there are no more.
    fn next(
        &mut self,
        rows: &mut Rows,
        report: &mut Report,
    ) -> Result<Option<(Vec<u64>, v1::ImportRequest)>, Failure> {
        let (mut lines, mut message, mut bytes) = (Vec::new(), v1::ImportRequest::default(), 0);
        while lines.len() < ROWS_MAX {
            let next = match self.left.take() {
                Some((line, row)) => Some((line, Ok(row))),
                None => rows.next()?,
            };
            let (line, row) = match next {
                Some((line, Ok(row))) => (line, row),
                Some((line, Err(reason))) => {
                    report.refuse(line, reason);
                    continue;
                }
                None => break,
            };
            // And what says how long it is.
            let length = row.encoded_len() + 4;
            if length > BYTES_MAX {
                report.refuse(
                    line,
                    format!("it takes {length} bytes, and at most {BYTES_MAX} may be"),
                );
            } else if bytes + length > BYTES_MAX {
                self.left = Some((line, row));
                break;
            } else {
                bytes += length;
                lines.push(line);
                message.rows.push(row);
            }
        }
        Ok((!lines.is_empty()).then_some((lines, message)))
    }
}

impl Report {
    fn refuse(&mut self, line: u64, reason: String) {
        self.refused += 1;
        if self.refused_rows.len() < SHOWN_MAX {
            self.refused_rows.push(Refused { line, reason });
        }
    }

    fn count(&mut self, lines: &[u64], answer: v1::ImportResponse) {
        self.imported += u64::try_from(answer.imported).unwrap_or_default();
        self.already_there += u64::try_from(answer.already_there).unwrap_or_default();
        for row in answer.refused {
            let line = usize::try_from(row.index).ok().and_then(|index| lines.get(index));
            self.refuse(line.copied().unwrap_or_default(), row.reason);
        }
    }

    fn facts(&self) -> Vec<(&'static str, Cell)> {
        let imported = if self.dry_run { "would import" } else { "imported" };
        vec![
            (imported, Cell::new(self.imported)),
            ("already there", Cell::new(self.already_there)),
            ("refused", Cell::new(self.refused)),
            ("import id", text(&self.import_id)),
        ]
    }
}

/// A bar where people read.
fn progress(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
