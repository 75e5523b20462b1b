use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn phc(text: &str) -> Result<Phc, NotPhc> {
    Phc::try_from(text.to_owned())
}

fn matches(digest: &str, text: &str) -> bool {
    phc(digest).unwrap().matches(&Secret::new(text.to_owned()))
}

/// From the test vectors of the crates `argon2` and `bcrypt`.
const VECTORS: [(&str, &str); 6] = [
    (
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "password",
    ),
    (
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "password",
    ),
    (
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94",
        "differentpassword",
    ),
    (
        "$2a$04$UuTkLRZZ6QofpDOlMz32MuuxEHA43WOemOYHPz6.SjsVsyO1tDU96",
        "password",
    ),
    (
        "$2b$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie",
        "correctbatteryhorsestapler",
    ),
    (
        "$2y$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie",
        "correctbatteryhorsestapler",
    ),
];

#[test]
fn published_vectors_match_and_others_do_not() {
    for (digest, text) in VECTORS {
        assert!(matches(digest, text), "{digest}");
        assert!(!matches(digest, &format!("{text} ")), "{digest}");
        assert!(!matches(digest, ""), "{digest}");
    }
}

#[test]
fn what_python_made_matches_the_text_it_was_made_of_alone() -> Result<(), Box<dyn std::error::Error>> {
    let made = include_str!("../../../tests/fixtures/import/digests.jsonl");
    let rows: Vec<serde_json::Value> = made.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of = |row: &serde_json::Value, field: &str| row[field].as_str().map(str::to_owned);
    let digests: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((of(row, "text")?, of(row, "phc")?)))
        .collect();
    assert_eq!(digests.len(), 5);
    for (text, digest) in &digests {
        for (other, _) in &digests {
            assert_eq!(matches(digest, other), text == other, "{digest} and {other}");
        }
    }
    Ok(())
}

#[test]
fn bcrypt_is_for_texts_that_it_reads_to_their_end() {
    let bcrypt = phc(VECTORS[4].0).unwrap();
    assert!(bcrypt.tells_apart(72) && !bcrypt.tells_apart(73));
    assert!(phc(VECTORS[0].0).unwrap().tells_apart(1000));
    // What was made of 80 characters would do for all texts that begin with its first 72.
    let long = bcrypt::hash_with_salt("x".repeat(80), 4, [1; 16])
        .unwrap()
        .to_string();
    assert!(!matches(&long, &"x".repeat(80)));
    assert!(matches(&long, &"x".repeat(72)));
}

#[test]
fn a_debug_shows_the_algorithm_alone() {
    let shown = format!("{:?}", phc(VECTORS[0].0).unwrap());
    assert_eq!(shown, "Phc($argon2id$…)");
}

const SALT: &str = "c29tZXNhbHQ";
const HASH: &str = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

#[test]
fn what_takes_too_much_is_not_taken() {
    let scrypt = |parameters: &str| phc(&format!("$scrypt${parameters}${SALT}${HASH}")).err();
    for fits in [
        "ln=17,r=8,p=1",
        "ln=14,r=8,p=16",
        "ln=15,r=8,p=16",
        "ln=20,r=1,p=4",
        "ln=1,r=1,p=1",
    ] {
        assert_eq!(scrypt(fits), None, "{fits}");
    }
    for (beyond, error) in [
        ("ln=18,r=8,p=1", NotPhc::Memory),
        ("ln=17,r=9,p=1", NotPhc::Memory),
        ("ln=63,r=4294967295,p=1", NotPhc::Memory),
        ("ln=256,r=1,p=1", NotPhc::Memory),
        ("ln=17,r=8,p=5", NotPhc::Filled),
        ("ln=14,r=8,p=17", NotPhc::Parameters),
        ("ln=14,r=8,p=0", NotPhc::Parameters),
        ("ln=0,r=8,p=1", NotPhc::Parameters),
        ("ln=64,r=8,p=1", NotPhc::Parameters),
        ("ln=14,r=0,p=1", NotPhc::Parameters),
    ] {
        assert_eq!(scrypt(beyond), Some(error), "{beyond}");
    }
    let argon2 = |parameters: &str| phc(&format!("$argon2id$v=19${parameters}${SALT}${HASH}")).err();
    for fits in ["m=131072,t=4,p=1", "m=65536,t=3,p=4", "m=8,t=1,p=1"] {
        assert_eq!(argon2(fits), None, "{fits}");
    }
    for (beyond, error) in [
        ("m=131073,t=1,p=1", NotPhc::Memory),
        ("m=131072,t=5,p=1", NotPhc::Filled),
        ("m=8,t=4294967295,p=1", NotPhc::Filled),
        ("m=65536,t=1,p=17", NotPhc::Parameters),
        ("m=7,t=1,p=1", NotPhc::Parameters),
        ("m=8,t=0,p=1", NotPhc::Parameters),
    ] {
        assert_eq!(argon2(beyond), Some(error), "{beyond}");
    }
    let bcrypt = |cost| phc(&VECTORS[4].0.replace("$04$", cost)).err();
    assert_eq!(
        [bcrypt("$14$"), bcrypt("$15$"), bcrypt("$03$")],
        [None, Some(NotPhc::Cost), Some(NotPhc::Cost)]
    );
}

