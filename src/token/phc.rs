//! Digests that were made elsewhere, and cannot be looked up: they have to be tried.
//!
//! They are written in the PHC string format, in one canonical spelling each. To try one costs memory and time, which
//! are bounded here: what is beyond is not taken in the first place.

use std::fmt;

use argon2::Argon2;
use bcrypt::HashParts;
use data_encoding::BASE64_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use super::secret::{Digest, Secret};

/// A digest in the PHC string format, with its salt and parameters:
///
/// * `$scrypt$ln=14,r=8,p=1$<salt>$<hash>`
/// * `$argon2id$v=19$m=65536,t=3,p=4$<salt>$<hash>`
/// * `$2b$12$<salt and hash>`, of bcrypt, or `2a`, or `2y`
/// * `$sha512$<hash>`, and `$sha512$<salt>$<hash>` or `$sha256$<salt>$<hash>` of the salt followed by the text
///
/// Salt and hash are base64 (RFC 4648, section 4) without padding.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phc(String);

/// A text that is no digest of these, or one that takes too much to be tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotPhc {
    #[error("must begin with $scrypt$, $argon2id$, $2b$, $2a$, $2y$, $sha512$ or $sha256$")]
    Algorithm,
    #[error("must have the form {0}")]
    Form(&'static str),
    #[error("must have a salt of {min} to {max} bytes, not {found}")]
    Salt { min: usize, max: usize, found: usize },
    #[error("must have a hash of {min} to {max} bytes, not {found}")]
    Hash { min: usize, max: usize, found: usize },
    #[error("must not take more than {max} MiB of memory to be tried", max = Phc::MEMORY_MAX >> 20)]
    Memory,
    #[error("must not fill more than {max} MiB of memory in all to be tried", max = Phc::FILLED_MAX >> 20)]
    Filled,
    #[error("must have a cost of {min} to {max}", min = Phc::BCRYPT_COST_MIN, max = Phc::BCRYPT_COST_MAX)]
    Cost,
    #[error("must have parameters that its algorithm takes")]
    Parameters,
}

/// A digest, read.
enum Parsed {
    Scrypt(scrypt::Params, Vec<u8>, Vec<u8>),
    Argon2id(argon2::Params, Vec<u8>, Vec<u8>),
    Bcrypt,
    Sha512(Vec<u8>, Vec<u8>),
    Sha256(Vec<u8>, Vec<u8>),
}

const SCRYPT: &str = "$scrypt$ln=14,r=8,p=1$<salt>$<hash>, in base64 without padding";
const ARGON2ID: &str = "$argon2id$v=19$m=65536,t=3,p=4$<salt>$<hash>, in base64 without padding";
const BCRYPT: &str = "$2b$12$<53 characters of salt and hash>";
const SHA512: &str = "$sha512$<hash> or $sha512$<salt>$<hash>, in base64 without padding";
const SHA256: &str =
    "$sha256$<salt>$<hash>, in base64 without padding; without a salt it is none to be tried";

// What was taken is read again for as long as it is kept, so each of these may grow, and none may shrink.
impl Phc {
    /// Memory that may be needed to try one.
    pub const MEMORY_MAX: u64 = 128 << 20;
    /// Memory that may be filled to try one, each time it is filled counted: with scrypt n·r·p, with Argon2 m·t.
    pub const FILLED_MAX: u64 = 512 << 20;
    /// log2 of the rounds of bcrypt.
    pub const BCRYPT_COST_MIN: u32 = 4;
    /// About a second of one core.
    pub const BCRYPT_COST_MAX: u32 = 14;
    /// bcrypt reads no more bytes of a text: longer ones that begin alike would be the same to it.
    pub const BCRYPT_TEXT_MAX: usize = 72;
    /// Lanes of scrypt and Argon2.
    pub const LANES_MAX: u32 = 16;
    const SALT_MIN: usize = 8;
    const SALT_MAX: usize = 64;
    const HASH_MIN: usize = 16;
    const HASH_MAX: usize = 64;

