//! Free text a person wrote: bounded, and without characters that hide or reorder what is shown.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::TokenId;
use super::time::{Timestamp, spelled};

/// Why a text was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TextError {
    #[error("must have at least {min} characters, not {chars}")]
    TooShort { min: usize, chars: usize },
    #[error("must have at most {max} characters, not {chars}")]
    TooLong { max: usize, chars: usize },
    #[error("must not contain {what} (U+{code:04X} at character {position})")]
    Forbidden {
        what: &'static str,
        code: u32,
        position: usize,
    },
}

/// Checks `text` against its bounds in characters and refuses what no honest name needs.
///
/// Control characters break logs and tables (and Postgres has no NUL); bidirectional controls and
/// invisible characters let two different names look the same.
fn check(text: &str, min: usize, max: usize) -> Result<(), TextError> {
    // Bytes first: a text of many megabytes is refused without walking it.
    if text.len() > max * 4 {
        return Err(TextError::TooLong {
            max,
            chars: text.chars().count(),
        });
    }
    let mut chars = 0;
    for (position, c) in text.chars().enumerate() {
        chars += 1;
        if let Some(what) = forbidden(c) {
            return Err(TextError::Forbidden {
                what,
                code: u32::from(c),
                position,
            });
        }
    }
    match chars {
        n if n < min => Err(TextError::TooShort { min, chars }),
        n if n > max => Err(TextError::TooLong { max, chars }),
        _ => Ok(()),
    }
}

/// What a character is that no honest text has.
pub(super) fn forbidden(c: char) -> Option<&'static str> {
    match c {
        '\0' => Some("NUL"),
        c if c.is_control() => Some("control characters"),
        '\u{2028}' | '\u{2029}' => Some("line or paragraph separators"),
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
            Some("bidirectional controls")
        }
        '\u{00AD}'
        | '\u{180E}'
        | '\u{200B}'..='\u{200D}'
        | '\u{2060}'..='\u{2064}'
        | '\u{FEFF}'
        | '\u{E0000}'..='\u{E007F}' => Some("zero-width characters"),
        _ => None,
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $min:literal to $max:literal characters) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<$name, TextError> {
                check(&text, $min, $max)?;
                Ok($name(text))
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text! {
    /// What people call a token or a namespace; may be empty, need not be unique.
    Name, 0 to 200 characters
}
text! {
    /// Whom a token speaks for.
    Subject, 1 to 200 characters
}
text! {
    /// What a row of an import is known by, in the words of whoever imports: once in each import.
    ImportKey, 1 to 200 characters
}
text! {
    /// Who made a change.
    Actor, 1 to 200 characters
}
text! {
    /// Why a token was revoked or suspended, in a person's words.
    Reason, 0 to 500 characters
}
text! {
    /// The value of a label.
    LabelValue, 0 to 200 characters
}

text! {
    /// What a subject pays for, or whatever else decides what it is entitled to.
    Plan, 1 to 63 characters
}

impl Reason {
    /// Why this program suspends a token by itself.
    pub fn retired_secret_used(version: u32) -> Reason {
        Reason(format!("secret version {version} was used after its end"))
    }

    /// Why this program withdraws a token that nobody uses.
    pub fn unused(since: Timestamp, after: Duration) -> Reason {
        Reason(format!("not used since {since}, for {}", spelled(after)))
    }
}

impl Actor {
    /// Whoever made the first credential. No certificate names anybody so, and no token.
    pub fn bootstrap() -> Actor {
        Actor("bootstrap".to_owned())
    }

    /// This program, where nobody asked for the change.
    pub fn own() -> Actor {
        Actor("tokenward".to_owned())
    }

    /// The part of this program that acts on time alone.
    pub fn lifecycle() -> Actor {
        Actor("tokenward:lifecycle".to_owned())
    }

    /// Whoever presents this token.
    pub fn of_token(id: TokenId) -> Actor {
        Actor(format!("token:{id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<Name, TextError> {
        Name::try_from(text.to_owned())
    }

    #[test]
    fn honest_text_survives() {
        for text in [
            "",
            "Laptop of Ada",
            "e\u{301}",
            "🦀🏳",
            "日本語",
            &"ß".repeat(200),
            &"🦀".repeat(200),
        ] {
            assert_eq!(name(text).map(String::from).as_deref(), Ok(text));
        }
    }

    #[test]
    fn hidden_characters_are_refused() {
        for c in [
            '\0', '\n', '\u{7f}', '\u{85}', '\u{202e}', '\u{2066}', '\u{200b}', '\u{200d}', '\u{feff}',
            '\u{2028}',
        ] {
            let refusal = name(&format!("a{c}b"));
            assert!(
                matches!(refusal, Err(TextError::Forbidden { position: 1, .. })),
                "{c:?}: {refusal:?}"
            );
        }
    }

    #[test]
    fn bounds_are_counted_in_characters() {
        assert_eq!(
            name(&"🦀".repeat(201)),
            Err(TextError::TooLong { max: 200, chars: 201 })
        );
        assert_eq!(
            name(&"a".repeat(100_000)),
            Err(TextError::TooLong {
                max: 200,
                chars: 100_000
            })
        );
        assert_eq!(
            Subject::try_from(String::new()),
            Err(TextError::TooShort { min: 1, chars: 0 })
        );
    }
}
