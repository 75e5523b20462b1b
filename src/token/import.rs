//! Tokens that were issued elsewhere, and come with a digest of their secret.

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER_PERMISSIVE};

use super::breach::{self, Breach};
use super::caller::Beyond;
use super::format::{Format, NotHint};
use super::id::TokenId;
use super::namespace::Namespace;
use super::phc::{NotPhc, Phc};
use super::scope::{Labels, Scope, Scopes};
use super::secret::{PepperId, Peppers};
use super::text::{ImportKey, Name, Subject};
use super::time::Timestamp;
use super::{KeptSecret, Token, Withdrawal};

/// What is known of one token that is to be imported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub key: ImportKey,
    pub name: Name,
    pub subject: Subject,
    pub scopes: Scopes,
    pub labels: Labels,
    pub digest: ImportedDigest,
    /// How the text begins, prefix included.
    pub beginning: String,
    /// `None`: when it is imported.
    pub create_time: Option<Timestamp>,
    pub expire_time: Option<Timestamp>,
    pub suspension: Option<Withdrawal>,
    pub revocation: Option<Withdrawal>,
}

/// What another product has kept of a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum ImportedDigest {
    /// SHA-256 of the text: what is looked up is made of it, as of a secret of our own.
    Sha256([u8; 32]),
    /// Has to be tried, once.
    ToTry(Phc),
}

/// A text that is not a digest of so many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be {bytes} bytes in hexadecimal or base64")]
pub struct NotDigestOf {
    bytes: usize,
}

/// Why a row is not imported. None of these repeats a digest.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RowRefused {
    /// A field, by path, and what is wrong with it.
    #[error("{0} {1}")]
    Field(String, String),
    #[error("hint {0}")]
    Hint(#[from] NotHint),
    #[error("{0} must not lie in the future")]
    Future(&'static str),
    #[error("expire_time must lie after create_time")]
    EndsBeforeItBegins,
    #[error("phc is of bcrypt, which reads {max} bytes of a text, and tokens of the namespace are longer", max = Phc::BCRYPT_TEXT_MAX)]
    Truncating,
    #[error("scopes {0}")]
    UnknownScopes(Breach),
    #[error("scopes has {0}, which the caller may not pass on")]
    NotGrantable(Scope),
    #[error("expire_time must not be after {0}, when the caller's own credential ends")]
    Outlives(Timestamp),
    #[error("its digest is that of token {0}")]
    DigestTaken(TokenId),
    #[error("its digest is that of an earlier row")]
    DigestTwice,
    #[error("key is that of another row of this import, which has another digest")]
    KeyTaken,
    #[error(
        "hint is that of {max} secrets already that have yet to be tried, and no more are tried on one text"
    )]
    TooManyAlike { max: usize },
}

impl ImportedDigest {
    /// SHA-256 of the whole text, as 64 hexadecimal characters or in base64, padded or not.
    pub fn sha256(text: &str) -> Result<ImportedDigest, NotDigestOf> {
        digest_of(text).map(ImportedDigest::Sha256)
    }

    /// SHA-512, in the same forms.
    pub fn sha512(text: &str) -> Result<ImportedDigest, NotDigestOf> {
        digest_of(text).map(|hash| ImportedDigest::ToTry(Phc::of_sha512(&hash)))
    }

    pub fn phc(text: String) -> Result<ImportedDigest, NotPhc> {
        Phc::try_from(text).map(ImportedDigest::ToTry)
    }
}

impl std::fmt::Debug for ImportedDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ImportedDigest::Sha256(_) => f.write_str("Sha256(…)"),
            ImportedDigest::ToTry(phc) => phc.fmt(f),
        }
    }
}

fn digest_of<const N: usize>(text: &str) -> Result<[u8; N], NotDigestOf> {
    // By its length: there are texts that are both.
    let decoded = match text.len() {
        length if length == N * 2 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
        _ if text.ends_with('=') => BASE64.decode(text.as_bytes()),
        _ => BASE64_NOPAD.decode(text.as_bytes()),
    };
    let bytes = decoded.ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(NotDigestOf { bytes: N })
}

/// The token that a row makes at `now`. What a product has not said of it is as for a token that is issued.
pub fn import(
    row: Row,
    namespace: &Namespace,
    id: TokenId,
    peppers: &Peppers,
    now: Timestamp,
) -> Result<Token, RowRefused> {
    let create_time = row.create_time.unwrap_or(now);
    let ended = |withdrawal: &Option<Withdrawal>| withdrawal.as_ref().map(|withdrawal| withdrawal.time);
    for (field, time) in [
        ("create_time", Some(create_time)),
        ("suspend_time", ended(&row.suspension)),
        ("revoke_time", ended(&row.revocation)),
    ] {
        if time.is_some_and(|time| time > now) {
            return Err(RowRefused::Future(field));
        }
    }
    if row.expire_time.is_some_and(|end| end <= create_time) {
        return Err(RowRefused::EndsBeforeItBegins);
    }
    // Of the rules no more than the catalogue: a name and an end are as they were where the token comes from.
    if let Some(breach) = breach::of_scopes(&namespace.policy, &row.scopes) {
        return Err(RowRefused::UnknownScopes(breach));
    }
    let format = &namespace.format;
    let (digest, pepper, phc, chars_min) = match row.digest {
        ImportedDigest::Sha256(fast) => {
            let pepper = peppers.current();
            (pepper.wrap(&fast), pepper.id(), None, 0)
        }
        ImportedDigest::ToTry(phc) if !phc.tells_apart(format.bytes_max()) => {
            return Err(RowRefused::Truncating);
        }
        ImportedDigest::ToTry(phc) => (phc.digest(), PepperId::NONE, Some(phc), Format::HINT_CHARS),
    };
    let secret = KeptSecret {
        version: 1,
        digest,
        pepper,
        hint: format.hint_of(&row.beginning, chars_min)?,
        create_time,
        retire_time: None,
        overlap: None,
        first_use_time: None,
        reuse_time: None,
        phc,
    };
    Ok(Token {
        id,
        namespace: namespace.slug.clone(),
        name: row.name,
        subject: row.subject,
        scopes: row.scopes,
        labels: row.labels,
        create_time,
        expire_time: row.expire_time,
        networks: None,
        rate_limit: None,
        suspension: row.suspension,
        revocation: row.revocation,
        secrets: vec![secret],
    })
}

impl From<Beyond> for RowRefused {
    fn from(beyond: Beyond) -> RowRefused {
        match beyond {
            Beyond::Scope(scope) => RowRefused::NotGrantable(scope),
            Beyond::Outlives(end) => RowRefused::Outlives(end),
            // Neither is asked of what is issued or imported.
            Beyond::Subject | Beyond::Retiring => {
                RowRefused::Field("subject".to_owned(), "is not the caller's own".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests;
