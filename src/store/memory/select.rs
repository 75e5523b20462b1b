//! Which tokens a filter means, one after another.

use super::Kept;
use crate::journal::Stored;
use crate::store::select::{Named, Selection};
use crate::token::Token;
use crate::token::id::TokenId;
use crate::token::order::Place;
use crate::token::selector::Filter;
use crate::token::standing::Standing;
use crate::token::time::Timestamp;

impl Kept {
    /// The tokens that are next to be looked at, and the last place of them if there are more.
    pub(super) fn next_rows(&self, selection: &Selection) -> (Vec<Stored<Token>>, Option<Place>) {
        let order = selection.order;
        let place = |stored: &Stored<Token>| order.place(&stored.record);
        let after = selection.after.as_ref();
        let is_next = |stored: &&Stored<Token>| {
            selection.filter.namespace.as_ref() == Some(&stored.record.namespace)
                && after.is_none_or(|after| order.is_after(&place(stored), after))
        };
        let mut rows: Vec<_> = self.tokens.values().filter(is_next).cloned().collect();
        order.sort(&mut rows, place);
        let reads = selection.reads() as usize;
        let end = if rows.len() > reads {
            rows.get(reads - 1).map(place)
        } else {
            None
        };
        rows.truncate(reads);
        (rows, end)
    }

    pub(super) fn standing_of(&self, token: &Token) -> Option<&Standing> {
        let key = (token.namespace.clone(), token.subject.clone());
        Some(&self.standings.get(&key)?.record)
    }

    /// All tokens: a filter knows which of them it names.
    pub(super) fn named(&self) -> Vec<Named> {
        let named = |stored: &Stored<Token>| (stored.clone(), self.standing_of(&stored.record).cloned());
        self.tokens.values().map(named).collect()
    }

    pub(super) fn last_use(&self) -> impl Fn(TokenId) -> Option<Timestamp> {
        |id| self.usage.usages.get(&id)?.last_use_time()
    }

    /// Whether a filter means a token.
    pub(super) fn is_meant(&self, filter: &Filter) -> impl Fn(&Stored<Token>) -> bool {
        let last_use = self.last_use();
        move |stored| {
            let token = &stored.record;
            filter.matches(token, self.standing_of(token), last_use(token.id))
        }
    }
}
