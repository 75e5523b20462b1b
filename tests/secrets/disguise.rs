//! That the search would find one.

use super::*;

#[test]
fn a_secret_in_any_disguise_is_found() {
    let secret = "kn_0123456789abcdef0123456789abcdef01234567";
    let bytes = secret.as_bytes();
    for disguise in [
        secret.to_owned(),
        format!("VerifyRequest {{ secret: {secret:?} }}"),
        format!("{bytes:?}"),
        BASE64.encode(bytes),
        BASE64.encode(format!("a{secret}").as_bytes()),
        BASE64URL.encode(format!("ab{secret}").as_bytes()),
        HEXLOWER.encode(bytes),
        HEXUPPER.encode(bytes),
        secret[9..33].to_owned(),
    ] {
        let mut left = Left::default();
        left.0.insert("here".to_owned(), disguise.clone().into_bytes());
        assert_eq!(left.with(&traces(secret)), ["here"], "{disguise}");
        left.0.insert("here".to_owned(), b"kn_0123\xe2\x80\xa6".to_vec());
        assert!(left.with(&traces(secret)).is_empty());
    }
}
