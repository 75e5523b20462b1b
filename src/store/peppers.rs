//! Which peppers a store was written with, and whether a server has them.

use std::collections::BTreeMap;

use super::StoreError;
use crate::token::secret::{Fingerprint, PepperId, Peppers};

/// The fingerprints that a store keeps.
#[derive(Default, Debug)]
pub struct KnownPeppers(BTreeMap<PepperId, Fingerprint>);

/// Why a server must not answer for a store with the peppers it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OtherPepper {
    #[error("its key {0} is not the key {0} of the store")]
    Differs(u16),
    #[error("the store was written with key {0}, which it lacks")]
    Lacks(u16),
    #[error("its key of the tags is not that of the store")]
    Tags,
}

impl KnownPeppers {
    pub(super) fn of(rows: impl IntoIterator<Item = (i64, Vec<u8>)>) -> Result<KnownPeppers, StoreError> {
        let known = rows.into_iter().map(|(id, fingerprint)| {
            let id = u16::try_from(id).map_err(StoreError::corrupt)?;
            let fingerprint = <Fingerprint>::try_from(fingerprint.as_slice()).map_err(StoreError::corrupt)?;
            Ok((PepperId(id), fingerprint))
        });
        Ok(KnownPeppers(known.collect::<Result<_, StoreError>>()?))
    }

    /// Whether a server with this current pepper was ever started on the store.
    pub fn has(&self, id: PepperId) -> bool {
        self.0.contains_key(&id)
    }

    /// Whether what was written to the store can be read with `peppers`.
    pub fn compare(&self, peppers: &Peppers) -> Result<(), OtherPepper> {
        for (id, fingerprint) in peppers.fingerprints() {
            match self.0.get(&id) {
                Some(known) if *known != fingerprint && id == PepperId::TAGS => {
                    return Err(OtherPepper::Tags);
                }
                Some(known) if *known != fingerprint => return Err(OtherPepper::Differs(id.0)),
                Some(_) | None => {}
            }
        }
        match self.0.keys().last() {
            Some(newest) if *newest > PepperId::TAGS && peppers.with_id(*newest).is_none() => {
                Err(OtherPepper::Lacks(newest.0))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The fingerprints to keep once `peppers` were compared. One that is yet to become current is not among them: no
/// digest is made with it, so a server may still start without it.
pub(super) fn to_keep(peppers: &Peppers) -> impl Iterator<Item = (i64, Fingerprint)> {
    let in_use = peppers
        .fingerprints()
        .into_iter()
        .filter(|(id, _)| *id <= peppers.current().id());
    in_use.map(|(id, fingerprint)| (i64::from(id.0), fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::samples::pepper;
    use crate::token::secret::{Pepper, TagKey};

    fn tag_key() -> TagKey {
        pepper(7).current().tag_key()
    }

    fn numbered(id: u16) -> Pepper {
        // The first one is that of the samples.
        Pepper::new(
            PepperId(id),
            &[u8::try_from(id + 6).unwrap_or_default(); Pepper::KEY_BYTES],
        )
    }

    fn known(by: &Peppers) -> Result<KnownPeppers, StoreError> {
        KnownPeppers::of(to_keep(by).map(|(id, fingerprint)| (id, fingerprint.to_vec())))
    }

    #[test]
    fn a_server_needs_the_newest_key_and_no_other_under_an_id() -> Result<(), StoreError> {
        let peppers =
            |current, other: Option<u16>| Peppers::new(numbered(current), other.map(numbered), &tag_key());
        let of_two = known(&peppers(2, Some(1)))?;
        assert!(of_two.has(PepperId(2)));
        for fits in [
            peppers(2, Some(1)),
            peppers(2, None),
            peppers(1, Some(2)),
            peppers(3, Some(2)),
        ] {
            assert_eq!(of_two.compare(&fits), Ok(()), "{fits:?}");
        }
        assert_eq!(of_two.compare(&peppers(1, None)), Err(OtherPepper::Lacks(2)));
        assert_eq!(of_two.compare(&pepper(8)), Err(OtherPepper::Differs(1)));
        let other_tags = Peppers::new(numbered(2), None, &pepper(8).current().tag_key());
        assert_eq!(of_two.compare(&other_tags), Err(OtherPepper::Tags));
        // One that was prepared is in no digest yet.
        let prepared = known(&peppers(1, Some(2)))?;
        assert!(!prepared.has(PepperId(2)));
        assert_eq!(prepared.compare(&peppers(1, None)), Ok(()));
        assert_eq!(KnownPeppers::default().compare(&peppers(5, Some(9))), Ok(()));
        Ok(())
    }
}
