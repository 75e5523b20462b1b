//! Where a reader of the journal stands, as an opaque text.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;

use super::Revision;

/// The identity of one journal: a restored or replaced store has another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch([u8; 16]);

/// "Everything up to here has been seen", in one journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    pub epoch: Epoch,
    pub revision: Revision,
}

/// A text that no server wrote as a cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("is not a cursor: take one from an answer, unchanged")]
pub struct NotCursor;

impl Epoch {
    pub const fn new(random: [u8; 16]) -> Epoch {
        Epoch(random)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Epoch, NotCursor> {
        bytes.try_into().map(Epoch).map_err(|_| NotCursor)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

impl Cursor {
    pub fn parse(text: &str) -> Result<Cursor, NotCursor> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NotCursor)?;
        let (epoch, revision) = bytes.split_first_chunk().ok_or(NotCursor)?;
        let revision = revision
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| NotCursor)?;
        Ok(Cursor {
            epoch: Epoch(*epoch),
            revision: Revision::new(revision),
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.epoch.0);
        bytes[16..].copy_from_slice(&self.revision.get().to_be_bytes());
        f.write_str(&BASE64URL_NOPAD.encode(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_and_nothing_else_is_one() {
        let cursor = Cursor {
            epoch: Epoch::new([7; 16]),
            revision: Revision::new(42),
        };
        let text = cursor.to_string();
        assert_eq!(Cursor::parse(&text), Ok(cursor));
        for bad in [
            "",
            "x",
            "!",
            &text[1..],
            &format!("{text}A"),
            &format!("{text}="),
            &format!(" {text}"),
        ] {
            assert_eq!(Cursor::parse(bad), Err(NotCursor), "{bad:?}");
        }
    }
}
