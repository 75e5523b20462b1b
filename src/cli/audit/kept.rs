//! What was kept of a journal elsewhere, to hold it against: a head that was noted, or a checkpoint.

use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::super::failure::Failure;
use super::proof::{Proof, ProofArgs};
use crate::journal::audit::Finding;
use crate::journal::link::Link;
use crate::journal::{Entry, Revision};

#[derive(clap::Args, Debug)]
pub(super) struct KeptArgs {
    #[command(flatten)]
    proof: ProofArgs,
    /// A head that was noted before, as REVISION:LINK: without one, a journal that was rewritten as a
    /// whole cannot be told from one that was not
    #[arg(long, value_name = "REVISION:LINK")]
    anchor: Option<Anchor>,
    /// The oldest entries were trimmed on purpose: begin with the oldest one there is
    #[arg(long)]
    pub(super) trimmed: bool,
}

/// What the journal said earlier: the link of one revision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Anchor {
    revision: Revision,
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

/// Held against each entry of a journal, from the oldest on.
#[derive(Debug)]
pub(super) struct Kept {
    proof: Proof,
    anchor: Option<Anchor>,
    is_anchored: bool,
}

impl KeptArgs {
    /// A checkpoint, if one was named.
    pub(super) fn of(proof: ProofArgs) -> KeptArgs {
        KeptArgs {
            proof,
            anchor: None,
            trimmed: false,
        }
    }

    pub(super) fn read(&self) -> Result<Kept, Failure> {
        Ok(Kept {
            proof: self.proof.read()?,
            anchor: self.anchor,
            is_anchored: self.anchor.is_none(),
        })
    }
}

impl Kept {
    /// Whether the journal is what was kept of it, as far as this entry shows.
    pub(super) fn take(&mut self, entry: &Entry) -> Result<(), Finding> {
        if let Some(Anchor { revision, link }) = self.anchor
            && revision == entry.revision
        {
            if link != entry.link {
                return Err(Finding::Anchor {
                    revision,
                    expected: link,
                    found: entry.link,
                });
            }
            self.is_anchored = true;
        }
        self.proof.take(entry)
    }

    /// Whether all that was kept could be held against a journal that has these entries.
    pub(super) fn end(&mut self, oldest: Revision, newest: Revision) -> Result<(), Finding> {
        self.proof.end(newest)?;
        match self.anchor {
            Some(Anchor { revision, .. }) if !self.is_anchored => Err(Finding::AnchorAway {
                revision,
                oldest,
                newest,
            }),
            _ => Ok(()),
        }
    }

    /// The revision of the last checkpoint that the journal agrees with.
    pub(super) fn agreed(&self) -> Option<Revision> {
        self.proof.agreed.as_ref().map(|checkpoint| checkpoint.revision)
    }
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
