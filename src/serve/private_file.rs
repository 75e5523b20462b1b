//! Files that hold a secret: for their owner's eyes only, and on disk before anything depends on them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Why a file with a secret was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    #[error("{path} cannot be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} cannot be written: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} exists already: name another file, or remove it")]
    Exists { path: PathBuf },
    #[error("{path} has more than {bytes_max} bytes, so it is not what it should be")]
    TooLong { path: PathBuf, bytes_max: u64 },
    #[error("{path} can be read by others (mode {mode:o}): chmod 600 it")]
    Exposed { path: PathBuf, mode: u32 },
}

/// Where a file of the embedded store at `store` is kept unless told otherwise.
pub(super) fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// What is in the file, which has at most `bytes_max` bytes; `None`: there is no such file.
pub fn read(path: &Path, bytes_max: u64) -> Result<Option<Zeroizing<String>>, PrivateFileError> {
    let unreadable = |source| PrivateFileError::Read {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(unreadable)?,
    };
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    // Room for all there may be, so that no copy is left behind where it grew.
    let mut text = Zeroizing::new(String::with_capacity(bytes_max as usize + 1));
    file.take(bytes_max + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > bytes_max {
        let path = path.to_owned();
        return Err(PrivateFileError::TooLong { path, bytes_max });
    }
    Ok(Some(text))
}

/// Writes `text` to a new file: whole, or not at all.
pub fn create(path: &Path, text: &str) -> Result<(), PrivateFileError> {
    let written = || {
        temporary(path, text)?
            .persist_noclobber(path)
            .map_err(|failed| failed.error)?;
        sync_folder(path)
    };
    written().map_err(|source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => PrivateFileError::Exists {
            path: path.to_owned(),
        },
        _ => PrivateFileError::Write {
            path: path.to_owned(),
            source,
        },
    })
}

/// Writes `text` to the file, in place of what may be there and for its owner: whole, or not at all. Of a link
/// it is the file it leads to.
pub fn replace(path: &Path, text: &str) -> Result<(), PrivateFileError> {
    let written = || {
        let before = match path.canonicalize() {
            Ok(path) => Some((fs::metadata(&path)?, path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let place = before.as_ref().map_or(path, |(_, path)| path);
        let file = temporary(place, text)?;
        if let Some((before, _)) = &before {
            let now = file.as_file().metadata()?;
            if (before.uid(), before.gid()) != (now.uid(), now.gid()) {
                fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
            }
        }
        file.persist(place).map_err(|failed| failed.error)?;
        sync_folder(place)
    };
    written().map_err(|source| PrivateFileError::Write {
        path: path.to_owned(),
        source,
    })
}

/// A file with this text beside `path`, on disk; it is its owner's alone from the start.
fn temporary(path: &Path, text: &str) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new_in(folder(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// The folder of `path`.
fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

/// A file is there after a power cut only if its folder says so.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn a_file_is_made_for_its_owner_alone_and_never_overwritten() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("secret");
        assert!(read(&path, 100)?.is_none());
        create(&path, "text\n")?;
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path, 100)?.as_deref().map(String::as_str), Some("text\n"));
        assert!(read(&path, 5).is_ok());
        assert!(matches!(
            read(&path, 4),
            Err(PrivateFileError::TooLong { bytes_max: 4, .. })
        ));
        assert!(matches!(
            create(&path, "other"),
            Err(PrivateFileError::Exists { .. })
        ));
        assert_eq!(read(&path, 100)?.as_deref().map(String::as_str), Some("text\n"));
        Ok(())
    }

    #[test]
    fn a_file_that_is_replaced_stays_its_owners() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("secret");
        for text in ["one", "two"] {
            replace(&path, text)?;
            assert_eq!(read(&path, 100)?.as_deref().map(String::as_str), Some(text));
        }
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("secret");
        create(&path, "text")?;
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
            assert!(matches!(read(&path, 100), Err(PrivateFileError::Exposed { mode: m, .. }) if m == mode));
        }
        Ok(())
    }
}
