//! The text a client presents, and what is kept of it.

use std::fmt;
use std::iter;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::opaque::OpaqueKey;

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

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
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

/// Which pepper a digest was made with: from 1, a later one has a higher id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PepperId(pub u16);

impl PepperId {
    /// What stays when peppers go is known under the id that no pepper has.
    pub const TAGS: PepperId = PepperId(0);
    /// No pepper: the secret is not looked up by such a digest, so no pepper has to stay for it.
    pub const NONE: PepperId = PepperId(0);
}

/// What a key is known again by. It says nothing of the key.
pub type Fingerprint = [u8; 16];

/// The key over the rows of a store: whoever can write the database, but does not have it, writes no row that is
/// believed.
#[derive(Clone)]
pub struct RowKey(Hmac<Sha256>);

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowKey")
    }
}

impl RowKey {
    pub fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        self.0.clone().chain_update(bytes).finalize().into_bytes().into()
    }

    /// Whether `mac` is that of `bytes`, compared in the same time wherever they differ.
    pub fn holds(&self, bytes: &[u8], mac: &[u8]) -> bool {
        self.0.clone().chain_update(bytes).verify_slice(mac).is_ok()
    }

    /// Whether the MAC of `bytes` begins with this.
    pub(super) fn begins(&self, bytes: &[u8], mac: &[u8]) -> bool {
        let covered = self.0.clone().chain_update(bytes);
        covered.verify_truncated_left(mac).is_ok()
    }
}

/// A key over digests. It lives outside the database, so that whoever can write the database still cannot
/// mint a token.
pub struct Pepper {
    id: PepperId,
    digests: Hmac<Sha256>,
}

/// The key of the tags, and of the rows: it is in tokens that were handed out and in every row, so it outlives the
/// pepper it comes from.
pub type TagKey = Zeroizing<[u8; Pepper::KEY_BYTES]>;

/// The keys of a server. New digests are made with the current pepper; while peppers are changed there is another,
/// whose digests are accepted as well.
#[derive(Debug)]
pub struct Peppers {
    current: Pepper,
    other: Option<Pepper>,
    kept: Kept,
}

/// What stays when peppers go.
struct Kept {
    tags: Hmac<Sha256>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
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
        Pepper {
            id,
            digests: keyed(key),
        }
    }

    pub fn id(&self) -> PepperId {
        self.id
    }

    /// The digest `secret` is looked up by.
    pub fn digest(&self, secret: &Secret) -> Digest {
        self.wrap(&Sha256::digest(secret.expose().as_bytes()).into())
    }

    /// The digest that a secret is looked up by of which only the SHA-256 of its text is known.
    pub fn wrap(&self, fast: &[u8; 32]) -> Digest {
        let digest = self.digests.clone().chain_update(fast).finalize();
        Digest(digest.into_bytes().into())
    }

    /// What the keys of sealed answers are salted with: see [`super::answer`].
    pub(super) fn answer_salt(&self) -> Zeroizing<[u8; 32]> {
        derived(&self.digests, b"tokenward answer salt v1")
    }

    /// What the signing secrets of webhooks are sealed with: see [`super::webhook::signing`].
    pub(super) fn webhook_key(&self) -> Zeroizing<[u8; 32]> {
        derived(&self.digests, b"tokenward webhook secrets v1")
    }

    /// The key of the tags where this is the first pepper of a store: one of its own, so that a tag printed in a
    /// token says nothing about a digest.
    pub fn tag_key(&self) -> TagKey {
        derived(&self.digests, b"tokenward native tag v1")
    }
}

impl Peppers {
    pub fn new(current: Pepper, other: Option<Pepper>, tag_key: &TagKey) -> Peppers {
        let kept = Kept { tags: keyed(tag_key) };
        Peppers { current, other, kept }
    }

    /// One pepper, and what comes of it.
    pub fn of_one(id: PepperId, key: &[u8; Pepper::KEY_BYTES]) -> Peppers {
        let pepper = Pepper::new(id, key);
        let tag_key = pepper.tag_key();
        Peppers::new(pepper, None, &tag_key)
    }

    /// The one that new digests are made with.
    pub fn current(&self) -> &Pepper {
        &self.current
    }

