//! A checkpoint: how long the journal was and the root of its tree, signed by a key that is not in the database.
//!
//! The form is that of C2SP: a tlog-checkpoint (<https://c2sp.org/tlog-checkpoint>) as a signed note
//! (<https://c2sp.org/signed-note>), with Ed25519. Other tools read it.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::Revision;
use super::tree::Root;

/// What a journal was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Whose it is: the name of the key that signs it.
    pub origin: KeyName,
    /// Up to this revision.
    pub revision: Revision,
    pub root: Root,
}

/// The name of a key, which tells logs apart: without spaces and `+`, best as `example.com/log`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyName(String);

/// What signs checkpoints.
pub struct SigningKey {
    name: KeyName,
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

/// What tells who signed a checkpoint. Its text is the `vkey` of a signed note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyingKey {
    pub name: KeyName,
    public: [u8; 32],
}

/// Why a key was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotKey {
    #[error("must have 1 to 200 characters, none of them a space, a control character or +")]
    Name,
    #[error("must be a verification key of Ed25519 in the form NAME+HASH+KEY")]
    Verifying,
    #[error("must be a signing key of Ed25519 in the form PRIVATE+KEY+NAME+HASH+KEY")]
    Signing,
}

/// Why a text is not a checkpoint that this key has signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotCheckpoint {
    #[error("it is not a signed note: a text, an empty line, and lines with signatures")]
    Note,
    #[error("it is not signed with this key")]
    NotSigned,
    #[error("its signature is not that of this key")]
    Forged,
    #[error("its text is not a checkpoint: an origin, a size and a root")]
    Text,
    #[error("it is of another log than that of the key")]
    OtherLog,
}

/// The one algorithm there is here: Ed25519.
const ALGORITHM: u8 = 1;
const NAME_CHARS_MAX: usize = 200;
/// A note that is longer is refused before it is read.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
const SIGNATURES_MAX: usize = 100;
const SIGNED_BY: &str = "\u{2014} ";
const PRIVATE: &str = "PRIVATE+KEY+";

impl KeyName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for KeyName {
    type Error = NotKey;

    fn try_from(text: String) -> Result<KeyName, NotKey> {
        let fits = (1..=NAME_CHARS_MAX).contains(&text.chars().count());
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if fits && !text.contains(bad) {
            Ok(KeyName(text))
        } else {
            Err(NotKey::Name)
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SigningKey {
    /// The key with this seed. Without a name it gets one of its own, which tells it from every other.
    pub fn new(name: Option<KeyName>, seed: &[u8; 32]) -> Result<SigningKey, NotKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NotKey::Signing)?;
        let name = if let Some(name) = name {
            name
        } else {
            let digest = Sha256::digest(pair.public_key());
            KeyName::try_from(format!("tokenward/{}", HEXLOWER.encode(&digest[..8])))?
        };
        Ok(SigningKey {
            name,
            seed: Zeroizing::new(*seed),
            pair,
        })
    }

    /// The key in a text that [`SigningKey::to_text`] made, or the signed-note tools of Go.
    pub fn parse(text: &str) -> Result<SigningKey, NotKey> {
        let rest = text.strip_prefix(PRIVATE).ok_or(NotKey::Signing)?;
        let (name, hash, seed) = parts(rest).ok_or(NotKey::Signing)?;
        let key = SigningKey::new(Some(name), &seed)?;
        if key.verifying().hash() == hash {
            Ok(key)
        } else {
            Err(NotKey::Signing)
        }
    }

    /// It holds the secret: for a file of its owner's, and nothing else.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{PRIVATE}{}",
            *text(&self.name, self.verifying().hash(), &self.seed)
        ))
    }

    pub fn verifying(&self) -> VerifyingKey {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair.public_key().as_ref());
        VerifyingKey {
            name: self.name.clone(),
            public,
        }
    }

    /// The journal as it is up to `revision`, signed: a note.
    pub fn sign(&self, revision: Revision, root: Root) -> String {
        let checkpoint = Checkpoint {
            origin: self.name.clone(),
            revision,
            root,
        };
        let text = checkpoint.text();
        let mut signature = self.verifying().hash().to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n{SIGNED_BY}{} {}\n", self.name, BASE64.encode(&signature))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.name)
    }
}

