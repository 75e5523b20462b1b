//! One token text, one canonical form: what is minted parses, and nothing near it does.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::token::samples::{any_format, chance, pepper, prefix};

fn format(prefix_text: &str, body: Body) -> Format {
    Format {
        prefix: prefix(prefix_text),
        body,
    }
}

fn bodies() -> Result<[Body; 4], FormatError> {
    Ok([
        Body::Native,
        Body::hex(40)?,
        Body::base64url(48)?,
        Body::base62(32)?,
    ])
}

fn parse(format: &Format, text: &str) -> Result<(), Malformed> {
    format.parse(&Secret::new(text.to_owned()))
}

fn minted(format: &Format, seed: u64) -> String {
    format.mint(&pepper(7), &mut chance(seed)).expose().to_owned()
}

fn replaced(text: &str, position: usize, c: char) -> String {
    let (before, after) = text.split_at(position);
    let mut changed = before.to_owned();
    changed.push(c);
    changed.push_str(&after[1..]);
    changed
}

#[test]
fn the_published_shape_of_a_native_token() {
    // Computed with Python's hmac, hashlib and zlib, from the sentence on `Body::Native`.
    let mut count = 0;
    let mut fill = |bytes: &mut [u8]| {
        for byte in bytes {
            *byte = count;
            count = count.wrapping_add(1);
        }
    };
    let secret = format("kn_", Body::Native).mint(&pepper(7), &mut fill);
    assert_eq!(secret.expose(), "kn_0123456789ABCDEFGHIJKLMNOPQRSTQUuo4Y3s6Fk8");
}

#[test]
fn every_wrong_base62_character_of_a_native_token_is_refused() {
    let format = format("kn_", Body::Native);
    let text = minted(&format, 1);
    for position in 0..text.len() {
        let wanted = if position < 3 {
            Malformed::Prefix
        } else {
            Malformed::Checksum
        };
        for c in BASE62.iter().map(|c| char::from(*c)) {
            let changed = replaced(&text, position, c);
            if changed != text {
                assert_eq!(parse(&format, &changed), Err(wanted), "{changed}");
            }
        }
    }
}

#[test]
fn two_swapped_neighbours_of_a_native_token_are_refused() {
    let format = format("kn_", Body::Native);
    let text = minted(&format, 2);
    for position in 3..text.len() - 1 {
        let (left, right) = (text.as_bytes()[position], text.as_bytes()[position + 1]);
        let swapped = replaced(&text, position, char::from(right));
        let swapped = replaced(&swapped, position + 1, char::from(left));
        assert_eq!(parse(&format, &swapped).is_ok(), left == right, "{swapped}");
    }
}

#[test]
fn a_long_enough_text_with_a_foreign_letter_is_not_called_too_short_or_long() -> Result<(), FormatError> {
    for body in bodies()? {
        let format = format("kn_", body);
        let text = minted(&format, 3);
        for c in ['é', '🦀', '\0', ' ', '='] {
            let changed = replaced(&text, 10, c);
            assert_eq!(parse(&format, &changed), Err(Malformed::Alphabet), "{changed}");
        }
    }
    Ok(())
}

#[test]
fn letters_have_one_case_in_hexadecimal() -> Result<(), FormatError> {
    let format = format("kn_", Body::hex(64)?);
    let text = minted(&format, 4);
    let letters = text
        .char_indices()
        .skip(3)
        .filter(|(_, c)| c.is_ascii_lowercase());
    assert!(letters.clone().count() > 0);
    for (position, c) in letters {
        let changed = replaced(&text, position, c.to_ascii_uppercase());
        assert_eq!(parse(&format, &changed), Err(Malformed::Alphabet), "{changed}");
    }
    Ok(())
}

#[test]
fn each_letter_of_an_alphabet_is_as_likely_as_the_other() -> Result<(), FormatError> {
    for body in [
        Body::Native,
        Body::hex(128)?,
        Body::base64url(128)?,
        Body::base62(128)?,
    ] {
        let format = format("kn_", body);
        let fair = if body == Body::Native { NATIVE_RANDOM } else { 128 };
        let mut counts: BTreeMap<u8, u32> = body.alphabet().iter().map(|letter| (*letter, 0)).collect();
        let mut fill = chance(5);
        let mut drawn = 0;
        while drawn < 60_000 {
            let secret = format.mint(&pepper(7), &mut fill);
            for letter in &secret.expose().as_bytes()[3..3 + fair] {
                *counts.entry(*letter).or_default() += 1;
                drawn += 1;
            }
        }
        assert_eq!(
            counts.len(),
            body.alphabet().len(),
            "letters outside the alphabet"
        );
        let expected = f64::from(drawn) / f64::from(u32::try_from(counts.len()).unwrap_or(0));
        let chi_square: f64 = counts
            .values()
            .map(|count| (f64::from(*count) - expected).powi(2) / expected)
            .sum();
        // The mean is the number of letters less one, the deviation at most 11.3; a remainder taken of a
        // whole byte would come to about 390 over base62.
        assert!(chi_square < 130.0, "{body:?}: {chi_square}");
    }
    Ok(())
}

