use super::*;
use crate::token::format::{Body, Malformed};
use crate::token::id::ImportId;
use crate::token::policy::Policy;
use crate::token::samples::{instant, name, namespace, pepper, scopes, withdrawal};
use crate::token::scope::Scopes;
use crate::token::secret::Secret;

const TEXT: &str = "kn_0196720b2521dd0259f43e4cee7f05f5f5c3a801";
/// Of that text, by Python's hashlib.
const SHA256: &str = "942d2a13320a5f6780736684d9f8915f93365e1e23b2a2ba3970489f767a57ae";

fn notes() -> Namespace {
    let mut notes = namespace("notes", "kn_");
    notes.format.body = Body::hex(40).unwrap();
    notes
}

fn row(digest: ImportedDigest) -> Row {
    Row {
        key: ImportKey::try_from("1".to_owned()).unwrap(),
        name: name("Laptop"),
        subject: Subject::try_from("ann".to_owned()).unwrap(),
        scopes: scopes(&["read"]),
        labels: Labels::default(),
        digest,
        beginning: "kn_0196".to_owned(),
        create_time: Some(instant(-9)),
        expire_time: None,
        suspension: None,
        revocation: None,
    }
}

fn sha256() -> Row {
    row(ImportedDigest::sha256(SHA256).unwrap())
}

fn imported(row: Row) -> Result<Token, RowRefused> {
    import(
        row,
        &notes(),
        TokenId::new(instant(0), [1; 10]),
        &pepper(7),
        instant(0),
    )
}

#[test]
fn a_sha256_is_kept_as_what_a_secret_of_our_own_would_be() -> Result<(), RowRefused> {
    let kept = &imported(sha256())?.secrets[0];
    let secret = Secret::new(TEXT.to_owned());
    assert_eq!(kept.digest, pepper(7).digest(&secret));
    assert_eq!(kept.pepper, pepper(7).current().id());
    assert_eq!(kept.hint, notes().format.hint(&secret));
    assert_eq!((kept.phc.as_ref(), kept.create_time), (None, instant(-9)));
    Ok(())
}

#[test]
fn any_other_is_kept_as_it_is_under_no_pepper() -> Result<(), RowRefused> {
    let phc = Phc::of_sha512(&[7; 64]);
    let token = imported(row(ImportedDigest::ToTry(phc.clone())))?;
    let kept = &token.secrets[0];
    assert_eq!((kept.digest, kept.pepper), (phc.digest(), PepperId::NONE));
    let hint = notes().format.hint(&Secret::new(TEXT.to_owned()));
    let to_try: Vec<_> = token.secrets_to_try(&hint).map(|(_, phc)| phc.clone()).collect();
    assert_eq!(to_try, [phc]);
    Ok(())
}

#[test]
fn digests_are_taken_in_hexadecimal_and_base64() {
    let hex = ImportedDigest::sha256(SHA256).unwrap();
    let base64 = "lC0qEzIKX2eAc2aE2fiRX5M2Xh4jsqK6OXBIn3Z6V64";
    for same in [SHA256.to_uppercase(), base64.to_owned(), format!("{base64}=")] {
        assert_eq!(ImportedDigest::sha256(&same), Ok(hex.clone()), "{same}");
    }
    for wrong in [
        "",
        &SHA256[1..],
        &base64[1..],
        &format!("{base64}=="),
        &SHA256.replace('9', "-"),
        &base64.replace('X', "_"),
    ] {
        assert_eq!(
            ImportedDigest::sha256(wrong),
            Err(NotDigestOf { bytes: 32 }),
            "{wrong}"
        );
    }
    assert_eq!(ImportedDigest::sha512(SHA256), Err(NotDigestOf { bytes: 64 }));
    let sha512 = ImportedDigest::sha512(&"ab".repeat(64));
    assert_eq!(sha512, Ok(ImportedDigest::ToTry(Phc::of_sha512(&[0xab; 64]))));
    assert!(!format!("{hex:?}").contains("942d"));
}

