//! The rows of a file, one at a time, however long it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::super::failure::Failure;
use super::super::spelling;
use crate::proto::v1;
use crate::proto::v1::import_row::Digest;

/// A line has no more bytes: a row of a message neither.
const LINE_MAX: u64 = 64 * 1024;

/// A file of rows being read.
pub(super) struct Rows {
    path: PathBuf,
    bytes: u64,
    reader: Reader,
}

enum Reader {
    Jsonl {
        lines: BufReader<File>,
        line: u64,
        read: u64,
    },
    Csv {
        records: csv::Reader<File>,
        columns: Vec<String>,
    },
}

/// A row and its line, or why it cannot be sent.
type Read1 = (u64, Result<v1::ImportRow, String>);

/// A row as a file says it. What is empty was not said.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Row {
    key: String,
    name: String,
    subject: String,
    scopes: Vec<String>,
    labels: BTreeMap<String, String>,
    sha256: String,
    sha512: String,
    phc: String,
    hint: String,
    create_time: String,
    expire_time: String,
    suspend_time: String,
    suspend_reason: String,
    revoke_time: String,
    revoke_reason: String,
}

impl Rows {
    pub(super) fn open(path: &Path) -> Result<Rows, Failure> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = opened.map_err(|error| unread(path, &error))?;
        let reader = match path.extension().and_then(|extension| extension.to_str()) {
            Some("jsonl" | "ndjson") => Reader::Jsonl {
                lines: BufReader::new(file),
                line: 0,
                read: 0,
            },
            Some("csv") => {
                let mut records = csv::Reader::from_reader(file);
                let header = records.headers().map_err(|error| unread(path, &error))?;
                let columns: Vec<_> = header.iter().map(str::to_owned).collect();
                for column in &columns {
                    if Row::default().field(column).is_none() {
                        let wrong =
                            format_args!("{} has a column {column:?}, which no row has", path.display());
                        return Err(
                            Failure::usage(wrong).but("`tokenward import --help` names those there are")
                        );
                    }
                }
                Reader::Csv { records, columns }
            }
            _ => {
                let wrong = format_args!("{} is of no known kind", path.display());
                return Err(Failure::usage(wrong).but("name a .jsonl or a .csv file"));
            }
        };
        Ok(Rows {
            path: path.to_owned(),
            bytes,
            reader,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        match &self.reader {
            Reader::Jsonl { read, .. } => *read,
            Reader::Csv { records, .. } => records.position().byte(),
        }
    }

    /// The next row that there is; lines with nothing on them are none.
    pub(super) fn next(&mut self) -> Result<Option<Read1>, Failure> {
        let next = match &mut self.reader {
            Reader::Jsonl { lines, line, read } => next_line(lines, line, read),
            Reader::Csv { records, columns } => next_record(records, columns),
        };
        let next = next.map_err(|error| unread(&self.path, &error))?;
        Ok(next.map(|(line, row)| (line, row.and_then(|row| row.message(line)))))
    }
}

fn unread(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format_args!("{} cannot be read: {error}", path.display()))
}

fn next_line(
    lines: &mut BufReader<File>,
    line: &mut u64,
    read: &mut u64,
) -> io::Result<Option<(u64, Result<Row, String>)>> {
    loop {
        let mut bytes = Vec::new();
        let length = lines.by_ref().take(LINE_MAX + 1).read_until(b'\n', &mut bytes)? as u64;
        if length == 0 {
            return Ok(None);
        }
        *line += 1;
        *read += length;
        if length > LINE_MAX {
            *read += lines.skip_until(b'\n')? as u64;
            return Ok(Some((*line, Err(format!("it is longer than {LINE_MAX} bytes")))));
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        // What serde says of a value has the value in it, which may be a digest.
        let row = serde_json::from_slice(&bytes).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                format!(
                    "it has a field that no row has, or of another type (column {})",
                    error.column()
                )
            }
            _ => format!("it is not a JSON object (column {})", error.column()),
        });
        return Ok(Some((*line, row)));
    }
}