impl VerifyingKey {
    /// Tells keys of the same name apart.
    fn hash(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(self.name.as_str())
            .chain_update([b'\n', ALGORITHM])
            .chain_update(self.public)
            .finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// The checkpoint in `note`, if this key has signed it. Signatures of others are passed over: witnesses add theirs.
    pub fn open(&self, note: &str) -> Result<Checkpoint, NotCheckpoint> {
        let (text, signatures) = split(note).ok_or(NotCheckpoint::Note)?;
        let mut signed = false;
        for line in signatures {
            let (name, signature) = signature(line).ok_or(NotCheckpoint::Note)?;
            if name == self.name.as_str() && signature[..4] == self.hash() {
                UnparsedPublicKey::new(&ED25519, self.public)
                    .verify(text.as_bytes(), &signature[4..])
                    .map_err(|_| NotCheckpoint::Forged)?;
                signed = true;
            }
        }
        if !signed {
            return Err(NotCheckpoint::NotSigned);
        }
        let checkpoint = Checkpoint::parse(text).ok_or(NotCheckpoint::Text)?;
        if checkpoint.origin != self.name {
            return Err(NotCheckpoint::OtherLog);
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(&self.name, self.hash(), &self.public))
    }
}

impl FromStr for VerifyingKey {
    type Err = NotKey;

    fn from_str(text: &str) -> Result<VerifyingKey, NotKey> {
        let (name, hash, public) = parts(text).ok_or(NotKey::Verifying)?;
        let key = VerifyingKey {
            name,
            public: *public,
        };
        if key.hash() == hash {
            Ok(key)
        } else {
            Err(NotKey::Verifying)
        }
    }
}

impl Checkpoint {
    fn text(&self) -> String {
        let Checkpoint {
            origin,
            revision,
            root,
        } = self;
        format!("{origin}\n{revision}\n{}\n", BASE64.encode(root.as_bytes()))
    }

    fn parse(text: &str) -> Option<Checkpoint> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let revision: u64 = size.parse().ok()?;
        // One spelling: neither a sign nor zeros in front.
        if revision.to_string() != size {
            return None;
        }
        Some(Checkpoint {
            origin: KeyName::try_from(origin.to_owned()).ok()?,
            revision: Revision::new(revision),
            root: Root::from_bytes(&BASE64.decode(root.as_bytes()).ok()?)?,
        })
    }
}

/// The text of a note with its last newline, and the lines of its signatures.
fn split(note: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let control = |c: char| c < ' ' && c != '\n';
    if note.len() > NOTE_BYTES_MAX || note.contains(control) {
        return None;
    }
    // The last empty line: a text may have some.
    let at = note.rfind("\n\n")?;
    let (text, signatures) = (&note[..=at], &note[at + 2..]);
    let lines = signatures.strip_suffix('\n')?;
    (lines.split('\n').count() <= SIGNATURES_MAX).then_some((text, lines.split('\n')))
}

/// Who has signed, and the hash of the key with the signature.
fn signature(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, signature) = line.strip_prefix(SIGNED_BY)?.split_once(' ')?;
    let signature = BASE64.decode(signature.as_bytes()).ok()?;
    (!name.is_empty() && signature.len() > 4).then_some((name, signature))
}

/// `NAME+HASH+KEY`, as both kinds of keys have it.
fn text(name: &KeyName, hash: [u8; 4], key: &[u8; 32]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(vec![ALGORITHM]);
    bytes.extend_from_slice(key);
    let key = Zeroizing::new(BASE64.encode(&bytes));
    Zeroizing::new(format!("{name}+{}+{}", HEXLOWER.encode(&hash), *key))
}

fn parts(text: &str) -> Option<(KeyName, [u8; 4], Zeroizing<[u8; 32]>)> {
    let (name, rest) = text.split_once('+')?;
    let (hash, key) = rest.split_once('+')?;
    let hash = HEXLOWER.decode(hash.as_bytes()).ok()?;
    let key = Zeroizing::new(BASE64.decode(key.as_bytes()).ok()?);
    let (algorithm, key) = key.split_first()?;
    if *algorithm != ALGORITHM {
        return None;
    }
    Some((
        KeyName::try_from(name.to_owned()).ok()?,
        hash.try_into().ok()?,
        Zeroizing::new(key.try_into().ok()?),
    ))
}

#[cfg(test)]
mod tests;
