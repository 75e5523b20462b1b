//! How long the secret before lives on when a token is rotated.

use serde::{Deserialize, Serialize};

use super::time::Span;

/// How long the secret before lives on when a token is rotated.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It ends at once: it has leaked.
    #[default]
    None,
    /// From the rotation on.
    For(Span),
    /// From the first use of the new one on: whoever never got the new one still has one that works.
    FromFirstUse(Span),
}

impl Overlap {
    /// The longest there is, whatever the policy says.
    pub const MAX: Span = Span::days(30);

    /// The same, but no longer than `most`.
    pub fn at_most(self, most: Span) -> Overlap {
        match self {
            Overlap::None => Overlap::None,
            Overlap::For(span) => Overlap::For(span.min(most)),
            Overlap::FromFirstUse(span) => Overlap::FromFirstUse(span.min(most)),
        }
    }

    pub fn span(self) -> Span {
        match self {
            Overlap::None => Span::ZERO,
            Overlap::For(span) | Overlap::FromFirstUse(span) => span,
        }
    }
}
