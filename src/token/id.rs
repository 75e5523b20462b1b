//! Identifiers: parsed once, compared byte for byte.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::text::ImportKey;
use super::time::Timestamp;

/// The public name of a token: a UUIDv7 (RFC 9562), so ids sort by the time of issue. Safe to log;
/// never derived from a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(Uuid);

/// Makes a mutation idempotent: a UUID of version 4 or 7, chosen by the caller (AIP-155). It opens the answer
/// that is kept for a retry, so it is itself a secret: no `Display`, no `Serialize`, and a `Debug` that says
/// nothing. [`RequestId::expose`] is the one way to its text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId(Uuid);

/// What is kept of a request: a UUID of version 8 (RFC 9562) made of a digest of the caller's id, or of version
/// 7 where the caller gave none. Opens nothing; safe to log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestDigest(Uuid);

/// Names one import, so that it can be gone on with: a UUID of any version, chosen by the caller. It opens nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ImportId(Uuid);

/// Why a text is not an identifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IdError {
    #[error("must be a UUID such as 019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b")]
    NotUuid,
    #[error("must be a UUID of version {wanted}")]
    WrongVersion { wanted: &'static str },
    #[error("must match [a-z][a-z0-9-]{{0,62}}")]
    NotSlug,
}

impl TokenId {
    /// Sorts before every id of a token.
    pub const BEFORE_ALL: TokenId = TokenId(Uuid::nil());
    /// Sorts after every id of a token.
    pub const AFTER_ALL: TokenId = TokenId(Uuid::max());

    /// Sorts after the ids of all tokens issued up to `instant`, and before those issued a millisecond later.
    pub fn after_those_of(instant: Timestamp) -> TokenId {
        TokenId(version_7(instant, [u8::MAX; 10]))
    }

    /// The id of a token issued at `now`; `random` is 80 bits from the entropy source.
    pub fn new(now: Timestamp, random: [u8; 10]) -> TokenId {
        TokenId(version_7(now, random))
    }

    /// Whether it was made with this chance, whenever that was.
    pub fn has_chance(&self, random: [u8; 10]) -> bool {
        // Six bytes of time come first.

        self.0.as_bytes()[6..] == version_7(Timestamp::MIN, random).as_bytes()[6..]
    }

    /// The last instant at which a token with this id was issued: an id says so to the millisecond.
    pub fn issued_by(&self) -> Timestamp {
        let (millis, _) = self.0.as_u64_pair();
        let micros = i64::try_from(millis >> 16).map(|millis| millis * 1000 + 999);
        micros.map_or(Timestamp::MAX, |micros| {
            Timestamp::from_micros(micros).unwrap_or(Timestamp::MAX)
        })
    }

    pub fn parse(text: &str) -> Result<TokenId, IdError> {
        let id = hyphenated(text)?;
        match id.get_version_num() {
            7 => Ok(TokenId(id)),
            _ => Err(IdError::WrongVersion { wanted: "7" }),
        }
    }

