//! `tokenward audit verify`: reads a store file from end to end and names the first thing that is wrong.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::super::failure::{Failure, Outcome};
use super::super::output::{self, Output, bad, good, text};
use super::proof::{Proof, ProofArgs};
use super::rows::{self, Replays};
use super::{Caller, database, exported, live};
use crate::journal::audit::{Chain, Finding};
use crate::journal::link::Link;
use crate::journal::{Entry, Revision};
use crate::store::postgres::NotPostgresUrl;
use crate::store::sqlite::Snapshot;
use crate::store::{Head, StoreError};

#[derive(clap::Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The store file, which a server may have open, or the URL of a Postgres database, of which the rows of tokens are
    /// not compared; without it, the journal is read through the server, which
    /// shows what is linked, and not whether the rows of tokens agree
    #[arg(long, value_name = "PATH")]
    pub(super) database: Option<PathBuf>,
    /// A file that `audit export` wrote, which shows what is linked and that nothing is missing up to its end
    #[arg(long, value_name = "FILE", conflicts_with = "database")]
    pub(super) export: Option<PathBuf>,
    #[command(flatten)]
    pub(super) proof: ProofArgs,
    /// A head that was noted before, as REVISION:LINK: without one, a journal that was rewritten as a
    /// whole cannot be told from one that was not
    #[arg(long, value_name = "REVISION:LINK")]
    pub(super) anchor: Option<Anchor>,
    /// The oldest entries were trimmed on purpose: begin with the oldest one there is
    #[arg(long)]
    pub(super) trimmed: bool,
}

/// What the journal said earlier: the link of one revision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Anchor {
    pub(super) revision: Revision,
    link: Link,
}

impl FromStr for Anchor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Anchor, &'static str> {
        let wanted = "must be REVISION:LINK as `audit head` shows them, the link in 64 hexadecimal digits";
        let (revision, link) = text.split_once(':').ok_or(wanted)?;
        let revision = revision.parse().map_err(|_| wanted)?;
        let link = HEXLOWER_PERMISSIVE.decode(link.as_bytes()).map_err(|_| wanted)?;
        Ok(Anchor {
            revision: Revision::new(revision),
            link: Link::from_bytes(&link).map_err(|_| wanted)?,
        })
    }
}

/// What was found.
#[derive(Serialize, Debug)]
pub(super) struct Report {
    pub(super) intact: bool,
    pub(super) finding: Option<String>,
    pub(super) epoch: String,
    pub(super) oldest_revision: u64,
    pub(super) revision: u64,
    pub(super) link: String,
    pub(super) entries: u64,
    /// The revision of the last checkpoint that it agrees with.
    pub(super) checkpoint: Option<u64>,
    /// Subjects whose rows were compared with their entries.
    pub(super) subjects: u64,
    /// Endpoints of webhooks whose rows were.
    pub(super) endpoints: u64,
    pub(super) tokens: u64,
    /// Tokens whose first entries were trimmed, so that nothing can be said of their rows.
    pub(super) tokens_not_rebuilt: u64,
}

