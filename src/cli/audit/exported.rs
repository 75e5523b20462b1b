//! An export, read again: whether its entries are linked and none is missing up to its end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};

use super::super::failure::Failure;
use super::found::{Report, progress};
use super::kept::{Kept, KeptArgs};
use crate::journal::audit::{Chain, Finding};
use crate::journal::link::Link;
use crate::journal::{Entry, Revision};

/// A line that is longer was not written here.
pub(super) const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;
pub(super) const VERSION: u32 = 1;

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

/// Follows the links of an export to its end.
pub(super) fn report(path: &Path, args: &KeptArgs) -> Result<Report, Failure> {
    let mut reading = Reading::open(path)?;
    let mut kept = args.read()?;
    let mut report = Report::begun(reading.epoch.clone(), reading.after.next(), reading.last());
    let found = follow(&mut reading, &mut kept, &mut report);
    report.agreed_with(&kept);
    let (revision, link) = reading.last();
    report.revision = revision.get();
    report.link = link.to_string();
    report.found(found);
    Ok(report)
}

fn follow(reading: &mut Reading, kept: &mut Kept, report: &mut Report) -> Result<(), Finding> {
    let progress = progress("entries", 0);
    while let Some(entry) = reading.next()? {
        kept.take(&entry)?;
        report.entries += 1;
        progress.inc(1);
    }
    progress.finish_and_clear();
    let (newest, _) = reading.last();
    kept.end(reading.after.next(), newest)
}

pub(super) fn parsed(link: &str) -> Option<Link> {
    Link::from_bytes(&HEXLOWER_PERMISSIVE.decode(link.as_bytes()).ok()?).ok()
}

/// Reads an export, one entry at a time.
struct Reading {
    lines: BufReader<File>,
    chain: Chain,
    number: u64,
    last: (Revision, Link),
    epoch: String,
    /// After which entry it begins.
    after: Revision,
}

impl Reading {
    fn open(path: &Path) -> Result<Reading, Failure> {
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
    fn next(&mut self) -> Result<Option<Entry>, Finding> {
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
                let entry = self
                    .chain
                    .follow_body(revision, body.into_bytes(), link.as_bytes())?;
                self.last = (revision, link);
                Ok(Some(entry))
            }
            Ok(Line::End { revision, link }) => {
                let link = parsed(&link).ok_or(wrong("has no link"))?;
                let head = Revision::new(revision);
                if head == self.after && self.last.0 == self.after {
                    return if link == self.last.1 {
                        Ok(None)
                    } else {
                        Err(Finding::HeadLink { last: head })
                    };
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
    fn last(&self) -> (Revision, Link) {
        self.last
    }
}

fn line(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut text = String::new();
    let read = Read::take(&mut *lines, LINE_BYTES_MAX).read_line(&mut text)?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok((read > 0).then_some(text))
}
