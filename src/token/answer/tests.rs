use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::token::samples::{any_instant, any_token, instant, pepper, token};

type Tested = Result<(), Box<dyn std::error::Error>>;

const ID: &str = "7d444840-9dc0-41d1-b245-5ffdce74fad2";

fn sealed(text: &str) -> Result<(SealedAnswer, RequestId), Box<dyn std::error::Error>> {
    let id = RequestId::parse(ID)?;
    let secret = Secret::new(text.to_owned());
    let answer = SealedAnswer::seal(pepper(7).current(), &id, [9; 24], &token(1), &secret, instant(1))?;
    Ok((answer, id))
}

#[test]
fn the_request_id_and_the_pepper_open_it_and_nothing_less() -> Tested {
    let (answer, id) = sealed("kn_secret")?;
    let (opened, secret) = answer.open(pepper(7).current(), &id)?;
    assert_eq!((opened, secret.expose()), (token(1), "kn_secret"));
    let other = RequestId::parse("7d444840-9dc0-41d1-b245-5ffdce74fad3")?;
    assert!(answer.open(pepper(8).current(), &id).is_err());
    assert!(answer.open(pepper(7).current(), &other).is_err());
    Ok(())
}

/// An answer that was sealed is opened by every later version.
#[test]
fn the_form_of_a_seal_stays_what_it_is() -> Tested {
    // Made with Python: XChaCha20-Poly1305 under HKDF-SHA-256, salted with the pepper's HMAC of the label.
    let sealed = include_str!("tests/sealed.hex").trim_end();
    let answer = SealedAnswer {
        pepper: PepperId(1),
        sealed: HEXLOWER.decode(sealed.as_bytes())?,
        expire_time: instant(1),
    };
    let (opened, secret) = answer.open(pepper(7).current(), &RequestId::parse(ID)?)?;
    assert_eq!((opened, secret.expose()), (token(1), "kn_secret"));
    Ok(())
}

#[test]
fn an_answer_that_was_altered_does_not_open() -> Tested {
    let (answer, id) = sealed("kn_secret")?;
    for place in 0..answer.sealed.len() {
        let mut altered = answer.clone();
        altered.sealed[place] ^= 1;
        assert!(altered.open(pepper(7).current(), &id).is_err(), "{place}");
    }
    for length in 0..answer.sealed.len() {
        let mut cut = answer.clone();
        cut.sealed.truncate(length);
        assert!(cut.open(pepper(7).current(), &id).is_err(), "{length}");
    }
    let prolonged = SealedAnswer {
        expire_time: instant(2),
        ..answer
    };
    assert!(prolonged.open(pepper(7).current(), &id).is_err());
    Ok(())
}

#[test]
fn a_seal_shows_nothing() -> Tested {
    let (answer, _) = sealed("kn_secret")?;
    let shown = format!(
        "{answer:?} {:?} {}",
        answer.sealed,
        String::from_utf8_lossy(&answer.sealed)
    );
    assert!(!shown.contains("secret") && !shown.contains("ann"), "{shown}");
    // What is read by eye does not even repeat the ciphertext.
    assert!(!format!("{answer:?}").contains("[9"), "{answer:?}");
    Ok(())
}

proptest! {
    #[test]
    fn what_was_sealed_is_what_is_opened(
        token in any_token(),
        text in ".{0,300}",
        id in any::<[u8; 16]>(),
        nonce in any::<[u8; 24]>(),
        expire_time in any_instant(),
    ) {
        let (id, pepper) = (RequestId::new(id), pepper(7));
        let secret = Secret::new(text.clone());
        let answer = SealedAnswer::seal(pepper.current(), &id, nonce, &token, &secret, expire_time);
        let answer = answer.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let opened = answer.open(pepper.current(), &id).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!((opened.0, opened.1.expose()), (token, &*text));
    }
}
