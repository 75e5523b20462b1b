//! `tokenward audit export`: the journal as lines of JSON, each entry with its bytes and its link, to be verified
//! without the store; and how such lines are read again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};

use super::super::failure::{Failure, Outcome};
use super::super::{Caller, PAGE_SIZE, output};
use super::{live, verify};
use crate::journal::audit::{Chain, Finding};
use crate::journal::link::Link;
use crate::journal::{Entry, Revision};
use crate::proto::v1;
use crate::store::Head;
use crate::store::sqlite::Snapshot;

/// What a journal says about its tokens is nobody else's business.
const FILE_MODE: u32 = 0o600;
/// A line that is longer was not written here.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;
const VERSION: u32 = 1;

#[derive(clap::Args, Debug)]
pub(crate) struct ExportArgs {
    /// The file to write [default: stdout]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Go on where the file ends, also where it was cut off in the middle of a line
    #[arg(long, requires = "to", conflicts_with = "after")]
    resume: bool,
    /// Begin after this revision: what comes before is believed when it is verified
    #[arg(long, value_name = "REVISION")]
    after: Option<u64>,
    /// Read the store file itself, which a server may have open, and not through a server
    #[arg(long, value_name = "PATH")]
    database: Option<PathBuf>,
}

/// A line of an export.
#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// The first: which journal it is, and after which entry this begins.
    Export {
        version: u32,
        epoch: String,
        after: u64,
        link: String,
    },
    Entry {
        revision: u64,
        link: String,
        /// The bytes that are hashed, which are JSON themselves.
        body: String,
    },
    /// The last: where the journal ended when it was begun.
    End { revision: u64, link: String },
}

/// Where an export is, and what it has to go on with.
struct Begun {
    chain: Chain,
    last: Revision,
    out: Box<dyn Write>,
    is_new: bool,
    link: Link,
}

