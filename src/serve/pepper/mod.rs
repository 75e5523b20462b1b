//! The file that keeps the peppers: outside the database, for the owner's eyes only.

mod file;
mod rotate;

use std::path::{Path, PathBuf};

use super::private_file::PrivateFileError;
use crate::clock::Entropy;
use crate::store::peppers::OtherPepper;
use crate::token::secret::Peppers;
use file::PepperFile;
pub use rotate::{Retiring, Rotated, rotate};

/// Why there is no pepper to work with.
#[derive(Debug, thiserror::Error)]
pub enum PepperError {
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error(
        "{path} is missing, and without it every token in the store is unknown: put it back, or name it with --pepper-file"
    )]
    Missing { path: PathBuf },
    #[error(
        "a store that several servers share needs --pepper-file, the same for all: `tokenward pepper create PATH` makes the first"
    )]
    Unnamed,
    #[error(
        "{path} does not exist: copy the pepper of the other servers there, or make the first with `tokenward pepper create {path}`"
    )]
    Absent { path: PathBuf },
    #[error(
        "{path} exists already, and the tokens made with a pepper are unknown without it: name another file"
    )]
    Exists { path: PathBuf },
    #[error(
        "{path} is not a pepper file: one or two lines of an id from 1, a space and 64 hexadecimal characters, then a line `tag` and 64 more, which may be missing where there is one id"
    )]
    Malformed { path: PathBuf },
    #[error(
        "{path} is not the pepper file of the store: {source}: give this server the file that the others have"
    )]
    Other { path: PathBuf, source: OtherPepper },
    #[error("{path} has two keys already: `tokenward pepper retire` the previous one, key {id}, first")]
    TwoAlready { path: PathBuf, id: u16 },
    #[error(
        "{path} has key {id} prepared already: `tokenward pepper rotate {path}` makes it the current one"
    )]
    PreparedAlready { path: PathBuf, id: u16 },
    #[error("{path} has used up the ids of keys, which end at 65535")]
    IdsUsedUp { path: PathBuf },
    #[error("{path} has no previous key that could be retired")]
    NoPrevious { path: PathBuf },
}

/// Peppers that no file keeps.
pub(super) fn new(entropy: &dyn Entropy) -> Peppers {
    PepperFile::first(entropy).peppers()
}

/// The peppers in the file at `path`; if there is none and the store is fresh, a first one is put there.
pub(super) fn load_or_create(
    path: &Path,
    fresh: bool,
    entropy: &dyn Entropy,
) -> Result<Peppers, PepperError> {
    match PepperFile::read(path)? {
        Some(file) => Ok(file.peppers()),
        None if fresh => create(path, entropy),
        None => Err(PepperError::Missing {
            path: path.to_owned(),
        }),
    }
}

/// The peppers of a store that several servers share: it must be there, for one made here would not be theirs.
pub(super) fn load_shared(path: Option<&Path>) -> Result<(&Path, Peppers), PepperError> {
    let path = path.ok_or(PepperError::Unnamed)?;
    match PepperFile::read(path)? {
        Some(file) => Ok((path, file.peppers())),
        None => Err(PepperError::Absent {
            path: path.to_owned(),
        }),
    }
}

/// Whether the file at `path` is the one of the store.
pub(super) fn belongs(path: &Path, recognised: Result<(), OtherPepper>) -> Result<(), PepperError> {
    recognised.map_err(|source| PepperError::Other {
        path: path.to_owned(),
        source,
    })
}

/// Makes a pepper in a new file that only its owner can read.
pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Peppers, PepperError> {
    let made = PepperFile::first(entropy);
    made.write_new(path)?;
    tracing::info!(path = %path.display(), "made a pepper; back it up apart from the store");
    Ok(made.peppers())
}

#[cfg(test)]
mod tests;
