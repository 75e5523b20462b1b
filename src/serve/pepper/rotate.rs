//! Changing peppers: a new one is added, becomes the current one, and at last the one before it goes.

use std::path::{Path, PathBuf};

use super::PepperError;
use super::file::{Key, PepperFile};
use crate::clock::Entropy;
use crate::token::secret::{PepperId, Peppers};

/// The keys of a file after it was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rotated {
    pub current: PepperId,
    /// The one that is accepted besides.
    pub other: PepperId,
}

/// A file with a previous key, which may go.
#[expect(missing_debug_implementations, reason = "it holds keys")]
pub struct Retiring {
    path: PathBuf,
    file: PepperFile,
    previous: PepperId,
}

/// Makes a new key the current one of the file at `path`, or the one that was prepared; with `prepare` a new key is
/// accepted from now on, and becomes the current one with the next call.
pub fn rotate(path: &Path, prepare: bool, entropy: &dyn Entropy) -> Result<Rotated, PepperError> {
    let (
        path,
        PepperFile {
            current,
            other,
            tag_key,
        },
    ) = read(path)?;
    let (current, other) = match other {
        Some(other) if other.id < current.id => return Err(PepperError::TwoAlready { path, id: other.id.0 }),
        Some(prepared) if prepare => {
            return Err(PepperError::PreparedAlready {
                path,
                id: prepared.id.0,
            });
        }
        Some(prepared) => (prepared, current),
        None => {
            let id = current.id.0.checked_add(1);
            let id = id.ok_or_else(|| PepperError::IdsUsedUp { path: path.clone() })?;
            let fresh = Key::fresh(PepperId(id), entropy);
            if prepare {
                (current, fresh)
            } else {
                (fresh, current)
            }
        }
    };
    let rotated = Rotated {
        current: current.id,
        other: other.id,
    };
    let file = PepperFile {
        current,
        other: Some(other),
        tag_key,
    };
    file.replace(&path)?;
    Ok(rotated)
}

impl Retiring {
    pub fn of(path: &Path) -> Result<Retiring, PepperError> {
        let (path, file) = read(path)?;
        match &file.other {
            Some(other) if other.id < file.current.id => Ok(Retiring {
                previous: other.id,
                path,
                file,
            }),
            Some(_) | None => Err(PepperError::NoPrevious { path }),
        }
    }

    pub fn previous(&self) -> PepperId {
        self.previous
    }

    pub fn peppers(&self) -> Peppers {
        self.file.peppers()
    }

    /// Drops the previous key.
    pub fn retire(self) -> Result<(), PepperError> {
        let file = PepperFile {
            other: None,
            ..self.file
        };
        file.replace(&self.path)
    }
}

fn read(path: &Path) -> Result<(PathBuf, PepperFile), PepperError> {
    let path = path.to_owned();
    match PepperFile::read(&path)? {
        Some(file) => Ok((path, file)),
        None => Err(PepperError::Absent { path }),
    }
}
