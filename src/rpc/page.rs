//! Pages of a list (AIP-158): how many, and from where.

use super::decode::Fields;
use super::status::Problem;
use crate::store::{READ_MAX, StoreError};
use crate::token::opaque::OpaqueKey;

const SIZE_DEFAULT: u32 = 50;
/// So many times the store is read for one page, where a filter lets little through.
const READS_MAX: u32 = 10;

/// Tells lists apart, and one list with other arguments: a page token is good for one of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListKey<'a> {
    key: &'a OpaqueKey,
    arguments: &'a [&'a [u8]],
}

impl<'a> ListKey<'a> {
    /// The list of this name, which comes first, and these arguments.
    pub(super) fn of(key: &'a OpaqueKey, arguments: &'a [&'a [u8]]) -> ListKey<'a> {
        ListKey { key, arguments }
    }

    /// The token of the page after `position`.
    pub(super) fn token(self, position: &[u8]) -> String {
        self.key.seal(self.arguments, position)
    }

    /// The position a page token of this list stands for; an empty one stands for the beginning.
    pub(super) fn position<T, E>(
        self,
        token: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        if token.is_empty() {
            return Ok(None);
        }
        let position = self
            .key
            .open(self.arguments, token)
            .map_err(|_| Problem::PageToken)?;
        parse(&position).map(Some).map_err(|_| Problem::PageToken)
    }
}

/// An instant, as an argument of a list.
pub(super) fn instant(instant: Option<prost_types::Timestamp>) -> Vec<u8> {
    let instant = instant.map(|instant| format!("{}.{}", instant.seconds, instant.nanos));
    instant.unwrap_or_default().into_bytes()
}

/// The size of a page: 50 by default, at most 1,000.
pub(super) fn size(fields: &mut Fields, page_size: i32) -> u32 {
    match u32::try_from(page_size) {
        Ok(0) => SIZE_DEFAULT,
        Ok(size) => size.min(READ_MAX),
        Err(_) => {
            fields.wrong("page_size", "must not be negative");
            SIZE_DEFAULT
        }
    }
}

/// At most `limit` of those that are wanted, and where the next page begins, if there may be one. Each `read` gives what
/// comes after a place, `batch` at once, and with each the place after it. A page may have fewer, or none.
pub(super) async fn filtered<P: Copy, T, F>(
    limit: usize,
    (start, batch): (P, u32),
    read: impl Fn(P) -> F,
    is_wanted: impl Fn(&T) -> bool,
) -> Result<(Vec<T>, Option<P>), StoreError>
where
    F: Future<Output = Result<Vec<(P, T)>, StoreError>>,
{
    let (mut wanted, mut place) = (Vec::new(), start);
    for _ in 0..READS_MAX {
        let found = read(place).await?;
        let is_last = found.len() < batch as usize;
        for (after, item) in found {
            let is_wanted = is_wanted(&item);
            if is_wanted && wanted.len() == limit {
                return Ok((wanted, Some(place)));
            }
            place = after;
            if is_wanted {
                wanted.push(item);
            }
        }
        if is_last {
            return Ok((wanted, None));
        }
    }
    Ok((wanted, Some(place)))
}
