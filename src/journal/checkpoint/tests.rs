//! Checkpoints: of the published form, and believed only with the signature of the key.

use proptest::prelude::*;

use super::super::tree::Range;
use super::*;

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::new(Some(KeyName::try_from(name.to_owned()).unwrap()), &[seed; 32]).unwrap()
}

fn note() -> String {
    key("example.com/log", 1).sign(Revision::new(3), Range::default().root())
}

/// The key and the note of golang.org/x/mod/sumdb/note's own documentation.
#[test]
fn notes_of_others_are_read() {
    let key: VerifyingKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        .parse()
        .unwrap();
    let note = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    // The signature is good; the text is no checkpoint.
    assert_eq!(key.open(note), Err(NotCheckpoint::Text));
    let changed = note.replace("answer", "Answer");
    assert_eq!(key.open(&changed), Err(NotCheckpoint::Forged));
}

#[test]
fn a_checkpoint_has_the_published_form() {
    let note = note();
    let lines: Vec<_> = note.split('\n').collect();
    assert_eq!(lines[0], "example.com/log");
    assert_eq!(lines[1], "3");
    assert_eq!(lines[2], "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(lines[3], "");
    assert!(lines[4].starts_with("\u{2014} example.com/log "));
    assert_eq!((lines[5], lines.len()), ("", 6));
}

#[test]
fn keys_are_read_as_they_are_written() {
    let key = key("example.com/log", 1);
    let again = SigningKey::parse(&key.to_text()).unwrap();
    assert_eq!(again.verifying(), key.verifying());
    assert_eq!(again.to_text(), key.to_text());
    assert_eq!(key.verifying().to_string().parse(), Ok(key.verifying()));
    assert!(!format!("{key:?}").contains("AQEBAQ"), "{key:?}");
    let own = SigningKey::new(None, &[2; 32]).unwrap().verifying();
    assert!(own.name.as_str().starts_with("tokenward/"), "{own}");
    let text = key.verifying().to_string();
    for bad in [
        "",
        "a",
        "a+b",
        "a+b+c",
        &text[1..],
        &text[..text.len() - 4],
        &text.replace("log", "log2"),
    ] {
        assert_eq!(bad.parse::<VerifyingKey>(), Err(NotKey::Verifying), "{bad}");
    }
    let private = key.to_text();
    for bad in [
        &text,
        &private.replace("log", "log2"),
        &private.replace("PRIVATE", ""),
    ] {
        assert_eq!(SigningKey::parse(bad).err(), Some(NotKey::Signing));
    }
    for bad in ["", "a b", "a+b", "a\nb", &"x".repeat(201)] {
        assert_eq!(KeyName::try_from(bad.to_owned()), Err(NotKey::Name));
    }
}

#[test]
fn only_the_key_that_signed_opens() {
    let note = note();
    let signer = key("example.com/log", 1).verifying();
    assert_eq!(
        signer.open(&note).map(|opened| opened.revision),
        Ok(Revision::new(3))
    );
    assert_eq!(
        key("example.com/log", 2).verifying().open(&note),
        Err(NotCheckpoint::NotSigned)
    );
    assert_eq!(
        key("example.com/2", 1).verifying().open(&note),
        Err(NotCheckpoint::NotSigned)
    );
    // A witness' signature beside it is passed over.
    let witness = key("witness", 3).sign(Revision::new(3), Range::default().root());
    let line = witness.lines().last().unwrap();
    let opened = signer.open(&format!("{note}{line}\n"));
    assert_eq!(opened, signer.open(&note));
    // Another key of the same name claims to be it.
    let forged = key("example.com/log", 2).sign(Revision::new(4), Range::default().root());
    assert_eq!(signer.open(&forged), Err(NotCheckpoint::NotSigned));
}

#[test]
fn extension_lines_are_let_be_and_odd_sizes_are_not() {
    let root = BASE64.encode(Range::default().root().as_bytes());
    let origin = "example.com/log";
    let parse = |text: &str| Checkpoint::parse(text).map(|checkpoint| checkpoint.revision.get());
    assert_eq!(parse(&format!("{origin}\n7\n{root}\nmore\n")), Some(7));
    for size in ["", "07", "+7", "-7", "7 ", "99999999999999999999"] {
        assert_eq!(parse(&format!("{origin}\n{size}\n{root}\n")), None, "{size:?}");
    }
    for text in ["", "\n", "a\n1\n", "a\n1\nAAAA\n", "a b\n1\nx\n"] {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_note_that_is_changed_anywhere_is_refused(at in any::<prop::sample::Index>(), to in any::<char>()) {
        let note = note();
        let mut chars: Vec<char> = note.chars().collect();
        let at = at.index(chars.len());
        prop_assume!(chars[at] != to);
        chars[at] = to;
        let changed: String = chars.into_iter().collect();
        prop_assert!(key("example.com/log", 1).verifying().open(&changed).is_err());
    }

    #[test]
    fn garbage_is_no_note(text in "(\\PC|\n|\u{2014} ){0,200}") {
        prop_assert!(key("example.com/log", 1).verifying().open(&text).is_err());
    }
}