#[test]
fn what_is_over_stays_over() -> Result<(), RowRefused> {
    let token = imported(Row {
        expire_time: Some(instant(-1)),
        suspension: Some(withdrawal(instant(-3))),
        revocation: Some(withdrawal(instant(-2))),
        ..sha256()
    })?;
    assert_eq!(token.expire_time, Some(instant(-1)));
    assert_eq!(token.suspension, Some(withdrawal(instant(-3))));
    assert_eq!(token.revocation, Some(withdrawal(instant(-2))));
    assert_eq!(
        imported(Row {
            create_time: None,
            ..sha256()
        })?
        .create_time,
        instant(0)
    );
    Ok(())
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |row| imported(row).err();
    let future = Some(withdrawal(instant(1)));
    assert_eq!(
        refused(Row {
            create_time: Some(instant(1)),
            ..sha256()
        }),
        Some(RowRefused::Future("create_time"))
    );
    assert_eq!(
        refused(Row {
            suspension: future.clone(),
            ..sha256()
        }),
        Some(RowRefused::Future("suspend_time"))
    );
    assert_eq!(
        refused(Row {
            revocation: future,
            ..sha256()
        }),
        Some(RowRefused::Future("revoke_time"))
    );
    let ended = Row {
        expire_time: Some(instant(-9)),
        ..sha256()
    };
    assert_eq!(refused(ended), Some(RowRefused::EndsBeforeItBegins));
    let bcrypt = "$2b$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie";
    let bcrypt = row(ImportedDigest::phc(bcrypt.to_owned()).unwrap());
    assert_eq!(refused(bcrypt.clone()), None);
    let mut long = notes();
    long.format.body = Body::hex(70).unwrap();
    let id = TokenId::new(instant(0), [1; 10]);
    assert_eq!(
        import(bcrypt, &long, id, &pepper(7), instant(0)),
        Err(RowRefused::Truncating)
    );
}

#[test]
fn scopes_are_those_of_the_catalogue_if_there_is_one() {
    let with = |catalogue: Scopes| {
        let mut notes = notes();
        notes.policy = Policy {
            scope_catalogue: catalogue,
            ..Policy::default()
        };
        import(
            sha256(),
            &notes,
            TokenId::new(instant(0), [1; 10]),
            &pepper(7),
            instant(0),
        )
        .err()
    };
    assert_eq!(
        [with(Scopes::default()), with(scopes(&["read", "write"]))],
        [None, None]
    );
    let unknown = with(scopes(&["write"]));
    assert_eq!(
        unknown.map(|refused| refused.to_string()).as_deref(),
        Some("scopes must be of the namespace's catalogue, which has no read: write")
    );
}

#[test]
fn a_hint_is_how_the_text_begins() {
    let slow = |beginning: &str| {
        let row = Row {
            beginning: beginning.to_owned(),
            ..row(ImportedDigest::ToTry(Phc::of_sha512(&[7; 64])))
        };
        imported(row).map(|token| token.secrets[0].hint.to_string())
    };
    let fast = |beginning: &str| {
        let row = Row {
            beginning: beginning.to_owned(),
            ..sha256()
        };
        imported(row).map(|token| token.secrets[0].hint.to_string())
    };
    let short = |found| Err(RowRefused::Hint(NotHint::TooShort { wanted: 4, found }));
    assert_eq!(slow("kn_0196"), Ok("kn_0196…".to_owned()));
    assert_eq!(slow("kn_0196720b"), Ok("kn_0196…".to_owned()));
    assert_eq!([slow("kn_019"), slow("kn_")], [short(3), short(0)]);
    assert_eq!(
        [fast("kn_019"), fast("kn_")],
        [Ok("kn_019…".to_owned()), Ok("kn_…".to_owned())]
    );
    for wrong in ["0196", "", "kt_0196"] {
        assert_eq!(
            fast(wrong),
            Err(RowRefused::Hint(NotHint::Prefix("kn_".to_owned()))),
            "{wrong}"
        );
    }
    assert_eq!(
        fast("kn_01G6"),
        Err(RowRefused::Hint(NotHint::Malformed(Malformed::Alphabet)))
    );
    let long = fast(&format!("{TEXT}0"));
    assert!(matches!(
        long,
        Err(RowRefused::Hint(NotHint::Malformed(Malformed::Length {
            wanted: 40,
            found: 41
        })))
    ));
}

#[test]
fn a_token_is_known_again_by_the_row_that_made_it() -> Result<(), Box<dyn std::error::Error>> {
    let import = ImportId::parse("00000000-0000-0000-0000-000000000001")?;
    let other = ImportId::of_content([7; 32]);
    let key = |text: &str| ImportKey::try_from(text.to_owned());
    let (notes, tasks) = (notes().slug, namespace("tasks", "kt_").slug);
    let id = TokenId::new(instant(5), import.chance(&notes, &key("1")?));
    assert!(id.has_chance(import.chance(&notes, &key("1")?)));
    for chance in [
        import.chance(&notes, &key("2")?),
        import.chance(&tasks, &key("1")?),
        other.chance(&notes, &key("1")?),
    ] {
        assert!(!id.has_chance(chance));
    }
    Ok(())
}