    /// The one that is accepted besides: the one before, or one that is yet to become current.
    pub fn other(&self) -> Option<&Pepper> {
        self.other.as_ref()
    }

    pub fn with_id(&self, id: PepperId) -> Option<&Pepper> {
        let mut all = iter::once(&self.current).chain(&self.other);
        all.find(|pepper| pepper.id == id)
    }

    /// The digest `secret` is kept as from now on.
    pub fn digest(&self, secret: &Secret) -> Digest {
        self.current.digest(secret)
    }

    /// What all of its keys are known again by: the current pepper, the other one, the key of the tags.
    pub fn fingerprints(&self) -> Vec<(PepperId, Fingerprint)> {
        let peppers = iter::once(&self.current).chain(&self.other);
        let peppers = peppers.map(|pepper| (pepper.id, fingerprint(&pepper.digests)));
        let tags = (PepperId::TAGS, fingerprint(&self.kept.tags));
        peppers.chain([tags]).collect()
    }

    /// The key over the rows of the store.
    pub fn row_key(&self) -> RowKey {
        RowKey(keyed(&derived(&self.kept.tags, b"tokenward rows v1")))
    }

    /// The key over what is handed out to come back: the same at every server of the store, whatever its peppers.
    pub fn opaque_key(&self) -> OpaqueKey {
        OpaqueKey::new(RowKey(keyed(&derived(&self.kept.tags, b"tokenward opaque v1"))))
    }

    /// The keyed tag over the prefix and random part of a native token: 64 bits, of which the text keeps some.
    pub fn tag(&self, tagged: &str) -> u64 {
        let tag: [u8; 32] = self
            .kept
            .tags
            .clone()
            .chain_update(tagged)
            .finalize()
            .into_bytes()
            .into();
        u64::from_be_bytes([tag[0], tag[1], tag[2], tag[3], tag[4], tag[5], tag[6], tag[7]])
    }
}

fn keyed(key: &[u8; Pepper::KEY_BYTES]) -> Hmac<Sha256> {
    // RFC 2104 pads a shorter key with zeros to a block of 64 bytes; padded here, it cannot fail.
    let mut block = Zeroizing::new([0; 64]);
    block[..Pepper::KEY_BYTES].copy_from_slice(key);
    <Hmac<Sha256> as KeyInit>::new((&*block).into())
}

/// A key for one purpose: neither it nor what is made with it says anything about the key it comes from.
fn derived(from: &Hmac<Sha256>, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(from.clone().chain_update(purpose).finalize().into_bytes().into())
}

fn fingerprint(key: &Hmac<Sha256>) -> Fingerprint {
    let mac = derived(key, b"tokenward fingerprint v1");
    std::array::from_fn(|at| mac[at])
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
    fn a_pepper_that_goes_takes_neither_tags_nor_rows_along() {
        let first = Peppers::of_one(PepperId(1), &[7; 32]);
        let tag_key = first.current().tag_key();
        let pepper = |id, key| Pepper::new(PepperId(id), &[key; 32]);
        let both = Peppers::new(pepper(2, 8), Some(pepper(1, 7)), &tag_key);
        let later = Peppers::new(pepper(2, 8), None, &tag_key);
        let secret = Secret::new("kn_secret".to_owned());
        for peppers in [&both, &later] {
            assert_eq!(peppers.tag("kn_x"), first.tag("kn_x"));
            assert_eq!(peppers.row_key().mac(b"row"), first.row_key().mac(b"row"));
            assert_eq!(peppers.digest(&secret), pepper(2, 8).digest(&secret));
        }
        let known = both.with_id(PepperId(1)).map(|pepper| pepper.digest(&secret));
        assert_eq!(known, Some(first.digest(&secret)));
        assert!(later.with_id(PepperId(1)).is_none());
        assert!(both.with_id(PepperId(3)).is_none());
    }

    #[test]
    fn another_pepper_makes_another_digest() {
        let secret = Secret::new("kn_secret".to_owned());
        let digest = |key| Pepper::new(PepperId(1), &[key; 32]).digest(&secret);
        assert_ne!(digest(1), digest(2));
    }
}
