//! Texts that are handed out and come back: good only as they were made, and for what they were made for.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;

use super::secret::RowKey;

/// Half of a MAC: whoever guesses has to ask for each try.
const MAC_BYTES: usize = 16;

/// The key over such texts: the same at every server of a store, and not in it.
#[derive(Clone)]
pub struct OpaqueKey(RowKey);

/// A text that was not made here, or was made for something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it was not made here, or for something else")]
pub struct NotMadeHere;

impl fmt::Debug for OpaqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpaqueKey")
    }
}

impl OpaqueKey {
    pub(super) fn new(key: RowKey) -> OpaqueKey {
        OpaqueKey(key)
    }

    /// A text that holds `said`, and is good for `purpose` alone. What it holds can be read by whoever has it.
    pub fn seal(&self, purpose: &[&[u8]], said: &[u8]) -> String {
        let mac = self.0.mac(&covered(purpose, said));
        BASE64URL_NOPAD.encode(&[&mac[..MAC_BYTES], said].concat())
    }

    /// What the text holds, if it was sealed for this purpose.
    pub fn open(&self, purpose: &[&[u8]], text: &str) -> Result<Vec<u8>, NotMadeHere> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NotMadeHere)?;
        let (mac, said) = bytes.split_first_chunk::<MAC_BYTES>().ok_or(NotMadeHere)?;
        if self.0.begins(&covered(purpose, said), mac) {
            Ok(said.to_vec())
        } else {
            Err(NotMadeHere)
        }
    }
}

/// Each part with its length, so that no two lists of parts are the same bytes.
fn covered(purpose: &[&[u8]], said: &[u8]) -> Vec<u8> {
    let parts = purpose.iter().copied().chain([said]);
    parts.fold(Vec::new(), |mut bytes, part| {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::samples::pepper;

    #[test]
    fn a_text_is_good_as_it_was_made_and_for_what_it_was_made_for() {
        let key = pepper(7).opaque_key();
        let text = key.seal(&[b"list", b"notes"], b"here");
        assert_eq!(key.open(&[b"list", b"notes"], &text).as_deref(), Ok(&b"here"[..]));
        for purpose in [
            &[&b"list"[..], b"tasks"][..],
            &[b"listnotes"],
            &[b"list", b"notes", b""],
        ] {
            assert_eq!(key.open(purpose, &text), Err(NotMadeHere));
        }
        assert_eq!(
            pepper(8).opaque_key().open(&[b"list", b"notes"], &text),
            Err(NotMadeHere)
        );
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = BASE64URL_NOPAD.encode(&changed);
            assert_eq!(key.open(&[b"list", b"notes"], &changed), Err(NotMadeHere), "{at}");
        }
        for text in ["", "A", "AAAA", "not base64!"] {
            assert_eq!(key.open(&[b"list", b"notes"], text), Err(NotMadeHere), "{text}");
        }
    }
}