#[test]
fn there_is_one_spelling() {
    for text in [
        "",
        "$",
        "scrypt",
        "$scrypt",
        "$md5$c29tZXNhbHQ$nf65EOgLrQMR",
        &format!("$argon2i$v=19$m=8,t=1,p=1${SALT}${HASH}"),
        &format!("$argon2id$v=16$m=8,t=1,p=1${SALT}${HASH}"),
        &format!("$argon2id$m=8,t=1,p=1${SALT}${HASH}"),
        &format!("$argon2id$v=19$m=8,p=1,t=1${SALT}${HASH}"),
        &format!("$scrypt$ln=04,r=8,p=1${SALT}${HASH}"),
        &format!("$scrypt$ln=+4,r=8,p=1${SALT}${HASH}"),
        &format!("$scrypt$ln=4,r=8${SALT}${HASH}"),
        &format!("$scrypt$ln=4,r=8,p=1,x=1${SALT}${HASH}"),
        &format!("$scrypt$ln=4,r=8,p=1${SALT}${HASH}="),
        &format!("$scrypt$ln=4,r=8,p=1${SALT}${HASH}$"),
        &format!("$scrypt$ln=4,r=8,p=1${SALT}$"),
        &format!("$scrypt$ln=4,r=8,p=1$${HASH}"),
        &format!("$scrypt$ln=4,r=8,p=1${SALT}${}", &HASH[..20]),
        &format!(" $scrypt$ln=4,r=8,p=1${SALT}${HASH}"),
        &format!("$sha256${HASH}"),
        &format!("$sha512${HASH}"),
        &format!("$sha256${SALT}${SALT}"),
        &VECTORS[4].0.replace("$2b$", "$2x$"),
        &VECTORS[4].0[..59],
        // Bits to spare in the last character of the salt.
        "$2b$04$EGdrhbKUv8Oc9vGiXX0HQPxSg445d458Muh7DAHskb6QbtCvdxcie",
    ] {
        assert!(phc(text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn what_is_taken_is_what_was_given(text in "\\$(scrypt|argon2id|2b|sha512|sha256)\\$[a-z0-9=,$/+]{0,120}") {
        if let Ok(taken) = phc(&text) {
            prop_assert_eq!(taken.as_str(), &text);
        }
    }

    #[test]
    fn nothing_makes_it_panic(text in ".{0,300}") {
        let _ = phc(&text);
    }

    #[test]
    fn every_salted_digest_matches_its_text(
        salt in vec(any::<u8>(), 1..=64),
        text in "[ -~]{1,100}",
        long in any::<bool>(),
    ) {
        let (name, hash) = if long {
            ("sha512", Sha512::new().chain_update(&salt).chain_update(&text).finalize().to_vec())
        } else {
            ("sha256", Sha256::new().chain_update(&salt).chain_update(&text).finalize().to_vec())
        };
        let written = format!("${name}${}${}", BASE64_NOPAD.encode(&salt), BASE64_NOPAD.encode(&hash));
        prop_assert!(matches(&written, &text));
        let longer = text + "x";
        prop_assert!(!matches(&written, &longer));
    }

    #[test]
    fn digests_of_different_texts_are_different(one in vec(any::<u8>(), 64), other in vec(any::<u8>(), 64)) {
        let of = |hash: &[u8]| Phc::of_sha512(hash.try_into().unwrap());
        prop_assert_eq!(of(&one).digest() == of(&other).digest(), one == other);
        prop_assert_eq!(phc(of(&one).as_str()), Ok(of(&one)));
    }
}
