//! A plan to revoke many tokens: what a preview hands out, and whoever goes on with it brings back.

use std::time::Duration;

use crate::journal::cursor::{Cursor, Epoch};
use crate::journal::{Change, Entry, Revision};
use crate::token::change::TokenChange;
use crate::token::id::{RequestDigest, Slug, TokenId};
use crate::token::opaque::OpaqueKey;
use crate::token::selector::Selector;
use crate::token::text::Actor;
use crate::token::time::Timestamp;

/// So long after its preview a plan can be carried out, or taken up again.
pub const PLAN_KEPT: Duration = Duration::from_hours(1);

/// What is to be revoked.
#[derive(Clone, Debug)]
pub struct Matching {
    /// `None`: wherever the tokens that the selector names are.
    pub namespace: Option<Slug>,
    pub selector: Selector,
}

/// A preview that was given: of what, is bound to its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    pub(super) id: [u8; 16],
    /// What is issued later is not meant; what has expired by then is expired.
    pub(super) made: Timestamp,
    /// The end of the journal at that time: what the plan has done comes after it.
    pub(super) cursor: Cursor,
}

impl Plan {
    pub(super) fn seal(&self, key: &OpaqueKey, of: &Matching, actor: &Actor) -> String {
        let said = [
            &self.id[..],
            &self.made.micros().to_be_bytes(),
            self.cursor.epoch.as_bytes(),
            &self.cursor.revision.get().to_be_bytes(),
        ];
        purpose(of, actor, |purpose| key.seal(purpose, &said.concat()))
    }

    /// The plan in a text that was sealed for the same tokens and the same caller.
    pub(super) fn open(key: &OpaqueKey, of: &Matching, actor: &Actor, text: &str) -> Option<Plan> {
        let said = purpose(of, actor, |purpose| key.open(purpose, text)).ok()?;
        let (id, rest) = said.split_first_chunk()?;
        let (made, rest) = rest.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk::<16>()?;
        Some(Plan {
            id: *id,
            made: Timestamp::from_micros(i64::from_be_bytes(*made)).ok()?,
            cursor: Cursor {
                epoch: Epoch::new(*epoch),
                revision: Revision::new(u64::from_be_bytes(rest.try_into().ok()?)),
            },
        })
    }

    pub(super) fn expire_time(&self) -> Timestamp {
        self.made.after(PLAN_KEPT).unwrap_or(Timestamp::MAX)
    }

    /// The one request by which the plan revokes this token, however often it is carried out.
    pub(super) fn request(&self, token_id: TokenId) -> RequestDigest {
        let what = [&b"revoke matching"[..], &self.id, token_id.as_bytes()];
        RequestDigest::of_program(&what.concat())
    }

    /// Whether the plan has written this entry.
    pub(super) fn has_written(&self, entry: &Entry) -> bool {
        matches!(
            entry.change,
            Change::Token { token_id, change: TokenChange::Revoked(_), .. }
                if entry.request_id == self.request(token_id)
        )
    }
}

fn purpose<T>(of: &Matching, actor: &Actor, with: impl FnOnce(&[&[u8]]) -> T) -> T {
    let selected = serde_json::json!([of.namespace, of.selector]).to_string();
    with(&[b"revoke matching", selected.as_bytes(), actor.as_str().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples::EPOCH;
    use crate::token::samples::{instant, name, pepper, slug};

    #[test]
    fn a_plan_is_good_for_its_caller_and_what_it_was_made_for() {
        let key = pepper(7).opaque_key();
        let plan = Plan {
            id: [3; 16],
            made: instant(5),
            cursor: Cursor {
                epoch: EPOCH,
                revision: Revision::new(9),
            },
        };
        let of = Matching {
            namespace: Some(slug("notes")),
            selector: Selector {
                name_prefix: Some(name("ci-")),
                ..Selector::default()
            },
        };
        let actor = |text: &str| Actor::try_from(text.to_owned()).unwrap();
        let text = plan.seal(&key, &of, &actor("ann"));
        assert_eq!(Plan::open(&key, &of, &actor("ann"), &text), Some(plan.clone()));
        assert_eq!(Plan::open(&key, &of, &actor("bob"), &text), None);
        let elsewhere = Matching {
            namespace: Some(slug("tasks")),
            ..of.clone()
        };
        let wider = Matching {
            selector: Selector::default(),
            ..of
        };
        for other in [elsewhere, wider] {
            assert_eq!(Plan::open(&key, &other, &actor("ann"), &text), None);
        }
        assert_eq!(plan.expire_time(), instant(3_600_000_005));
    }
}
