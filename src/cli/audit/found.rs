//! What an audit has found.

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::super::output::{self, Output, bad, good, text};
use super::kept::Kept;
use crate::journal::Revision;
use crate::journal::audit::Finding;
use crate::journal::link::Link;
use crate::store::{Head, StoreError};

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

impl Report {
    pub(super) fn of(head: &Head) -> Report {
        let end = (head.revision, head.link);
        Report::begun(head.epoch.to_string(), head.oldest, end)
    }

    /// Nothing found as yet.
    pub(super) fn begun(epoch: String, oldest: Revision, (revision, link): (Revision, Link)) -> Report {
        Report {
            intact: false,
            finding: None,
            epoch,
            oldest_revision: oldest.get(),
            revision: revision.get(),
            link: link.to_string(),
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

    pub(super) fn agreed_with(&mut self, kept: &Kept) {
        self.checkpoint = kept.agreed().map(Revision::get);
    }

    pub(super) fn print(&self, output: Output) -> std::io::Result<()> {
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
