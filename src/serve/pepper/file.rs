//! What a pepper file says, and how it gets onto the disk.

use std::path::Path;

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::super::private_file::{self, PrivateFileError};
use super::PepperError;
use crate::clock::Entropy;
use crate::token::secret::{Pepper, PepperId, Peppers, TagKey};

/// A file has a line for each pepper, of its id, a space, and its key as hexadecimal characters: the current one
/// first. After them there may be `tag` and a key.
const FILE_BYTES_MAX: u64 = 256;

/// The first word of the line that keeps the key of the tags when the first pepper is gone.
const TAG: &str = "tag";

/// A key and its id.
pub(super) struct Key {
    pub(super) id: PepperId,
    key: Zeroizing<[u8; Pepper::KEY_BYTES]>,
}

/// What a pepper file says.
pub(super) struct PepperFile {
    pub(super) current: Key,
    pub(super) other: Option<Key>,
    pub(super) tag_key: TagKey,
}

impl Key {
    pub(super) fn fresh(id: PepperId, entropy: &dyn Entropy) -> Key {
        let mut key = Zeroizing::new([0; Pepper::KEY_BYTES]);
        entropy.fill(key.as_mut_slice());
        Key { id, key }
    }

    fn pepper(&self) -> Pepper {
        Pepper::new(self.id, &self.key)
    }

    fn parse(line: &str) -> Option<Key> {
        let (id, key) = line.split_once(' ')?;
        let id = id.parse().ok().filter(|id| *id > 0)?;
        Some(Key {
            id: PepperId(id),
            key: parse_key(key)?,
        })
    }
}

fn parse_key(text: &str) -> Option<Zeroizing<[u8; Pepper::KEY_BYTES]>> {
    let bytes = Zeroizing::new(HEXLOWER.decode(text.as_bytes()).ok()?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

impl PepperFile {
    /// One pepper, the first.
    pub(super) fn first(entropy: &dyn Entropy) -> PepperFile {
        let current = Key::fresh(PepperId(1), entropy);
        PepperFile {
            tag_key: current.pepper().tag_key(),
            current,
            other: None,
        }
    }

    pub(super) fn peppers(&self) -> Peppers {
        let other = self.other.as_ref().map(Key::pepper);
        Peppers::new(self.current.pepper(), other, &self.tag_key)
    }

    /// What the file at `path` says; `None`: there is no such file.
    pub(super) fn read(path: &Path) -> Result<Option<PepperFile>, PepperError> {
        let text = private_file::read(path, FILE_BYTES_MAX)?;
        let parse = |text: Zeroizing<String>| {
            PepperFile::parse(&text).ok_or_else(|| PepperError::Malformed {
                path: path.to_owned(),
            })
        };
        text.map(parse).transpose()
    }

    pub(super) fn parse(text: &str) -> Option<PepperFile> {
        if text.len() as u64 > FILE_BYTES_MAX {
            return None;
        }
        let (mut keys, mut tag_key) = (Vec::new(), None);
        for line in text.trim_end().split('\n') {
            match line.split_once(' ') {
                _ if tag_key.is_some() => return None,
                Some((TAG, key)) => tag_key = Some(parse_key(key)?),
                _ => keys.push(Key::parse(line)?),
            }
        }
        let mut keys = keys.into_iter();
        let (current, other) = (keys.next()?, keys.next());
        let tag_key = match (tag_key, &other) {
            (Some(tag_key), _) => tag_key,
            (None, None) => current.pepper().tag_key(),
            // Which of the two came first?
            (None, Some(_)) => return None,
        };
        let distinct = other.as_ref().is_none_or(|other| other.id != current.id);
        (distinct && keys.next().is_none()).then_some(PepperFile {
            current,
            other,
            tag_key,
        })
    }

    /// The key of the tags is written down as soon as it is not told from the first pepper alone.
    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
        let mut line = |name: &str, key: &[u8]| {
            let key = Zeroizing::new(HEXLOWER.encode(key));
            for part in [name, " ", &key, "\n"] {
                text.push_str(part);
            }
        };
        for key in [&self.current].into_iter().chain(&self.other) {
            line(&key.id.0.to_string(), &*key.key);
        }
        if self.other.is_some() || *self.current.pepper().tag_key() != *self.tag_key {
            line(TAG, &*self.tag_key);
        }
        text
    }

    /// Makes a file of it that was not there before.
    pub(super) fn write_new(&self, path: &Path) -> Result<(), PepperError> {
        private_file::create(path, &self.text()).map_err(|error| match error {
            PrivateFileError::Exists { path } => PepperError::Exists { path },
            error => error.into(),
        })
    }

    /// Puts it in the place of the file at `path`.
    pub(super) fn replace(&self, path: &Path) -> Result<(), PepperError> {
        Ok(private_file::replace(path, &self.text())?)
    }
}
