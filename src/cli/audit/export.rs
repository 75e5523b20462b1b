//! `tokenward audit export`: the journal as lines of JSON, each entry with its bytes and its link, to be verified
//! without the store.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::super::failure::{Failure, Outcome};
use super::super::{Caller, PAGE_SIZE, output};
use super::exported::{LINE_BYTES_MAX, Line, VERSION, parsed};
use super::found::progress;
use super::live;
use crate::journal::Revision;
use crate::journal::audit::{Chain, Finding};
use crate::journal::link::Link;
use crate::proto::v1;
use crate::store::Head;
use crate::store::sqlite::Snapshot;

/// What a journal says about its tokens is nobody else's business.
const FILE_MODE: u32 = 0o600;

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
            (
                after,
                Link::from_bytes(&row.link).map_err(|error| unread(&error))?,
            )
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
    Some(Revision::new(
        args.after.unwrap_or(head.oldest.get().saturating_sub(1)),
    ))
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
    let failed =
        |error: io::Error| Failure::new(format_args!("{} cannot be written: {error}", path.display()));
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
            Failure::new(format_args!(
                "{} does not begin as an export does",
                path.display()
            ))
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
        let read_line = text
            .strip_suffix('\n')
            .and_then(|line| serde_json::from_str(line).ok());
        let at = match read_line {
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
        let progress = progress("entries", head.revision.get());
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
        let entry = self
            .begun
            .chain
            .follow_body(revision, body, link)
            .map_err(tampered)?;
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