pub(super) async fn run(args: ExportArgs, caller: &Caller) -> Outcome {
    let written = match &args.database {
        Some(path) => of_file(path, &args).await?,
        None => of_server(&args, caller).await?,
    };
    if let Some(path) = &args.to {
        output::note(&format!("{written} entries to {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn of_server(args: &ExportArgs, caller: &Caller) -> Result<u64, Failure> {
    let mut client = live::client(caller).await?;
    let told = client.get_head(v1::GetHeadRequest {}).await?.into_inner();
    let head = live::head(&told, true)?;
    let first = first_after(args, &head);
    let before = match first {
        Some(after) if after > Revision::ZERO => {
            let link = live::link_of(&mut client, after).await?;
            (after, link)
        }
        _ => (Revision::ZERO, Link::START),
    };
    let mut begun = begin(args, before)?;
    let mut writing = Writing::new(&head, &mut begun)?;
    let after_revision = i64::try_from(writing.begun.last.get()).unwrap_or(i64::MAX);
    let mut page_token = String::new();
    while !writing.is_over() {
        let request = v1::ListEntriesRequest {
            page_size: PAGE_SIZE,
            page_token,
            after_revision,
            ..Default::default()
        };
        let page = client.list_entries(request).await?.into_inner();
        for entry in page.entries {
            let revision = Revision::new(u64::try_from(entry.revision).unwrap_or_default());
            writing.take(revision, entry.body, &entry.link)?;
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    writing.end()
}

async fn of_file(path: &Path, args: &ExportArgs) -> Result<u64, Failure> {
    let unread = |error: &dyn std::fmt::Display| {
        Failure::new(format_args!("{} cannot be read: {error}", path.display()))
    };
    let mut snapshot = Snapshot::open(path).await.map_err(Failure::new)?;
    let head = snapshot.head().await.map_err(|error| unread(&error))?;
    let before = match first_after(args, &head) {
        Some(after) if after > Revision::ZERO => {
            let rows = snapshot.rows(Revision::new(after.get() - 1)).await;
            let rows = rows.map_err(|error| unread(&error))?;
            let row = rows.first().filter(|row| row.revision == after);
            let row = row.ok_or_else(|| unread(&format_args!("it has no revision {after}")))?;
            (after, Link::from_bytes(&row.link).map_err(|error| unread(&error))?)
        }
        _ => (Revision::ZERO, Link::START),
    };
    let mut begun = begin(args, before)?;
    let mut after = begun.last;
    let mut writing = Writing::new(&head, &mut begun)?;
    while !writing.is_over() {
        let rows = snapshot.rows(after).await.map_err(|error| unread(&error))?;
        let Some(last) = rows.last() else { break };
        after = last.revision;
        for row in rows {
            writing.take(row.revision, row.body, &row.link)?;
        }
    }
    writing.end()
}

/// After which entry a new export begins: what was asked, or the last that was trimmed.
fn first_after(args: &ExportArgs, head: &Head) -> Option<Revision> {
    if args.resume && args.to.as_ref().is_some_and(|path| path.exists()) {
        return None;
    }
    Some(Revision::new(args.after.unwrap_or(head.oldest.get().saturating_sub(1))))
}

/// Opens what is written to: anew after an entry with this link, or where the file ends.
fn begin(args: &ExportArgs, (after, link): (Revision, Link)) -> Result<Begun, Failure> {
    let Some(path) = &args.to else {
        return Ok(Begun {
            chain: Chain::after(after, link),
            last: after,
            out: Box::new(BufWriter::new(io::stdout())),
            is_new: true,
            link,
        });
    };
    let failed = |error: io::Error| Failure::new(format_args!("{} cannot be written: {error}", path.display()));
    let exists = path.exists();
    if exists && !args.resume {
        let said = format!("{} exists already", path.display());
        return Err(Failure::new(said).but("name another file, or go on with --resume"));
    }
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(failed)?;
    let (last, link, whole) = if exists {
        end_of(&file).map_err(failed)?.ok_or_else(|| {
            Failure::new(format_args!("{} does not begin as an export does", path.display()))
        })?
    } else {
        (after, link, 0)
    };
    file.set_len(whole).map_err(failed)?;
    file.seek(SeekFrom::End(0)).map_err(failed)?;
    Ok(Begun {
        chain: Chain::after(last, link),
        last,
        out: Box::new(BufWriter::new(file)),
        is_new: !exists,
        link,
    })
}

/// The last entry of an export, its link, and how many bytes it has up to there; what comes after is not whole, or was
/// its end.
fn end_of(file: &File) -> io::Result<Option<(Revision, Link, u64)>> {
    let mut lines = BufReader::new(file);
    let mut end = None;
    let (mut text, mut bytes) = (String::new(), 0);
    loop {
        text.clear();
        let read = (&mut lines).take(LINE_BYTES_MAX).read_line(&mut text)?;
        bytes += read as u64;
        let line = text.strip_suffix('\n').and_then(|line| serde_json::from_str(line).ok());
        let at = match line {
            Some(Line::Export { after, link, .. }) if end.is_none() => (after, link),
            Some(Line::Entry { revision, link, .. }) if end.is_some() => (revision, link),
            _ => return Ok(end),
        };
        let Some(link) = parsed(&at.1) else { return Ok(end) };
        end = Some((Revision::new(at.0), link, bytes));
    }
}

/// Entries on their way into an export: each is checked against the one before.
struct Writing<'a> {
    begun: &'a mut Begun,
    head: Head,
    written: u64,
    progress: indicatif::ProgressBar,
}

impl<'a> Writing<'a> {
    fn new(head: &Head, begun: &'a mut Begun) -> Result<Writing<'a>, Failure> {
        if begun.is_new {
            let line = Line::Export {
                version: VERSION,
                epoch: head.epoch.to_string(),
                after: begun.last.get(),
                link: begun.link.to_string(),
            };
            write(&mut begun.out, &line)?;
        }
        let progress = verify::progress("entries", head.revision.get());
        progress.set_position(begun.last.get());
        Ok(Writing {
            begun,
            head: *head,
            written: 0,
            progress,
        })
    }

    fn is_over(&self) -> bool {
        self.begun.last >= self.head.revision
    }

    fn take(&mut self, revision: Revision, body: Vec<u8>, link: &[u8]) -> Result<(), Failure> {
        if revision <= self.begun.last || revision > self.head.revision {
            return Ok(());
        }
        let tampered = |finding: Finding| {
            Failure::new(finding).but("the journal does not go on as it should: run `tokenward audit verify`")
        };
        let entry = self.begun.chain.follow_body(revision, body, link).map_err(tampered)?;
        self.begun.last = revision;
        self.begun.link = entry.link;
        write(
            &mut self.begun.out,
            &Line::Entry {
                revision: revision.get(),
                link: entry.link.to_string(),
                body: String::from_utf8(entry.body).map_err(Failure::new)?,
            },
        )?;
        self.written += 1;
        self.progress.set_position(revision.get());
        Ok(())
    }

    fn end(self) -> Result<u64, Failure> {
        self.begun
            .chain
            .ends_at(self.head.revision, self.head.link)
            .map_err(Failure::new)?;
        write(
            &mut self.begun.out,
            &Line::End {
                revision: self.head.revision.get(),
                link: self.head.link.to_string(),
            },
        )?;
        self.begun.out.flush()?;
        self.progress.finish_and_clear();
        Ok(self.written)
    }
}

fn write(out: &mut impl Write, line: &Line) -> Result<(), Failure> {
    serde_json::to_writer(&mut *out, line).map_err(|error| Failure::new(io::Error::from(error)))?;
    out.write_all(b"\n")?;
    Ok(())
}

fn parsed(link: &str) -> Option<Link> {
    Link::from_bytes(&HEXLOWER_PERMISSIVE.decode(link.as_bytes()).ok()?).ok()
}

/// Reads an export, one entry at a time.
pub(super) struct Reading {
    lines: BufReader<File>,
    chain: Chain,
    number: u64,
    last: (Revision, Link),
    pub(super) epoch: String,
    /// After which entry it begins.
    pub(super) after: Revision,
}

impl Reading {
    pub(super) fn open(path: &Path) -> Result<Reading, Failure> {
        let unread = |what: &dyn std::fmt::Display| {
            Failure::new(format_args!("{} cannot be read: {what}", path.display()))
        };
        let mut lines = BufReader::new(File::open(path).map_err(|error| unread(&error))?);
        let first = line(&mut lines).map_err(|error| unread(&error))?;
        match first.as_deref().map(serde_json::from_str) {
            Some(Ok(Line::Export {
                version: VERSION,
                epoch,
                after,
                link,
            })) => {
                let link = parsed(&link).ok_or_else(|| unread(&"its first line has no link"))?;
                let after = Revision::new(after);
                let chain = if after == Revision::ZERO {
                    Chain::from(after.next())
                } else {
                    Chain::after(after, link)
                };
                Ok(Reading {
                    lines,
                    chain,
                    number: 1,
                    last: (after, link),
                    epoch,
                    after,
                })
            }
            _ => Err(unread(&"its first line is not that of an export")),
        }
    }

    /// The next entry; `None`: the export has come to its end, and has all that it says.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Finding> {
        self.number += 1;
        let wrong = |what| Finding::ExportLine {
            line: self.number,
            what,
        };
        let read = line(&mut self.lines).map_err(|_| wrong("cannot be read"))?;
        let Some(text) = read else {
            return Err(Finding::ExportCut { last: self.last.0 });
        };
        match serde_json::from_str(&text) {
            Ok(Line::Entry { revision, link, body }) => {
                let link = parsed(&link).ok_or(wrong("has no link"))?;
                let revision = Revision::new(revision);
                let entry = self.chain.follow_body(revision, body.into_bytes(), link.as_bytes())?;
                self.last = (revision, link);
                Ok(Some(entry))
            }
            Ok(Line::End { revision, link }) => {
                let link = parsed(&link).ok_or(wrong("has no link"))?;
                let head = Revision::new(revision);
                if head == self.after && self.last.0 == self.after {
                    return if link == self.last.1 { Ok(None) } else { Err(Finding::HeadLink { last: head }) };
                }
                self.chain.ends_at(head, link)?;
                match line(&mut self.lines) {
                    Ok(None) => Ok(None),
                    _ => Err(Finding::ExportLine {
                        line: self.number + 1,
                        what: "comes after the end",
                    }),
                }
            }
            Ok(Line::Export { .. }) => Err(wrong("begins another export")),
            // The last line, cut off: the others end in a newline and are whole.
            Err(_) if !text.ends_with('}') => Err(Finding::ExportCut { last: self.last.0 }),
            Err(_) => Err(wrong("is not one of an export")),
        }
    }

    /// The last entry read, and its link.
    pub(super) fn last(&self) -> (Revision, Link) {
        self.last
    }
}

fn line(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut text = String::new();
    let read = lines.take(LINE_BYTES_MAX).read_line(&mut text)?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok((read > 0).then_some(text))
}
