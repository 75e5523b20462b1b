//! The file that keeps the peppers: made once, read again, and by nobody else.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::clock::SystemEntropy;
use crate::token::secret::Secret;

#[test]
fn a_pepper_is_made_once_and_kept() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("pepper");
    let secret = Secret::new("kn_secret".to_owned());
    let made = load_or_create(&path, true, &SystemEntropy)?.digest(&secret);
    assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(
        load_or_create(&path, false, &SystemEntropy)?.digest(&secret),
        made
    );
    Ok(())
}

#[test]
fn a_store_in_use_gets_no_new_pepper() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("pepper");
    assert!(matches!(
        load_or_create(&path, false, &SystemEntropy),
        Err(PepperError::Missing { .. })
    ));
    assert!(!path.exists());
    Ok(())
}

#[test]
fn a_shared_store_makes_no_pepper_of_its_own() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("pepper");
    assert!(matches!(load_shared(None), Err(PepperError::Unnamed)));
    let absent = load_shared(Some(&path)).err().ok_or("it was loaded")?;
    assert!(
        absent
            .to_string()
            .contains(&format!("tokenward pepper create {}", path.display()))
    );
    assert!(!path.exists());
    let secret = Secret::new("kn_secret".to_owned());
    let made = create(&path, &SystemEntropy)?.digest(&secret);
    assert!(matches!(
        create(&path, &SystemEntropy),
        Err(PepperError::Exists { .. })
    ));
    assert_eq!(load_shared(Some(&path))?.1.digest(&secret), made);
    Ok(())
}

#[test]
fn a_file_that_others_can_read_or_that_is_garbage_is_refused() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("pepper");
    load_or_create(&path, true, &SystemEntropy)?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640))?;
    let exposed = load_or_create(&path, false, &SystemEntropy);
    assert!(matches!(
        exposed,
        Err(PepperError::File(PrivateFileError::Exposed { mode: 0o640, .. }))
    ));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
    let (one, two) = (
        format!("1 {}\n", "a".repeat(64)),
        format!("2 {}\n", "b".repeat(64)),
    );
    let tag = format!("tag {}\n", "c".repeat(64));
    let third = format!("3 {}\n", "d".repeat(64));
    for garbage in [
        "",
        "1",
        "1 abcd",
        "x ",
        &format!("1 {}", "G".repeat(64)),
        &format!("0 {}", "a".repeat(64)),
        &format!("{one}{two}"),
        &format!("{one}{one}{tag}"),
        &format!("{one}{tag}{two}"),
        &format!("{one}{tag}{tag}"),
        &format!("{one}{two}{third}{tag}"),
        &format!("{one}\n{tag}"),
        &tag,
    ] {
        std::fs::write(&path, garbage)?;
        let malformed = load_or_create(&path, true, &SystemEntropy);
        assert!(
            matches!(
                malformed,
                Err(PepperError::Malformed { .. } | PepperError::File(PrivateFileError::TooLong { .. }))
            ),
            "{garbage:?}"
        );
    }
    Ok(())
}

#[test]
fn a_new_key_becomes_current_at_once_or_after_it_was_prepared() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let secret = Secret::new("kn_secret".to_owned());
    for prepares in [false, true] {
        let path = folder.path().join(format!("pepper {prepares}"));
        let first = create(&path, &SystemEntropy)?;
        if prepares {
            let prepared = rotate(&path, true, &SystemEntropy)?;
            assert_eq!((prepared.current.0, prepared.other.0), (1, 2));
            assert_eq!(load_shared(Some(&path))?.1.digest(&secret), first.digest(&secret));
            let again = rotate(&path, true, &SystemEntropy);
            assert!(matches!(again, Err(PepperError::PreparedAlready { id: 2, .. })));
            let early = Retiring::of(&path).err();
            assert!(
                matches!(early, Some(PepperError::NoPrevious { .. })),
                "it is not previous"
            );
        }
        let rotated = rotate(&path, false, &SystemEntropy)?;
        assert_eq!((rotated.current.0, rotated.other.0), (2, 1));
        assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        let both = load_shared(Some(&path))?.1;
        assert_ne!(both.digest(&secret), first.digest(&secret));
        let previous = both.other().map(|pepper| pepper.digest(&secret));
        assert_eq!(previous, Some(first.digest(&secret)));
        for prepare in [false, true] {
            let third = rotate(&path, prepare, &SystemEntropy);
            assert!(matches!(third, Err(PepperError::TwoAlready { id: 1, .. })));
        }
        Retiring::of(&path)?.retire()?;
        let one = load_shared(Some(&path))?.1;
        assert!(one.other().is_none());
        assert_eq!(one.digest(&secret), both.digest(&secret));
        // What outlives the first pepper.
        assert_eq!(one.tag("kn_x"), first.tag("kn_x"));
        assert_eq!(one.row_key().mac(b"row"), first.row_key().mac(b"row"));
        let next = rotate(&path, false, &SystemEntropy)?;
        assert_eq!((next.current.0, next.other.0), (3, 2));
    }
    // Nothing is left lying about that has a key in it.
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 2);
    Ok(())
}

#[test]
fn a_link_to_the_file_stays_one() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let [path, link] = ["pepper", "link"].map(|name| folder.path().join(name));
    create(&path, &SystemEntropy)?;
    std::os::unix::fs::symlink(&path, &link)?;
    rotate(&link, false, &SystemEntropy)?;
    assert!(std::fs::symlink_metadata(&link)?.is_symlink());
    assert!(load_shared(Some(&path))?.1.other().is_some());
    Ok(())
}
