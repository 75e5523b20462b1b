//! Profiles: an address and a credential that are kept, so that they need not be given each time.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::connect::Address;
use super::failure::Failure;
use crate::serve::private_file;

/// The profile that is used unless another is named.
pub(super) const DEFAULT: &str = "default";

/// An address and a credential are short.
const FILE_BYTES_MAX: u64 = 4096;

/// What `tokenward login` keeps.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) address: String,
    pub(super) credential: String,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Profile {
    /// The profile of this name, if there is one.
    pub(super) fn load(name: &str) -> Result<Option<Profile>, Failure> {
        let Some(path) = path(name)? else {
            return Ok(None);
        };
        let text = private_file::read(&path, FILE_BYTES_MAX).map_err(Failure::new)?;
        // The text is not repeated: there is a credential in it.
        let unread = |_| {
            Failure::new(format_args!("{} is not a profile", path.display()))
                .but("`tokenward login` writes it anew")
        };
        text.map(|text| serde_json::from_str(&text).map_err(unread))
            .transpose()
    }

    /// Keeps it under this name; answers with where.
    pub(super) fn save(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = path(name)?.ok_or_else(|| {
            Failure::new("there is no place for profiles").but("set HOME or XDG_CONFIG_HOME")
        })?;
        if let Some(folder) = path.parent() {
            let unmade = |error| Failure::new(format_args!("{} cannot be made: {error}", folder.display()));
            std::fs::create_dir_all(folder).map_err(unmade)?;
        }
        let text = serde_json::to_string(self).map(Zeroizing::new);
        let text =
            text.map_err(|error| Failure::new(format_args!("the profile cannot be written: {error}")))?;
        private_file::replace(&path, &text).map_err(Failure::new)?;
        Ok(path)
    }

    /// Forgets the profile of this name; whether there was one.
    pub(super) fn remove(name: &str) -> Result<bool, Failure> {
        let Some(path) = path(name)? else {
            return Ok(false);
        };
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::new(format_args!(
                "{} cannot be removed: {error}",
                path.display()
            ))),
        }
    }

    pub(super) fn address(&self, name: &str) -> Result<Address, Failure> {
        let address = self.address.parse();
        address.map_err(|wanted| Failure::new(format_args!("the address in profile {name} {wanted}")))
    }
}

/// Where the profile is kept, by the XDG Base Directory specification; `None` without a home.
fn path(name: &str) -> Result<Option<PathBuf>, Failure> {
    let well_formed = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !well_formed {
        return Err(Failure::usage(
            "--profile must be 1 to 64 of A-Z, a-z, 0-9, - and _",
        ));
    }
    let set = |variable| {
        std::env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let config = set("XDG_CONFIG_HOME")
        // A relative one is to be ignored, says the specification.
        .filter(|folder| folder.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".config")));
    Ok(config.map(|config| config.join("tokenward").join(format!("{name}.json"))))
}