/// Why an audit ends before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error(transparent)]
    Found(#[from] Finding),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) async fn run(args: VerifyArgs, caller: &Caller) -> Outcome {
    let report = match (&args.database, &args.export) {
        (Some(database), _) => match database.to_string_lossy().parse() {
            Ok(options) => database::report(&options, &args).await?,
            Err(NotPostgresUrl) => of_file(database, &args).await?,
        },
        (None, Some(export)) => exported::report(export, &args)?,
        (None, None) => live::report(&args, caller).await?,
    };
    report.print(caller.output)?;
    match &report.finding {
        None => Ok(ExitCode::SUCCESS),
        Some(finding) => {
            output::note(&format!(
                "tokenward: {finding}; keep the store as it is, and find out who wrote to it"
            ))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn of_file(database: &Path, args: &VerifyArgs) -> Result<Report, Failure> {
    let unread = |error: StoreError| {
        let cause = match &error {
            StoreError::Unavailable(source) => source.to_string(),
            StoreError::Corrupt { .. } | StoreError::Forked { .. } => error.to_string(),
        };
        Failure::new(format_args!("{} cannot be read: {cause}", database.display()))
            .but("name the file of a store with --database")
    };
    let mut snapshot = Snapshot::open(database).await.map_err(Failure::new)?;
    let mut head = snapshot.head().await.map_err(unread)?;
    if !args.trimmed {
        // The file cannot tell who took away its beginning.
        head.oldest = Revision::new(1);
    }
    let mut report = Report::of(&head);
    let mut proof = args.proof.read()?;
    let found = audit(&mut snapshot, &head, (args.anchor, &mut proof), &mut report).await;
    report.agreed_with(&proof);
    match found {
        Ok(()) => report.intact = true,
        Err(Stop::Found(finding)) => report.finding = Some(finding.to_string()),
        Err(Stop::Store(error)) => return Err(unread(error)),
    }
    Ok(report)
}

async fn audit(
    snapshot: &mut Snapshot,
    head: &Head,
    noted: (Option<Anchor>, &mut Proof),
    report: &mut Report,
) -> Result<(), Stop> {
    let replays = walk(snapshot, head, noted, report).await?;
    rows::compare(snapshot, &replays, head.oldest, report).await
}

/// Follows the links from the oldest entry to the head.
async fn walk(
    snapshot: &mut Snapshot,
    head: &Head,
    (anchor, proof): (Option<Anchor>, &mut Proof),
    report: &mut Report,
) -> Result<Replays, Stop> {
    let progress = progress("entries", head.revision.get());
    progress.set_position(head.oldest.get().saturating_sub(1));
    let mut chain = Chain::from(head.oldest);
    let mut replays = Replays::default();
    let mut after = Revision::ZERO;
    let mut anchored = anchor.is_none();
    loop {
        let rows = snapshot.rows(after).await?;
        let Some(last) = rows.last() else { break };
        after = last.revision;
        for row in &rows {
            let entry = chain.follow(row)?;
            anchored |= holds(anchor, &entry)?;
            proof.take(&entry)?;
            replays.apply(&entry);
            report.entries += 1;
        }
        progress.set_position(after.get());
    }
    chain.ends_at(head.revision, head.link)?;
    proof.end(head.revision)?;
    progress.finish_and_clear();
    match anchor {
        Some(Anchor { revision, .. }) if !anchored => Err(Finding::AnchorAway {
            revision,
            oldest: head.oldest,
            newest: head.revision,
        }
        .into()),
        _ => Ok(replays),
    }
}

/// Whether `entry` is the one that was noted; an error if it is, but with another link.
pub(super) fn holds(anchor: Option<Anchor>, entry: &Entry) -> Result<bool, Finding> {
    match anchor {
        Some(Anchor { revision, link }) if revision == entry.revision => {
            if link == entry.link {
                return Ok(true);
            }
            Err(Finding::Anchor {
                revision,
                expected: link,
                found: entry.link,
            })
        }
        _ => Ok(false),
    }
}

impl Report {
    pub(super) fn of(head: &Head) -> Report {
        Report {
            intact: false,
            finding: None,
            epoch: head.epoch.to_string(),
            oldest_revision: head.oldest.get(),
            revision: head.revision.get(),
            link: head.link.to_string(),
            entries: 0,
            checkpoint: None,
            subjects: 0,
            endpoints: 0,
            tokens: 0,
            tokens_not_rebuilt: 0,
        }
    }

    pub(super) fn found(&mut self, found: Result<(), Finding>) {
        match found {
            Ok(()) => self.intact = true,
            Err(finding) => self.finding = Some(finding.to_string()),
        }
    }

    pub(super) fn agreed_with(&mut self, proof: &Proof) {
        self.checkpoint = proof.agreed.as_ref().map(|checkpoint| checkpoint.revision.get());
    }

    fn print(&self, output: Output) -> std::io::Result<()> {
        output.print(self, || {
            let mut facts = match &self.finding {
                None => vec![("journal", good("intact"))],
                Some(finding) => vec![("journal", bad("tampered with")), ("first", text(finding))],
            };
            facts.push(("epoch", text(&self.epoch)));
            facts.push(("head", text(&format!("{}:{}", self.revision, self.link))));
            if self.oldest_revision > 1 {
                facts.push((
                    "trimmed",
                    text(&format!("up to revision {}", self.oldest_revision - 1)),
                ));
            }
            if let Some(revision) = self.checkpoint {
                let told = format!("agrees with the one signed at revision {revision}");
                facts.push(("checkpoint", text(&told)));
            }
            facts.push(("entries", text(&format!("{} read", self.entries))));
            if self.subjects > 0 {
                facts.push(("subjects", text(&format!("{} compared", self.subjects))));
            }
            if self.endpoints > 0 {
                facts.push(("endpoints", text(&format!("{} compared", self.endpoints))));
            }
            facts.push(("tokens", text(&format!("{} compared", self.tokens))));
            if self.tokens_not_rebuilt > 0 {
                let told = format!("{}: their first entries are trimmed", self.tokens_not_rebuilt);
                facts.push(("not compared", text(&told)));
            }
            output::facts(facts)
        })
    }
}

/// Shown on stderr, and only if that is a terminal.
pub(super) fn progress(what: &'static str, of: u64) -> ProgressBar {
    let template = match of {
        0 => "{spinner} {pos} {msg}",
        _ => "{bar:40} {pos}/{len} {msg}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = if of == 0 {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::new(of)
    };
    bar.with_style(style).with_message(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_taken_as_heads_are_shown() {
        let shown = format!("17:{}", Link::START.then(b"x"));
        let anchor = Anchor {
            revision: Revision::new(17),
            link: Link::START.then(b"x"),
        };
        assert_eq!(shown.parse(), Ok(anchor));
        assert_eq!(shown.to_uppercase().parse(), Ok(anchor));
        for text in [
            "",
            "17",
            "17:",
            "17:ab",
            &shown[1..shown.len() - 1],
            &format!("x{shown}"),
        ] {
            assert!(text.parse::<Anchor>().is_err(), "{text:?}");
        }
    }
}
