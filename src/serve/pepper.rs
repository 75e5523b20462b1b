//! The file that keeps the pepper: outside the database, for the owner's eyes only.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::token::secret::{Pepper, PepperId};

/// A file has one line: the pepper's id, a space, and its key as hexadecimal characters.
const FILE_BYTES_MAX: u64 = 128;

/// Why there is no pepper to work with.
#[derive(Debug, thiserror::Error)]
pub enum PepperError {
    #[error("{path} cannot be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} cannot be written: {source}")]
    Write { path: PathBuf, source: std::io::Error },
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
    #[error("{path} can be read by others (mode {mode:o}): chmod 600 it")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{path} is not a pepper file: one line, an id, a space and 64 hexadecimal characters")]
    Malformed { path: PathBuf },
}

/// Where the pepper of the embedded store at `store` is kept unless told otherwise.
pub(super) fn beside(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".pepper");
    PathBuf::from(name)
}

/// A pepper that no file keeps.
pub(super) fn new(entropy: &dyn Entropy) -> Pepper {
    Pepper::new(PepperId(1), &fresh_key(entropy))
}

/// The pepper in the file at `path`; if there is none and the store is fresh, a new one is put there.
pub(super) fn load_or_create(path: &Path, fresh: bool, entropy: &dyn Entropy) -> Result<Pepper, PepperError> {
    match File::open(path) {
        Ok(file) => load(path, file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && fresh => create(path, entropy),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(PepperError::Missing {
            path: path.to_owned(),
        }),
        Err(source) => Err(PepperError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The pepper of a store that several servers share: it must be there, for one made here would not be theirs.
pub(super) fn load_shared(path: Option<&Path>) -> Result<Pepper, PepperError> {
    let path = path.ok_or(PepperError::Unnamed)?;
    match File::open(path) {
        Ok(file) => load(path, file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(PepperError::Absent {
            path: path.to_owned(),
        }),
        Err(source) => Err(PepperError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn load(path: &Path, file: File) -> Result<Pepper, PepperError> {
    let unreadable = |source| PepperError::Read {
        path: path.to_owned(),
        source,
    };
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PepperError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    parse(&text).ok_or_else(|| PepperError::Malformed {
        path: path.to_owned(),
    })
}

fn parse(text: &str) -> Option<Pepper> {
    let (id, key) = text.trim_end().split_once(' ')?;
    let key = Zeroizing::new(HEXLOWER.decode(key.as_bytes()).ok()?);
    let key: &[u8; Pepper::KEY_BYTES] = key.as_slice().try_into().ok()?;
    Some(Pepper::new(PepperId(id.parse().ok()?), key))
}

/// Makes a pepper in a new file that only its owner can read.
pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Pepper, PepperError> {
    let unwritable = |source| PepperError::Write {
        path: path.to_owned(),
        source,
    };
    let key = fresh_key(entropy);
    let text = Zeroizing::new(format!("1 {}\n", &*Zeroizing::new(HEXLOWER.encode(&*key))));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => PepperError::Exists {
                path: path.to_owned(),
            },
            _ => unwritable(source),
        })?;
    // On disk before the first token that needs it.
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(unwritable)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(unwritable)?;
    }
    tracing::info!(path = %path.display(), "made a pepper; back it up apart from the store");
    Ok(Pepper::new(PepperId(1), &key))
}

fn fresh_key(entropy: &dyn Entropy) -> Zeroizing<[u8; Pepper::KEY_BYTES]> {
    let mut key = Zeroizing::new([0; Pepper::KEY_BYTES]);
    entropy.fill(key.as_mut_slice());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;
    use crate::token::secret::Secret;

    #[test]
    fn a_pepper_is_made_once_and_kept() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("pepper");
        let secret = Secret::new("kn_secret".to_owned());
        let made = load_or_create(&path, true, &SystemEntropy)?.digest(&secret);
        assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert_eq!(
            load_or_create(&path, false, &SystemEntropy)?.digest(&secret),
            made
        );
        Ok(())
    }

    #[test]
    fn a_store_in_use_gets_no_new_pepper() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("pepper");
        assert!(matches!(
            load_or_create(&path, false, &SystemEntropy),
            Err(PepperError::Missing { .. })
        ));
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn a_shared_store_makes_no_pepper_of_its_own() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("pepper");
        assert!(matches!(load_shared(None), Err(PepperError::Unnamed)));
        let absent = load_shared(Some(&path)).err().ok_or("it was loaded")?;
        assert!(
            absent
                .to_string()
                .contains(&format!("tokenward pepper create {}", path.display()))
        );
        assert!(!path.exists());
        let secret = Secret::new("kn_secret".to_owned());
        let made = create(&path, &SystemEntropy)?.digest(&secret);
        assert!(matches!(
            create(&path, &SystemEntropy),
            Err(PepperError::Exists { .. })
        ));
        assert_eq!(load_shared(Some(&path))?.digest(&secret), made);
        Ok(())
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_garbage_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("pepper");
        load_or_create(&path, true, &SystemEntropy)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640))?;
        let exposed = load_or_create(&path, false, &SystemEntropy);
        assert!(matches!(exposed, Err(PepperError::Exposed { mode: 0o640, .. })));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
        for garbage in ["", "1", "1 abcd", "x ", &format!("1 {}", "G".repeat(64))] {
            std::fs::write(&path, garbage)?;
            let malformed = load_or_create(&path, true, &SystemEntropy);
            assert!(
                matches!(malformed, Err(PepperError::Malformed { .. })),
                "{garbage:?}"
            );
        }
        Ok(())
    }
}
