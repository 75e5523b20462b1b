//! The text of a token: a prefix that names its namespace, and a body of one strict shape.
//!
//! A published prefix or shape never changes: every token already handed out would stop parsing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::secret::{Peppers, Secret};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The parts of a native body, in characters: 178 random bits, a keyed tag, a CRC-32.
const NATIVE_RANDOM: usize = 30;
const NATIVE_TAG: usize = 6;
const NATIVE_CRC: usize = 6;

/// No token text is longer, in bytes; anything longer is refused unread.
pub const SECRET_BYTES_MAX: usize = 256;

/// How the tokens of a namespace begin: `[a-z][a-z0-9_]*_`, 2 to 16 characters, as `kn_` or `tok_live_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(String);

/// What follows the prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// 30 random base62 characters, 6 of keyed tag, 6 of CRC-32: forgeries and typing errors end
    /// without a look-up, and a scanner can tell a real token offline.
    Native,
    /// This many lower-case hexadecimal characters.
    Hex(Length),
    /// This many characters of base64url (RFC 4648, section 5).
    Base64Url(Length),
    /// This many characters of `0-9A-Za-z`.
    Base62(Length),
}

/// The number of characters of a body: 22 to 128, 32 to 128 for hexadecimal; so at least 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Length(u8);

/// The shape of a namespace's tokens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Format {
    pub prefix: Prefix,
    pub body: Body,
}

/// The leading characters shown in lists, such as `kn_a3f8…`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hint(String);

/// A text that is not a token of this format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    #[error("does not begin with the prefix of any namespace")]
    Prefix,
    #[error("has {found} characters after its prefix where {wanted} belong")]
    Length { wanted: usize, found: usize },
    #[error("has a character outside its alphabet")]
    Alphabet,
    #[error("its checksum does not match: mistyped or cut off")]
    Checksum,
}

/// Why the beginning of a token was not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotHint {
    #[error("must begin with the prefix of the namespace, {0}")]
    Prefix(String),
    #[error(
        "must have at least {wanted} characters after the prefix, not {found}: what has to be tried is found by them"
    )]
    TooShort { wanted: usize, found: usize },
    #[error("is no beginning of a token of the namespace: {0}")]
    Malformed(Malformed),
}

/// Why a prefix or length was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FormatError {
    #[error("must match [a-z][a-z0-9_]*_ and have 2 to 16 characters")]
    NotPrefix,
    #[error("must lie between {min} and {max} characters, not {found}")]
    Length { min: u8, max: u8, found: i64 },
}

impl Prefix {
    pub const CHARS_MAX: usize = 16;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether some text could begin with both: one is the beginning of the other.
    pub fn overlaps(&self, other: &Prefix) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }
}

impl TryFrom<String> for Prefix {
    type Error = FormatError;

    fn try_from(text: String) -> Result<Prefix, FormatError> {
        let well_formed = (2..=Prefix::CHARS_MAX).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.ends_with('_')
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        well_formed.then_some(Prefix(text)).ok_or(FormatError::NotPrefix)
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> String {
        prefix.0
    }
}

impl Body {
    pub fn hex(length: i64) -> Result<Body, FormatError> {
        Length::between(32, length).map(Body::Hex)
    }

    pub fn base64url(length: i64) -> Result<Body, FormatError> {
        Length::between(22, length).map(Body::Base64Url)
    }

    pub fn base62(length: i64) -> Result<Body, FormatError> {
        Length::between(22, length).map(Body::Base62)
    }

    /// The number of characters of this body.
    fn chars(self) -> usize {
        match self {
            Body::Native => NATIVE_RANDOM + NATIVE_TAG + NATIVE_CRC,
            Body::Hex(length) | Body::Base64Url(length) | Body::Base62(length) => usize::from(length.0),
        }
    }

    fn alphabet(self) -> &'static [u8] {
        match self {
            Body::Native | Body::Base62(_) => BASE62,
            Body::Hex(_) => HEX,
            Body::Base64Url(_) => BASE64URL,
        }
    }

    /// Whether `byte` is in the alphabet; every Verify asks this of every character.
    fn allows(self, byte: u8) -> bool {
        match self {
            Body::Native | Body::Base62(_) => byte.is_ascii_alphanumeric(),
            Body::Hex(_) => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Body::Base64Url(_) => byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_',
        }
    }
}

impl Length {
    const MAX: u8 = 128;