fn next_record(
    records: &mut csv::Reader<File>,
    columns: &[String],
) -> io::Result<Option<(u64, Result<Row, String>)>> {
    let mut record = csv::StringRecord::new();
    match records.read_record(&mut record) {
        Ok(false) => Ok(None),
        Ok(true) => {
            let line = record.position().map_or(0, csv::Position::line);
            let mut row = Row::default();
            for (column, value) in columns.iter().zip(&record) {
                row.set(column, value);
            }
            Ok(Some((line, Ok(row))))
        }
        Err(error) => match error.kind() {
            csv::ErrorKind::UnequalLengths {
                pos: Some(at), len, ..
            } => {
                let wanted = columns.len();
                Ok(Some((
                    at.line(),
                    Err(format!("it has {len} columns where the header has {wanted}")),
                )))
            }
            csv::ErrorKind::Utf8 { pos: Some(at), .. } => {
                Ok(Some((at.line(), Err("it is not UTF-8".to_owned()))))
            }
            _ => Err(io::Error::other(error)),
        },
    }
}

impl Row {
    /// The text of the field with this name, if rows have one that is a text.
    fn text(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "key" => &mut self.key,
            "name" => &mut self.name,
            "subject" => &mut self.subject,
            "sha256" => &mut self.sha256,
            "sha512" => &mut self.sha512,
            "phc" => &mut self.phc,
            "hint" => &mut self.hint,
            "create_time" => &mut self.create_time,
            "expire_time" => &mut self.expire_time,
            "suspend_time" => &mut self.suspend_time,
            "suspend_reason" => &mut self.suspend_reason,
            "revoke_time" => &mut self.revoke_time,
            "revoke_reason" => &mut self.revoke_reason,
            _ => return None,
        })
    }

    /// Whether rows of a .csv file may have this column.
    fn field(&mut self, column: &str) -> Option<()> {
        let is_other = column == "scopes" || column.starts_with("label.");
        (is_other || self.text(column).is_some()).then_some(())
    }

    fn set(&mut self, column: &str, value: &str) {
        if column == "scopes" {
            self.scopes = value.split_whitespace().map(str::to_owned).collect();
        } else if let Some(key) = column.strip_prefix("label.") {
            if !value.is_empty() {
                self.labels.insert(key.to_owned(), value.to_owned());
            }
        } else if let Some(text) = self.text(column) {
            value.clone_into(text);
        }
    }

    fn message(self, line: u64) -> Result<v1::ImportRow, String> {
        let given = [
            (self.sha256, Digest::Sha256 as fn(String) -> Digest),
            (self.sha512, Digest::Sha512),
            (self.phc, Digest::Phc),
        ];
        let mut digests = given.into_iter().filter(|(text, _)| !text.is_empty());
        let digest = digests.next().map(|(text, kind)| kind(text));
        if digests.next().is_some() {
            return Err("it has more than one of sha256, sha512 and phc".to_owned());
        }
        Ok(v1::ImportRow {
            key: if self.key.is_empty() {
                format!("line {line}")
            } else {
                self.key
            },
            name: self.name,
            subject: self.subject,
            scopes: self.scopes,
            labels: self.labels.into_iter().collect(),
            digest,
            hint: self.hint,
            create_time: time("create_time", &self.create_time)?,
            expire_time: time("expire_time", &self.expire_time)?,
            suspend_time: time("suspend_time", &self.suspend_time)?,
            suspend_reason: self.suspend_reason,
            revoke_time: time("revoke_time", &self.revoke_time)?,
            revoke_reason: self.revoke_reason,
        })
    }
}

fn time(field: &str, text: &str) -> Result<Option<prost_types::Timestamp>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let instant = spelling::instant(text).map_err(|error| format!("{field} {error}"))?;
    Ok(Some(spelling::to_proto_timestamp(instant)))
}

/// What the import is named after: the same rows in the same namespace are the same import.
pub(super) fn sha256(path: &Path, namespace: &str) -> Result<[u8; 32], Failure> {
    let mut made = Sha256::new().chain_update(namespace).chain_update([0]);
    let mut hash = || {
        let mut file = BufReader::new(File::open(path)?);
        loop {
            let read = file.fill_buf()?;
            if read.is_empty() {
                return Ok(());
            }
            made.update(read);
            let length = read.len();
            file.consume(length);
        }
    };
    hash().map_err(|error: io::Error| unread(path, &error))?;
    Ok(made.finalize().into())
}
