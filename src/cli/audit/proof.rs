//! `--checkpoint` and `--key`: whether a journal is what was signed before.

use std::path::{Path, PathBuf};

use super::super::failure::Failure;
use crate::journal::audit::Finding;
use crate::journal::checkpoint::{Checkpoint, NOTE_BYTES_MAX, VerifyingKey};
use crate::journal::tree::Range;
use crate::journal::{Entry, Revision};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ProofArgs {
    /// A file with a checkpoint that was kept: without one, or a head, a journal that was rewritten as a whole cannot
    /// be told from one that was not. More than one may be named
    #[arg(long, value_name = "FILE", requires = "key")]
    checkpoint: Vec<PathBuf>,
    /// The key that checkpoints are signed with, as NAME+HASH+KEY: `audit keygen` shows it, and so does `audit
    /// checkpoint`. Keep it with them
    #[arg(long, value_name = "KEY")]
    key: Option<VerifyingKey>,
}

/// Checkpoints that a journal has to agree with, and the tree over what was read of it.
#[derive(Debug)]
pub(super) struct Proof {
    expected: Vec<Checkpoint>,
    tree: Range,
    /// What it agreed with so far, the last one.
    pub(super) agreed: Option<Checkpoint>,
}

impl ProofArgs {
    /// The checkpoints in the files, each with the signature of the key.
    pub(super) fn read(&self) -> Result<Proof, Failure> {
        let mut expected = Vec::new();
        if let Some(key) = &self.key {
            for path in &self.checkpoint {
                expected.push(open(path, key)?);
            }
        }
        expected.sort_by_key(|checkpoint| checkpoint.revision);
        Ok(Proof {
            expected,
            tree: Range::default(),
            agreed: None,
        })
    }
}

fn open(path: &Path, key: &VerifyingKey) -> Result<Checkpoint, Failure> {
    let unread = |why: &dyn std::fmt::Display| {
        Failure::new(format_args!(
            "{} is not taken for a checkpoint: {why}",
            path.display()
        ))
    };
    let length = std::fs::metadata(path).map_err(|error| unread(&error))?.len();
    if length > NOTE_BYTES_MAX as u64 {
        return Err(unread(&"it is too long"));
    }
    let note = std::fs::read_to_string(path).map_err(|error| unread(&error))?;
    key.open(&note).map_err(|error| unread(&error))
}

impl Proof {
    /// Takes the next entry in; an error if the journal up to it is not what was signed.
    pub(super) fn take(&mut self, entry: &Entry) -> Result<(), Finding> {
        if self.expected.is_empty() {
            return Ok(());
        }
        if entry.revision.get() != self.tree.size() + 1 {
            return Err(Finding::CheckpointTrimmed {
                revision: self.expected[0].revision,
                oldest: entry.revision,
            });
        }
        self.tree.append(&entry.body);
        self.compare(entry.revision)
    }

    /// Whether every checkpoint was compared, in a journal that ends here.
    pub(super) fn end(&mut self, newest: Revision) -> Result<(), Finding> {
        self.compare(Revision::ZERO)?;
        match self.expected.last() {
            Some(checkpoint) if checkpoint.revision > newest => Err(Finding::CheckpointAway {
                revision: checkpoint.revision,
                newest,
            }),
            _ => Ok(()),
        }
    }

    fn compare(&mut self, at: Revision) -> Result<(), Finding> {
        for checkpoint in self
            .expected
            .iter()
            .filter(|checkpoint| checkpoint.revision == at)
        {
            let root = if at == Revision::ZERO {
                Range::default().root()
            } else {
                self.tree.root()
            };
            if checkpoint.root != root {
                return Err(Finding::Checkpoint { revision: at });
            }
            if at > Revision::ZERO || self.agreed.is_none() {
                self.agreed = Some(checkpoint.clone());
            }
        }
        Ok(())
    }
}