    fn between(min: u8, length: i64) -> Result<Length, FormatError> {
        u8::try_from(length)
            .ok()
            .filter(|length| (min..=Length::MAX).contains(length))
            .map(Length)
            .ok_or(FormatError::Length {
                min,
                max: Length::MAX,
                found: length,
            })
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

impl Format {
    /// Characters of the body shown in a [`Hint`]: enough to tell a person's tokens apart, too few to guess by.
    pub const HINT_CHARS: usize = 4;

    /// A fresh secret. `fill` gives random bytes; none of them is used twice.
    pub fn mint(&self, peppers: &Peppers, fill: &mut dyn FnMut(&mut [u8])) -> Secret {
        let mut text = String::with_capacity(self.prefix.0.len() + self.body.chars());
        text.push_str(&self.prefix.0);
        match self.body {
            Body::Native => {
                push_random(&mut text, BASE62, NATIVE_RANDOM, fill);
                text.extend(base62(peppers.tag(&text)).map(char::from));
                text.extend(base62(crc(&text)).map(char::from));
            }
            Body::Hex(_) | Body::Base64Url(_) | Body::Base62(_) => {
                push_random(&mut text, self.body.alphabet(), self.body.chars(), fill);
            }
        }
        Secret::new(text)
    }

    /// Whether `secret` is exactly a token of this format, checksum included. There is one canonical
    /// form: no trimming, no other case, no padding.
    pub fn parse(&self, secret: &Secret) -> Result<(), Malformed> {
        let text = secret.expose();
        let body = text.strip_prefix(self.prefix.as_str()).ok_or(Malformed::Prefix)?;
        let wanted = self.body.chars();
        if body.len() != wanted {
            return match body.chars().count() {
                // As many characters as belong, but one of them takes more than one byte.
                found if found == wanted => Err(Malformed::Alphabet),
                found => Err(Malformed::Length { wanted, found }),
            };
        }
        if !body.bytes().all(|byte| self.body.allows(byte)) {
            return Err(Malformed::Alphabet);
        }
        match self.body {
            Body::Native => {
                let (before, found) = text.split_at(text.len() - NATIVE_CRC);
                (base62(crc(before)) == found.as_bytes())
                    .then_some(())
                    .ok_or(Malformed::Checksum)
            }
            Body::Hex(_) | Body::Base64Url(_) | Body::Base62(_) => Ok(()),
        }
    }

    /// Whether this server minted `secret`, which has been parsed, as far as can be told without a
    /// look-up: always true for a format without a keyed tag.
    pub fn tag_holds(&self, secret: &Secret, peppers: &Peppers) -> bool {
        match self.body {
            Body::Native => {
                let text = secret.expose();
                let (before, _crc) = text.split_at(text.len() - NATIVE_CRC);
                let (tagged, found) = before.split_at(before.len() - NATIVE_TAG);
                // Not constant in time: the tag only sorts forgeries from look-ups, the digest decides.
                base62(peppers.tag(tagged)) == found.as_bytes()
            }
            Body::Hex(_) | Body::Base64Url(_) | Body::Base62(_) => true,
        }
    }

    /// Whether it takes this server's keys to make a token of this format: no other's will do.
    pub fn is_tagged(&self) -> bool {
        self.body == Body::Native
    }

    /// The most bytes a token of this format has.
    pub fn bytes_max(&self) -> usize {
        self.prefix.0.len() + self.body.chars()
    }

    /// The hint of a token of which only the beginning is known, prefix included. Of what comes after the prefix as
    /// much is kept as [`Format::hint`] keeps; less may be known, if at least `chars_min` characters are.
    pub fn hint_of(&self, beginning: &str, chars_min: usize) -> Result<Hint, NotHint> {
        let body = beginning.strip_prefix(self.prefix.as_str());
        let body = body.ok_or_else(|| NotHint::Prefix(self.prefix.0.clone()))?;
        let wanted = self.body.chars();
        if body.len() > wanted {
            let found = body.chars().count();
            return Err(NotHint::Malformed(Malformed::Length { wanted, found }));
        }
        if !body.bytes().all(|byte| self.body.allows(byte)) {
            return Err(NotHint::Malformed(Malformed::Alphabet));
        }
        if body.len() < chars_min {
            let found = body.len();
            return Err(NotHint::TooShort {
                wanted: chars_min,
                found,
            });
        }
        let shown = &body[..body.len().min(Format::HINT_CHARS)];
        Ok(Hint(format!("{}{shown}…", self.prefix.0)))
    }

    /// What lists show of `secret`, which has been parsed.
    pub fn hint(&self, secret: &Secret) -> Hint {
        let shown = self.prefix.0.len() + Format::HINT_CHARS;
        Hint(format!("{}…", &secret.expose()[..shown]))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = &self.prefix.0;
        match self.body {
            Body::Native => write!(f, "{prefix} + native"),
            Body::Hex(length) => write!(f, "{prefix} + {} hex", length.0),
            Body::Base64Url(length) => write!(f, "{prefix} + {} base64url", length.0),
            Body::Base62(length) => write!(f, "{prefix} + {} base62", length.0),
        }
    }
}

impl Hint {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Appends `count` characters of `alphabet`, each as likely as the other.
fn push_random(text: &mut String, alphabet: &[u8], count: usize, fill: &mut dyn FnMut(&mut [u8])) {
    // The largest multiple of the alphabet's size: a byte above it would favour the first letters.
    let fair = 256 / alphabet.len() * alphabet.len();
    let end = text.len() + count;
    let mut random = zeroize::Zeroizing::new([0; 64]);
    while text.len() < end {
        fill(random.as_mut_slice());
        for byte in random.iter().map(|b| usize::from(*b)).filter(|b| *b < fair) {
            if text.len() < end {
                text.push(char::from(alphabet[byte % alphabet.len()]));
            }
        }
    }
}

/// The last six base62 digits of `value`, most significant first.
fn base62(mut value: u64) -> [u8; 6] {
    let mut digits = [BASE62[0]; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(value % 62) as usize];
        value /= 62;
    }
    digits
}

/// Six base62 digits keep the whole of it: 62^6 exceeds 2^32.
fn crc(text: &str) -> u64 {
    u64::from(crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests;
