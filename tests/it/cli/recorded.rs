//! Calls on record, from the command line.

use serde_json::{Value, json};

use super::Outcome;
use super::served::Desk;

#[test]
fn who_called_is_asked_and_forgotten() -> Outcome {
    let desk = Desk::open()?;
    desk.json(&["namespace", "update", "notes", "--access-log", "all"])?;
    let (id, secret) = desk.issue(&[])?;
    let said = desk.given(&secret, &["verify"])?;
    assert_eq!(said.code, Some(0), "{said:?}");
    let of_notes = ["audit", "access", "--namespace", "notes"];
    let asked = |more: &[&str]| desk.json(&[&of_notes, more].concat());
    let is_there = |records: &Value| records.as_array().is_some_and(|records| !records.is_empty());
    let mut records = asked(&[])?;
    while !is_there(&records) {
        records = asked(&[])?;
    }
    assert_eq!(
        (&records[0]["token_id"], &records[0]["verdict"]),
        (&json!(id), &json!("accepted"))
    );
    let of_token = ["--token", &id, "--verdict", "accepted", "--verdict", "revoked"];
    assert_eq!(asked(&of_token)?, records);
    assert_eq!(asked(&["--verdict", "rate_limited"])?, json!([]));
    assert_eq!(asked(&["--before", "2020-01-01T00:00:00Z"])?, json!([]));
    let table = desk.tokenward(&of_notes)?;
    assert!(
        table.out.contains("VERDICT") && table.out.contains(&id),
        "{table:?}"
    );

    let erase = |more: &[&str]| {
        desk.tokenward(&[&["audit", "access", "erase", "--namespace", "notes"], more].concat())
    };
    let said = erase(&[])?;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.complaint().contains("time_before"), "{said:?}");
    let said = erase(&["--token", &id])?;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("erased records"), "{said:?}");
    assert_eq!(asked(&[])?, json!([]));
    for wrong in [
        &["audit", "access"][..],
        &[&of_notes[..], &["--verdict", "perhaps"]].concat(),
    ] {
        assert_eq!(desk.tokenward(wrong)?.code, Some(2), "{wrong:?}");
    }
    Ok(())
}
