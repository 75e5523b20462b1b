//! `tokenward update`, `suspend`, `resume`, and a rotation whose new secret nobody has used.

use serde_json::json;

use super::Outcome;
use super::served::Desk;

#[test]
fn a_token_is_changed_suspended_and_resumed() -> Outcome {
    let desk = Desk::open()?;
    let more = [
        "--scope",
        "read",
        "--network",
        "192.0.2.0/24",
        "--rate-limit",
        "100/1m",
    ];
    let (id, secret) = desk.issue(&more)?;
    let verdict = |args: &[&str]| desk.given(&secret, &[&["verify"], args].concat());
    let here = ["--client-address", "192.0.2.7"];
    let said = verdict(&here)?;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("100/1m"), "{said:?}");
    let said = verdict(&[])?;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("address_not_allowed"), "{said:?}");

    let before = desk.json(&["get", &id])?;
    let etag = before["etag"].as_str().unwrap_or_default();
    let update = [
        "update",
        &id,
        "--name",
        "phone",
        "--scope",
        "write",
        "--no-networks",
    ];
    let after = desk.json(
        &[
            &update[..],
            &["--expires", "2099-01-31T00:00:00Z", "--etag", etag],
        ]
        .concat(),
    )?;
    assert_eq!(
        (&after["name"], &after["scopes"]),
        (&json!("phone"), &json!(["write"]))
    );
    assert_eq!(
        (&after["networks"], &after["rate_limit"]),
        (&json!([]), &json!("100/1m"))
    );
    assert_eq!(after["expire_time"], "2099-01-31T00:00:00Z");
    assert_eq!(after["propagation"], "acknowledged");
    let stale = desk.tokenward(&[&update[..], &["--etag", etag]].concat())?;
    assert_ne!(stale.code, Some(0));
    assert_eq!(stale.err.lines().count(), 1, "{stale:?}");
    assert_eq!(verdict(&["--scope", "write"])?.code, Some(0));

    let suspended = desk.json(&["suspend", &id, "--reason", "lost"])?;
    assert_eq!(
        (&suspended["state"], &suspended["suspend_reason"]),
        (&json!("suspended"), &json!("lost"))
    );
    assert!(verdict(&[])?.out.contains("suspended"));
    let shown = desk.tokenward(&["get", &id])?;
    assert!(shown.out.contains("lost"), "{shown:?}");
    assert_eq!(desk.json(&["resume", &id])?["state"], "active");
    assert_eq!(verdict(&[])?.code, Some(0));

    let nothing = desk.tokenward(&["update", &id])?;
    assert!(nothing.err.contains("nothing is to be changed"), "{nothing:?}");
    Ok(())
}

#[test]
fn a_rotated_secret_is_shown_as_never_used_until_it_is() -> Outcome {
    let desk = Desk::open()?;
    let (id, first) = desk.issue(&[])?;
    let rotated = desk.json(&["rotate", &id, "--overlap-from-first-use", "1h"])?;
    assert_eq!(rotated["token"]["secrets"][1]["overlap"], "1h");
    assert_eq!(rotated["token"]["secrets"][0]["retire_time"], json!(null));
    let shown = desk.tokenward(&["get", &id])?;
    assert!(
        shown
            .out
            .contains("never used, ends the one before 1h after its first use"),
        "{shown:?}"
    );
    let second = rotated["secret"].as_str().unwrap_or_default();
    for secret in [first.as_str(), second] {
        assert_eq!(desk.given(secret, &["verify"])?.code, Some(0));
    }
    let used = loop {
        let token = desk.json(&["get", &id])?;
        if token["secrets"][1]["first_use_time"] != json!(null) {
            break token;
        }
    };
    assert_ne!(used["secrets"][0]["retire_time"], json!(null));
    let both = desk.tokenward(&["rotate", &id, "--overlap", "1h", "--overlap-from-first-use", "1h"])?;
    assert_eq!(both.code, Some(2), "{both:?}");
    Ok(())
}

#[test]
fn a_token_that_is_used_too_often_says_when_to_come_again() -> Outcome {
    let desk = Desk::open()?;
    let (_, secret) = desk.issue(&["--rate-limit", "2/24h"])?;
    let verify = |args: &[&str]| desk.given(&secret, &[&["verify"], args].concat());
    let told = verify(&["--cost", "0"])?;
    assert!(told.out.contains("2 of 2/1day, of the token"), "{told:?}");
    assert_eq!(verify(&["--cost", "2"])?.code, Some(0));
    let limited = verify(&["--output", "json"])?;
    assert_eq!(limited.code, Some(1), "{limited:?}");
    let limited = limited.json()?;
    assert_eq!(limited["verdict"], "rate_limited");
    let rate = &limited["rate_limit"];
    assert_eq!(
        (&rate["remaining"], &rate["holder"]),
        (&json!(0), &json!("token"))
    );
    assert_eq!(rate["limit"], "2/1day");
    assert!(rate["retry_after"].is_string(), "{limited}");
    assert_eq!(limited["cache_ttl"], json!(null));
    let too_much = verify(&["--cost", "3"])?;
    assert!(too_much.out.contains("rate_limited") && !too_much.out.contains("retry after"));
    Ok(())
}