    /// The one of an unsalted SHA-512.
    pub fn of_sha512(hash: &[u8; 64]) -> Phc {
        Phc(format!("$sha512${}", BASE64_NOPAD.encode(hash)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands in for the digest of a secret that has yet to be used: the row has to have one that no other row
    /// has, and that is none to be looked up by a text. Without a pepper: there is nothing in it to keep from a reader
    /// of the database, who reads the whole text beside it.
    pub fn digest(&self) -> Digest {
        let made = Sha256::new()
            .chain_update(b"tokenward phc v1")
            .chain_update(&self.0);
        Digest::from(<[u8; 32]>::from(made.finalize()))
    }

    /// Whether a token of at most so many bytes can be told from another by it.
    pub fn tells_apart(&self, bytes_max: usize) -> bool {
        !self.0.starts_with("$2") || bytes_max <= Phc::BCRYPT_TEXT_MAX
    }

    /// Whether it is a digest of `secret`. Takes long, on purpose: never on a thread that others wait for.
    pub fn matches(&self, secret: &Secret) -> bool {
        let text = secret.expose();
        // Not compared in constant time: what is compared is a hash, which nobody can steer.
        match parsed(&self.0) {
            Ok(Parsed::Scrypt(params, salt, hash)) => {
                let mut found = Zeroizing::new(vec![0; hash.len()]);
                scrypt::scrypt(text.as_bytes(), &salt, &params, &mut found).is_ok() && *found == hash
            }
            Ok(Parsed::Argon2id(params, salt, hash)) => {
                let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
                let mut found = Zeroizing::new(vec![0; hash.len()]);
                let made = argon2.hash_password_into(text.as_bytes(), &salt, &mut found);
                made.is_ok() && *found == hash
            }
            Ok(Parsed::Bcrypt) => {
                text.len() <= Phc::BCRYPT_TEXT_MAX && bcrypt::verify(text, &self.0).unwrap_or(false)
            }
            Ok(Parsed::Sha512(salt, hash)) => {
                Sha512::new().chain_update(salt).chain_update(text).finalize()[..] == hash
            }
            Ok(Parsed::Sha256(salt, hash)) => {
                Sha256::new().chain_update(salt).chain_update(text).finalize()[..] == hash
            }
            Err(_) => false,
        }
    }
}

impl TryFrom<String> for Phc {
    type Error = NotPhc;

    fn try_from(text: String) -> Result<Phc, NotPhc> {
        parsed(&text).map(|_| Phc(text))
    }
}

impl From<Phc> for String {
    fn from(phc: Phc) -> String {
        phc.0
    }
}

impl fmt::Debug for Phc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = self.0.split('$').nth(1).unwrap_or_default();
        write!(f, "Phc(${algorithm}$…)")
    }
}

fn parsed(text: &str) -> Result<Parsed, NotPhc> {
    let mut parts = text.split('$').skip(1);
    let algorithm = parts.next().filter(|_| text.starts_with('$'));
    let rest: Vec<_> = parts.take(5).collect();
    match (algorithm.ok_or(NotPhc::Algorithm)?, rest.as_slice()) {
        ("scrypt", [parameters, salt, hash]) => scrypt(parameters, salt, hash),
        ("scrypt", _) => Err(NotPhc::Form(SCRYPT)),
        ("argon2id", ["v=19", parameters, salt, hash]) => argon2id(parameters, salt, hash),
        ("argon2id", _) => Err(NotPhc::Form(ARGON2ID)),
        (version @ ("2a" | "2b" | "2y"), [_, _]) => bcrypt(version, text),
        ("2a" | "2b" | "2y", _) => Err(NotPhc::Form(BCRYPT)),
        ("sha512", [hash]) => Ok(Parsed::Sha512(
            Vec::new(),
            bytes(hash, SHA512).and_then(exactly::<64>)?,
        )),
        ("sha512", [salt, hash]) => {
            let hash = bytes(hash, SHA512).and_then(exactly::<64>)?;
            Ok(Parsed::Sha512(salted(salt, 1, SHA512)?, hash))
        }
        ("sha512", _) => Err(NotPhc::Form(SHA512)),
        ("sha256", [salt, hash]) => {
            let hash = bytes(hash, SHA256).and_then(exactly::<32>)?;
            Ok(Parsed::Sha256(salted(salt, 1, SHA256)?, hash))
        }
        ("sha256", _) => Err(NotPhc::Form(SHA256)),
        _ => Err(NotPhc::Algorithm),
    }
}

fn scrypt(parameters: &str, salt: &str, hash: &str) -> Result<Parsed, NotPhc> {
    let [log_n, r, p] = numbers(parameters, ["ln", "r", "p"]).ok_or(NotPhc::Form(SCRYPT))?;
    let log_n = u8::try_from(log_n).map_err(|_| NotPhc::Memory)?;
    if !(1..=Phc::LANES_MAX).contains(&p) || !(1..64).contains(&log_n) {
        return Err(NotPhc::Parameters);
    }
    let block = u64::from(r) * 128;
    let memory = block.checked_mul(1 << log_n).ok_or(NotPhc::Memory)?;
    within(memory, u64::from(p))?;
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| NotPhc::Parameters)?;
    Ok(Parsed::Scrypt(
        params,
        salted(salt, Phc::SALT_MIN, SCRYPT)?,
        hashed(hash, SCRYPT)?,
    ))
}