#[test]
fn no_random_byte_is_used_twice() {
    let format = format("kn_", Body::Native);
    let mut fill = chance(6);
    let mut mint = || format.mint(&pepper(7), &mut fill).expose().to_owned();
    assert_ne!(mint(), mint());
}

#[test]
fn prefixes() {
    for text in ["a_", "kn_", "tok_live_", "a1_", "a__", "abcdefghijklmno_"] {
        assert!(Prefix::try_from(text.to_owned()).is_ok(), "{text}");
    }
    for text in [
        "",
        "_",
        "a",
        "kn",
        "1a_",
        "_a_",
        "Kn_",
        "k-n_",
        "k n_",
        "ké_",
        "kn_ ",
        "abcdefghijklmnop_",
    ] {
        assert_eq!(
            Prefix::try_from(text.to_owned()),
            Err(FormatError::NotPrefix),
            "{text}"
        );
    }
}

#[test]
fn bodies_have_at_least_128_bits_and_at_most_128_characters() {
    type Make = fn(i64) -> Result<Body, FormatError>;
    let makers: [(Make, i64); 3] = [(Body::hex, 32), (Body::base64url, 22), (Body::base62, 22)];
    for (make, min) in makers {
        assert!(make(min).is_ok() && make(128).is_ok());
        for length in [min - 1, 129, 0, -1, 256 + min, i64::MIN, i64::MAX] {
            let refusal = FormatError::Length {
                min: u8::try_from(min).unwrap_or(0),
                max: 128,
                found: length,
            };
            assert_eq!(make(length), Err(refusal));
        }
    }
}

proptest! {
    #[test]
    fn what_is_minted_parses_and_is_ours(format in any_format(), seed: u64) {
        let secret = format.mint(&pepper(7), &mut chance(seed));
        prop_assert_eq!(format.parse(&secret), Ok(()));
        prop_assert!(format.tag_holds(&secret, &pepper(7)));
        prop_assert!(secret.expose().len() <= SECRET_BYTES_MAX);
    }

    #[test]
    fn the_tag_tells_another_servers_tokens(format in any_format(), seed: u64, key in 8_u8..) {
        let secret = format.mint(&pepper(7), &mut chance(seed));
        // Without a tag nothing can be told, and the look-up decides.
        prop_assert_eq!(format.tag_holds(&secret, &pepper(key)), format.body != Body::Native);
    }

    #[test]
    fn any_other_character_anywhere_is_refused(
        prefix in crate::token::samples::any_prefix(),
        seed: u64,
        position: proptest::sample::Index,
        c: char,
    ) {
        let format = Format { prefix, body: Body::Native };
        let text = minted(&format, seed);
        let changed = replaced(&text, position.index(text.len()), c);
        prop_assume!(changed != text);
        prop_assert!(parse(&format, &changed).is_err(), "{}", changed);
    }

    #[test]
    fn nothing_is_trimmed_padded_or_appended(format in any_format(), seed: u64, c: char) {
        let text = minted(&format, seed);
        for changed in [
            format!("{text}{c}"),
            format!("{c}{text}"),
            text[..text.len() - 1].to_owned(),
            text[1..].to_owned(),
            format!("{text}="),
            format!(" {text}"),
            format!("{text}\n"),
            format!("Bearer {text}"),
            format!("{}{text}", format.prefix.as_str()),
            text[format.prefix.as_str().len()..].to_owned(),
            String::new(),
        ] {
            prop_assert!(parse(&format, &changed).is_err(), "{}", changed);
        }
    }

    #[test]
    fn a_token_of_another_prefix_is_refused(format in any_format(), other in any_format(), seed: u64) {
        prop_assume!(!format.prefix.overlaps(&other.prefix));
        let text = minted(&format, seed);
        prop_assert_eq!(parse(&Format { body: format.body, ..other }, &text), Err(Malformed::Prefix));
    }

    #[test]
    fn a_hint_shows_the_prefix_and_four_characters(format in any_format(), seed: u64) {
        let secret = format.mint(&pepper(7), &mut chance(seed));
        let shown = format.hint(&secret).to_string();
        let begin = shown.strip_suffix('…').unwrap_or_default();
        prop_assert!(secret.expose().starts_with(begin));
        prop_assert_eq!(begin.len(), format.prefix.as_str().len() + 4);
    }
}
