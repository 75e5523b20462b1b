//! The file that keeps the key of checkpoints: outside the database, for the owner's eyes only.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::private_file::{self, PrivateFileError};
use crate::clock::Entropy;
use crate::journal::checkpoint::{KeyName, NotKey, SigningKey};

/// One line: the key as the signed-note tools of Go write it.
const FILE_BYTES_MAX: u64 = 2048;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointKeyError {
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("{path} does not exist: `tokenward audit keygen {path}` makes a key")]
    Absent { path: PathBuf },
    #[error("{path} is not a file with a key of checkpoints: {source}")]
    Malformed { path: PathBuf, source: NotKey },
}

/// Makes a key in a new file that only its owner can read. Without a name it gets one that tells it from all others.
pub fn create(
    path: &Path,
    name: Option<KeyName>,
    entropy: &dyn Entropy,
) -> Result<SigningKey, CheckpointKeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    entropy.fill(seed.as_mut_slice());
    let key = SigningKey::new(name, &seed).map_err(|source| malformed(path, source))?;
    private_file::create(path, &Zeroizing::new(format!("{}\n", *key.to_text())))?;
    tracing::info!(path = %path.display(), key = %key.verifying(), "made a key that signs checkpoints of the journal");
    Ok(key)
}

/// The key in the file at `path`.
pub fn load(path: &Path) -> Result<SigningKey, CheckpointKeyError> {
    match private_file::read(path, FILE_BYTES_MAX)? {
        Some(text) => SigningKey::parse(text.trim_end()).map_err(|source| malformed(path, source)),
        None => Err(CheckpointKeyError::Absent {
            path: path.to_owned(),
        }),
    }
}

/// The key in the file at `path`; if there is none, one is made. Whoever keeps the checkpoints of a key that was lost
/// notices, for the new one has another name.
pub(super) fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<SigningKey, CheckpointKeyError> {
    match load(path) {
        Err(CheckpointKeyError::Absent { .. }) => create(path, None, entropy),
        loaded => loaded,
    }
}

fn malformed(path: &Path, source: NotKey) -> CheckpointKeyError {
    let path = path.to_owned();
    CheckpointKeyError::Malformed { path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::clock::SystemEntropy;

    #[test]
    fn a_key_is_made_once_and_refused_where_others_can_read_it() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("key");
        assert!(matches!(load(&path), Err(CheckpointKeyError::Absent { .. })));
        let made = load_or_create(&path, &SystemEntropy)?.verifying();
        assert_eq!(load_or_create(&path, &SystemEntropy)?.verifying(), made);
        assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert!(matches!(
            create(&path, None, &SystemEntropy),
            Err(CheckpointKeyError::File(PrivateFileError::Exists { .. }))
        ));
        for mode in [0o640, 0o604] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
            assert!(matches!(
                load(&path),
                Err(CheckpointKeyError::File(PrivateFileError::Exposed { .. }))
            ));
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
        std::fs::write(&path, "garbage")?;
        assert!(matches!(load(&path), Err(CheckpointKeyError::Malformed { .. })));
        Ok(())
    }
}