fn argon2id(parameters: &str, salt: &str, hash: &str) -> Result<Parsed, NotPhc> {
    let [memory, passes, lanes] = numbers(parameters, ["m", "t", "p"]).ok_or(NotPhc::Form(ARGON2ID))?;
    if !(1..=Phc::LANES_MAX).contains(&lanes) {
        return Err(NotPhc::Parameters);
    }
    within(u64::from(memory) << 10, u64::from(passes))?;
    let (salt, hash) = (salted(salt, Phc::SALT_MIN, ARGON2ID)?, hashed(hash, ARGON2ID)?);
    let params = argon2::Params::new(memory, passes, lanes, Some(hash.len()));
    Ok(Parsed::Argon2id(
        params.map_err(|_| NotPhc::Parameters)?,
        salt,
        hash,
    ))
}

fn bcrypt(version: &str, text: &str) -> Result<Parsed, NotPhc> {
    let parts: HashParts = text.parse().map_err(|_| NotPhc::Form(BCRYPT))?;
    let version = match version {
        "2a" => bcrypt::Version::TwoA,
        "2y" => bcrypt::Version::TwoY,
        _ => bcrypt::Version::TwoB,
    };
    if !(Phc::BCRYPT_COST_MIN..=Phc::BCRYPT_COST_MAX).contains(&parts.get_cost()) {
        return Err(NotPhc::Cost);
    }
    // The last characters of salt and hash have bits to spare: one spelling of each is taken.
    if parts.format_for_version(version) != text {
        return Err(NotPhc::Form(BCRYPT));
    }
    Ok(Parsed::Bcrypt)
}

fn within(memory: u64, times: u64) -> Result<(), NotPhc> {
    match memory.checked_mul(times) {
        _ if memory > Phc::MEMORY_MAX => Err(NotPhc::Memory),
        Some(filled) if filled <= Phc::FILLED_MAX => Ok(()),
        _ => Err(NotPhc::Filled),
    }
}

/// `name=number` for each name, in this order, in decimal without zeros before.
fn numbers<const N: usize>(text: &str, names: [&str; N]) -> Option<[u32; N]> {
    let mut found = [0; N];
    let mut parts = text.split(',');
    for (number, name) in found.iter_mut().zip(names) {
        let digits = parts.next()?.strip_prefix(name)?.strip_prefix('=')?;
        *number = digits.parse().ok()?;
        if number.to_string() != digits {
            return None;
        }
    }
    parts.next().is_none().then_some(found)
}

fn bytes(text: &str, form: &'static str) -> Result<Vec<u8>, NotPhc> {
    BASE64_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| NotPhc::Form(form))
}

fn salted(text: &str, min: usize, form: &'static str) -> Result<Vec<u8>, NotPhc> {
    let (salt, max) = (bytes(text, form)?, Phc::SALT_MAX);
    let found = salt.len();
    let fits = (min..=max).contains(&found);
    fits.then_some(salt).ok_or(NotPhc::Salt { min, max, found })
}

fn hashed(text: &str, form: &'static str) -> Result<Vec<u8>, NotPhc> {
    let (hash, min, max) = (bytes(text, form)?, Phc::HASH_MIN, Phc::HASH_MAX);
    let found = hash.len();
    let fits = (min..=max).contains(&found);
    fits.then_some(hash).ok_or(NotPhc::Hash { min, max, found })
}

fn exactly<const N: usize>(hash: Vec<u8>) -> Result<Vec<u8>, NotPhc> {
    match hash.len() {
        found if found != N => Err(NotPhc::Hash {
            min: N,
            max: N,
            found,
        }),
        _ => Ok(hash),
    }
}

#[cfg(test)]
mod tests;
