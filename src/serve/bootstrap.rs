//! The first credential, and the file it is handed over in.

use std::path::{Path, PathBuf};

use super::private_file::{self, PrivateFileError};
use crate::authority::{Authority, BootstrapError};
use crate::token::Token;
use crate::token::format::SECRET_BYTES_MAX;
use crate::token::secret::Secret;

/// Why there is no admin to begin with.
#[derive(Debug, thiserror::Error)]
pub enum FirstAdminError {
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error(
        "{path} is there, and holds no credential made with the pepper of this store: remove it, or name another file"
    )]
    NotCredential { path: PathBuf },
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

/// Makes the first admin with the secret in the file, which is written first: whoever is interrupted between
/// the two finds it there and goes on. `force` makes a further admin; its file must be a new one.
pub(super) async fn bootstrap(
    authority: &Authority,
    path: &Path,
    force: bool,
) -> Result<Token, FirstAdminError> {
    let secret = match kept(path)? {
        Some(secret) if !force => secret,
        Some(_) => {
            let path = path.to_owned();
            return Err(PrivateFileError::Exists { path }.into());
        }
        None => {
            if let (Some(id), false) = (authority.first_admin().await?, force) {
                return Err(BootstrapError::AlreadyDone(id).into());
            }
            let secret = authority.mint_credential()?;
            private_file::create(path, secret.expose())?;
            secret
        }
    };
    authority
        .bootstrap(&secret, force)
        .await
        .map_err(|error| match error {
            BootstrapError::NotCredential => FirstAdminError::NotCredential {
                path: path.to_owned(),
            },
            error => error.into(),
        })
}

/// The secret in the file, if there is one.
fn kept(path: &Path) -> Result<Option<Secret>, PrivateFileError> {
    let text = private_file::read(path, SECRET_BYTES_MAX as u64)?;
    Ok(text.map(|text| Secret::new(text.trim_end().to_owned())))
}
