//! The text a client presents, and what is kept of it.

use std::fmt;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The text of a token. It exists in memory only: no `Clone`, `Debug`, `Display` or `Serialize`, and its
/// bytes are zeroised when it is dropped. [`Secret::expose`] is the one way to its text.
#[expect(missing_debug_implementations, reason = "a secret is never shown")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What is kept of a secret: HMAC-SHA-256(pepper, SHA-256(text)). Public in the sense that it opens
/// nothing: neither a reader nor a writer of the database can make a token from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// A text that is not 64 lower-case hexadecimal characters, or bytes that are not 32.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be 32 bytes, written as 64 hexadecimal characters")]
pub struct NotDigest;

impl Digest {
    pub fn from_bytes(bytes: &[u8]) -> Result<Digest, NotDigest> {
        bytes.try_into().map(Digest).map_err(|_| NotDigest)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<String> for Digest {
    type Error = NotDigest;

    fn try_from(hex: String) -> Result<Digest, NotDigest> {
        Digest::from_bytes(&HEXLOWER.decode(hex.as_bytes()).map_err(|_| NotDigest)?)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        HEXLOWER.encode(&digest.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}…)", HEXLOWER.encode(&self.0[..4]))
    }
}

/// Which pepper a digest was made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PepperId(pub u16);

/// The server's key over all digests. It lives outside the database, so that whoever can write the
/// database still cannot mint a token.
pub struct Pepper {
    id: PepperId,
    digests: Hmac<Sha256>,
    tags: Hmac<Sha256>,
    answers: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pepper")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Pepper {
    pub const KEY_BYTES: usize = 32;

    pub fn new(id: PepperId, key: &[u8; Pepper::KEY_BYTES]) -> Pepper {
        let keyed = |key: &[u8; 32]| {
            // RFC 2104 pads a shorter key with zeros to a block of 64 bytes; padded here, it cannot fail.
            let mut block = Zeroizing::new([0; 64]);
            block[..Pepper::KEY_BYTES].copy_from_slice(key);
            <Hmac<Sha256> as KeyInit>::new((&*block).into())
        };
        let digests = keyed(key);
        // A key of its own for each use, so that a tag printed in a token says nothing about a digest.
        let derived = |label: &[u8]| {
            let key = digests.clone().chain_update(label).finalize().into_bytes();
            Zeroizing::new(<[u8; 32]>::from(key))
        };
        let tag_key = derived(b"tokenward native tag v1");
        let answers = derived(b"tokenward answer salt v1");
        Pepper {
            id,
            digests,
            tags: keyed(&tag_key),
            answers,
        }
    }

    pub fn id(&self) -> PepperId {
        self.id
    }

    /// The digest `secret` is looked up by.
    pub fn digest(&self, secret: &Secret) -> Digest {
        let fast = Sha256::digest(secret.expose().as_bytes());
        Digest(
            self.digests
                .clone()
                .chain_update(fast)
                .finalize()
                .into_bytes()
                .into(),
        )
    }

    /// What the keys of sealed answers are salted with: see [`super::answer`].
    pub(super) fn answer_salt(&self) -> &[u8; 32] {
        &self.answers
    }

    /// The keyed tag over the prefix and random part of a native token: 64 bits, of which the text keeps some.
    pub fn tag(&self, tagged: &str) -> u64 {
        let tag: [u8; 32] = self
            .tags
            .clone()
            .chain_update(tagged)
            .finalize()
            .into_bytes()
            .into();
        u64::from_be_bytes([tag[0], tag[1], tag[2], tag[3], tag[4], tag[5], tag[6], tag[7]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_hmac_of_sha256() {
        // Computed with Python: hmac.new(bytes([7])*32, sha256(b"kn_secret").digest(), sha256).hexdigest()
        let pepper = Pepper::new(PepperId(1), &[7; 32]);
        let digest = pepper.digest(&Secret::new("kn_secret".to_owned()));
        assert_eq!(
            String::from(digest),
            "57316dccc1d35959b588ef518377149d4c1dc75bb7c4c8ac2e488220d390fabe"
        );
    }

    #[test]
    fn another_pepper_makes_another_digest() {
        let secret = Secret::new("kn_secret".to_owned());
        let digest = |key| Pepper::new(PepperId(1), &[key; 32]).digest(&secret);
        assert_ne!(digest(1), digest(2));
    }
}
