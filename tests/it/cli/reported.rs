//! What is told of a token after an incident, and what was kept to prove it, by command line.

use serde_json::{Value, json};

use super::Outcome;
use super::served::Desk;

/// How often a command may be run again until what was refused is on record.
const TRIES: usize = 100;

#[test]
fn the_story_of_a_token_is_told_with_what_it_was_checked_against() -> Outcome {
    let desk = Desk::open()?;
    let (id, secret) = desk.issue(&["--name", "build*bot", "--scope", "read"])?;
    desk.json(&["update", &id, "--scope", "read", "--scope", "write"])?;
    desk.json(&["revoke", &id, "--reason", "found in a log", "--yes"])?;
    // A decision against it.
    assert_eq!(desk.tokenward(&["rotate", &id])?.code, Some(1));
    let refused = (0..TRIES)
        .map(|_| desk.json(&["audit", "refused", "--token", &id]))
        .find(|refused| !matches!(refused, Ok(Value::Array(none)) if none.is_empty()))
        .ok_or("it is not on record")??;
    assert_eq!(refused[0]["reason"], "TOKEN_REVOKED");
    assert_eq!(refused[0]["namespace"], "notes");

    let signed = desk.json(&["audit", "checkpoint"])?;
    let folder = tempfile::tempdir()?;
    let checkpoint = folder.path().join("checkpoint");
    std::fs::write(&checkpoint, signed["note"].as_str().ok_or("no note")?)?;
    let (checkpoint, key) = (
        checkpoint.to_string_lossy(),
        signed["verification_key"].as_str().ok_or("no key")?,
    );
    let kept = ["--checkpoint", &checkpoint, "--key", key];

    let told = desk.tokenward(&[&["audit", "report", &id], &kept[..]].concat())?;
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
    for line in [
        &format!("# Token {id}"),
        "- name: build\\*bot",
        "- revoked because: found in a log",
        "**token.updated** by ",
        "  - scopes: \\[\"read\"\\] \u{2192} \\[\"read\",\"write\"\\]",
        "TokenService/Rotate by ",
        "- intact: the links of ",
        &format!(
            "- agrees with the checkpoint signed at revision {}",
            signed["revision"]
        ),
    ] {
        assert!(told.out.contains(line), "{line}: {}", told.out);
    }
    assert!(!told.out.contains(&secret), "the secret is in it");
    let story = desk.json(&[&["audit", "report", &id], &kept[..]].concat())?;
    assert_eq!(story["journal"]["intact"], true);
    assert_eq!(story["journal"]["checkpoint"], signed["revision"]);
    assert_eq!(story["refused_calls"], refused);
    let kinds: Vec<_> = story["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| entry["kind"].clone())
        .collect();
    assert_eq!(
        kinds,
        [
            json!("token.issued"),
            json!("token.updated"),
            json!("token.revoked")
        ]
    );
    Ok(())
}

#[test]
fn an_export_through_a_server_is_verified_with_a_checkpoint_without_it() -> Outcome {
    let desk = Desk::open()?;
    for _ in 0..3 {
        desk.issue(&[])?;
    }
    let signed = desk.json(&["audit", "checkpoint"])?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("checkpoint"), signed["note"].as_str().ok_or("no note")?)?;
    let key = signed["verification_key"].as_str().ok_or("no key")?;
    assert_eq!(
        desk.tokenward(&["audit", "export", "--to", &path("export")])?
            .code,
        Some(0)
    );
    desk.issue(&[])?;
    assert_eq!(
        desk.tokenward(&["audit", "export", "--to", &path("export"), "--resume"])?
            .code,
        Some(0)
    );
    let listed = desk.json(&["audit", "checkpoint", "--list"])?;
    assert_eq!(listed[0]["note"], signed["note"]);
    let live = desk.json(&[
        "audit",
        "verify",
        "--checkpoint",
        &path("checkpoint"),
        "--key",
        key,
    ])?;
    assert_eq!(
        (&live["intact"], &live["checkpoint"]),
        (&json!(true), &signed["revision"])
    );
    drop(desk);
    let args = ["audit", "verify", "--output", "json", "--export", &path("export")];
    let kept = ["--checkpoint", &path("checkpoint"), "--key", key];
    let said = super::tokenward(&[&args[..], &kept[..]].concat(), "")?;
    assert_eq!(said.code, Some(0), "{said:?}");
    let told = said.json()?;
    assert_eq!(
        (&told["checkpoint"], &told["revision"]),
        (&signed["revision"], &live["revision"])
    );
    Ok(())
}

#[test]
fn a_key_is_made_for_its_owner_alone() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("key").to_string_lossy().into_owned();
    let args = ["audit", "keygen", &path, "--name", "example.com/tokenward"];
    let made = super::tokenward(&args, "")?;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.out.starts_with("example.com/tokenward+"), "{made:?}");
    assert!(
        !made.out.contains("PRIVATE") && !made.err.contains("PRIVATE+"),
        "{made:?}"
    );
    let again = super::tokenward(&args, "")?;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.complaint().contains("exists already"));
    let bad = super::tokenward(&["audit", "keygen", &format!("{path}2"), "--name", "a b"], "")?;
    assert_eq!(bad.code, Some(2), "{bad:?}");
    Ok(())
}
