//! Pages of a list (AIP-158): how many, and from where.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};

use super::decode::Fields;
use super::status::Problem;
use crate::store::READ_MAX;

const SIZE_DEFAULT: u32 = 50;

/// Tells lists apart, and one list with other arguments: a page token is good for one of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListKey([u8; 8]);

impl ListKey {
    pub(super) fn of(list: &str, arguments: &[&str]) -> ListKey {
        let mut hash = Sha256::new();
        for part in [list].iter().chain(arguments) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        let mut key = [0; 8];
        key.copy_from_slice(&hash[..8]);
        ListKey(key)
    }

    /// The token of the page after `position`.
    pub(super) fn token(self, position: &[u8]) -> String {
        BASE64URL_NOPAD.encode(&[&self.0, position].concat())
    }

    /// The position a page token of this list stands for; an empty one stands for the beginning.
    pub(super) fn position<T, E>(
        self,
        token: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = BASE64URL_NOPAD
            .decode(token.as_bytes())
            .map_err(|_| Problem::PageToken)?;
        let position = bytes.strip_prefix(&self.0).ok_or(Problem::PageToken)?;
        parse(position).map(Some).map_err(|_| Problem::PageToken)
    }
}

/// The size of a page: 50 by default, at most 1,000.
pub(super) fn size(fields: &mut Fields, page_size: i32) -> u32 {
    match u32::try_from(page_size) {
        Ok(0) => SIZE_DEFAULT,
        Ok(size) => size.min(READ_MAX),
        Err(_) => {
            fields.wrong("page_size", "must not be negative");
            SIZE_DEFAULT
        }
    }
}