    /// The id kept in a store; a row that was not written by [`TokenId::as_bytes`] is no id.
    pub fn from_bytes(bytes: &[u8]) -> Result<TokenId, IdError> {
        Uuid::from_slice(bytes).map(TokenId).map_err(|_| IdError::NotUuid)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl RequestId {
    /// A fresh id of version 4; `random` is from the entropy source.
    pub fn new(random: [u8; 16]) -> RequestId {
        RequestId(uuid::Builder::from_random_bytes(random).into_uuid())
    }

    pub fn parse(text: &str) -> Result<RequestId, IdError> {
        let id = hyphenated(text)?;
        match id.get_version_num() {
            4 | 7 => Ok(RequestId(id)),
            _ => Err(IdError::WrongVersion { wanted: "4 or 7" }),
        }
    }

    pub fn expose(&self) -> String {
        self.0.to_string()
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestId(…)")
    }
}

impl RequestDigest {
    /// Of an id that a caller chose: the first 122 bits of a SHA-256, about the version and the variant.
    pub fn of(request_id: &RequestId) -> RequestDigest {
        RequestDigest::from_parts(b"tokenward request id v1", request_id.as_bytes())
    }

    /// Of something that this program does once in the life of a journal. No id of a caller leads to it.
    pub fn of_program(what: &[u8]) -> RequestDigest {
        RequestDigest::from_parts(b"tokenward own request v1", what)
    }

    /// For one row of an import: a row that is sent again is the same request, whoever sends it.
    pub fn of_imported(import: &ImportId, namespace: &Slug, key: &ImportKey) -> RequestDigest {
        RequestDigest::from_parts(b"tokenward import row v1", &import.row(namespace, key))
    }

    fn from_parts(domain: &[u8], id: &[u8]) -> RequestDigest {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(domain)
            .chain_update(id)
            .finalize()
            .into();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        RequestDigest(uuid::Builder::from_custom_bytes(first).into_uuid())
    }

    /// For a request whose caller gave no id; `random` is 80 bits from the entropy source.
    pub fn new(now: Timestamp, random: [u8; 10]) -> RequestDigest {
        RequestDigest(version_7(now, random))
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl ImportId {
    pub fn parse(text: &str) -> Result<ImportId, IdError> {
        hyphenated(text).map(ImportId)
    }

    /// The id of an import whose rows are those whose SHA-256 this is: the same one for the same rows.
    pub fn of_content(sha256: [u8; 32]) -> ImportId {
        let mut first = [0; 16];
        first.copy_from_slice(&sha256[..16]);
        ImportId(uuid::Builder::from_custom_bytes(first).into_uuid())
    }

    /// The chance in the id of the token of this row: the token is known by it when the row comes again.
    pub fn chance(&self, namespace: &Slug, key: &ImportKey) -> [u8; 10] {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(b"tokenward import token v1")
            .chain_update(self.row(namespace, key))
            .finalize()
            .into();
        std::array::from_fn(|at| digest[at])
    }

    /// A row among all there are. Slugs have no colon.
    fn row(&self, namespace: &Slug, key: &ImportKey) -> Vec<u8> {
        let named = format!("{namespace}:{key}");
        [&self.0.as_bytes()[..], named.as_bytes()].concat()
    }
}

fn version_7(now: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// Only the 36-character form: braces, URNs and bare hex would be further spellings of one id.
fn hyphenated(text: &str) -> Result<Uuid, IdError> {
    match text.len() {
        36 => Uuid::try_parse(text).map_err(|_| IdError::NotUuid),
        _ => Err(IdError::NotUuid),
    }
}

macro_rules! shown_as_uuid {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}
shown_as_uuid!(TokenId);
shown_as_uuid!(RequestDigest);
shown_as_uuid!(ImportId);

/// The name of a namespace: `[a-z][a-z0-9-]{0,62}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

impl Slug {
    pub const CHARS_MAX: usize = 63;

    /// The namespace whose tokens are the credentials of callers.
    pub const SYSTEM: &str = "system";

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_slug(text: &str) -> bool {
        text.len() <= Slug::CHARS_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
}

impl TryFrom<String> for Slug {
    type Error = IdError;

    fn try_from(text: String) -> Result<Slug, IdError> {
        if Slug::is_slug(&text) {
            Ok(Slug(text))
        } else {
            Err(IdError::NotSlug)
        }
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> String {
        slug.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_ids_sort_by_time_of_issue() -> Result<(), Box<dyn std::error::Error>> {
        let early = TokenId::new(Timestamp::from_micros(1_700_000_000_000_000)?, [0xff; 10]);
        let late = TokenId::new(Timestamp::from_micros(1_700_000_000_001_000)?, [0; 10]);
        assert!(early < late);
        assert_eq!(TokenId::parse(&early.to_string()), Ok(early));
        Ok(())
    }

    #[test]
    fn one_spelling_of_a_uuid_and_the_right_versions() {
        let v4 = "7d444840-9dc0-41d1-b245-5ffdce74fad2";
        assert_eq!(TokenId::parse(v4), Err(IdError::WrongVersion { wanted: "7" }));
        assert!(RequestId::parse(v4).is_ok());
        for text in [
            "",
            "7d4448409dc041d1b2455ffdce74fad2",
            "{7d444840-9dc0-41d1-b245-5ffdce74fad2}",
            "7d444840-9dc0-41d1-b245-5ffdce74fadX",
        ] {
            assert_eq!(RequestId::parse(text), Err(IdError::NotUuid), "{text}");
        }
        assert!(RequestId::parse("00000000-0000-0000-0000-000000000000").is_err());
    }

    #[test]
    fn a_request_leaves_a_digest_that_does_not_show_it() -> Result<(), IdError> {
        let id = RequestId::parse("7d444840-9dc0-41d1-b245-5ffdce74fad2")?;
        // Computed with Python: sha256(b"tokenward request id v1" + uuid.UUID(id).bytes), then version and variant.
        let digest = RequestDigest::of(&id);
        assert_eq!(digest.to_string(), "7552f96a-44e3-8cfd-85fe-a8d093e5db43");
        assert_eq!((digest.0.get_version_num(), id.expose().len()), (8, 36));
        assert!(!format!("{id:?} {digest:?}").contains("7d44"));
        Ok(())
    }

    #[test]
    fn slugs() {
        for text in ["notes", "a", "a-1", &"a".repeat(63)] {
            assert!(Slug::try_from(text.to_owned()).is_ok(), "{text}");
        }
        for text in ["", "Notes", "1a", "-a", "a_b", "a b", "ä", &"a".repeat(64)] {
            assert_eq!(Slug::try_from(text.to_owned()), Err(IdError::NotSlug), "{text}");
        }
    }
}
