//! What is listed, and what is revoked, by what is known of it.

use serde_json::json;

use super::Outcome;
use super::served::Desk;

fn with_names(names: &[&str]) -> Result<(Desk, Vec<String>), Box<dyn std::error::Error>> {
    let desk = Desk::open()?;
    let mut secrets = Vec::new();
    for name in names {
        secrets.push(
            desk.issue(&["--name", name, "--label", &format!("for={name}")])?
                .1,
        );
    }
    Ok((desk, secrets))
}

fn verdict(desk: &Desk, secret: &str) -> std::io::Result<Option<i32>> {
    Ok(desk.given(secret, &["verify"])?.code)
}

#[test]
fn a_list_is_filtered_ordered_and_cut() -> Outcome {
    let (desk, _) = with_names(&["ci-2", "laptop", "ci-1"])?;
    let list = |args: &[&str]| {
        let listed = desk.json(&[&["list", "--namespace", "notes"], args].concat())?;
        let names = listed.as_array().into_iter().flatten();
        let names: Vec<_> = names.map(|token| token["name"].clone()).collect();
        Ok::<_, Box<dyn std::error::Error>>(json!(names))
    };
    assert_eq!(list(&["--order-by", "name"])?, json!(["ci-1", "ci-2", "laptop"]));
    assert_eq!(
        list(&["--order-by", "name desc", "--limit", "1"])?,
        json!(["laptop"])
    );
    assert_eq!(list(&["--name-prefix", "ci-"])?, json!(["ci-2", "ci-1"]));
    assert_eq!(
        list(&["--label", "for=laptop", "--state", "active"])?,
        json!(["laptop"])
    );
    assert_eq!(list(&["--created-before", "2020-01-01T00:00:00Z"])?, json!([]));
    let counted = desk.tokenward(&["list", "--namespace", "notes", "--total", "--limit", "1"])?;
    assert_eq!(counted.complaint(), "3 in all");
    let refused = desk.tokenward(&["list", "--namespace", "notes", "--order-by", "shape"])?;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.complaint().contains("order_by: must be create_time"),
        "{refused:?}"
    );
    Ok(())
}

#[test]
fn what_matches_is_revoked_only_if_it_is_as_many_as_was_said() -> Outcome {
    let (desk, secrets) = with_names(&["ci-2", "laptop", "ci-1"])?;
    let matching = ["revoke-matching", "--namespace", "notes", "--name-prefix", "ci-"];
    let preview = desk.json(&[&matching[..], &["--preview"]].concat())?;
    assert_eq!(preview["count"], 2);
    assert_eq!(preview["sample"].as_array().map(Vec::len), Some(2));
    // Here nobody can be asked.
    let unasked = desk.tokenward(&matching)?;
    assert_eq!(unasked.code, Some(2));
    assert!(unasked.complaint().contains("--expected-count"), "{unasked:?}");
    let miscounted = desk.tokenward(&[&matching[..], &["--yes", "--expected-count", "3"]].concat())?;
    assert_eq!(miscounted.code, Some(1));
    assert_eq!(
        miscounted.complaint(),
        "tokenward: 2 tokens would be revoked, not 3; nothing was revoked"
    );
    for secret in &secrets {
        assert_eq!(verdict(&desk, secret)?, Some(0));
    }
    let done = desk.json(&[&matching[..], &["--yes", "--expected-count", "2"]].concat())?;
    assert_eq!((&done["revoked"], &done["passed_over"]), (&json!(2), &json!(0)));
    assert_eq!(done["propagation"], "acknowledged");
    let verdicts: Vec<_> = secrets
        .iter()
        .map(|secret| verdict(&desk, secret))
        .collect::<Result<_, _>>()?;
    assert_eq!(verdicts, [Some(1), Some(0), Some(1)]);
    // A plan of before is gone on with; what others have revoked since is not its own.
    let plan = preview["plan"].as_str().unwrap_or_default();
    let stale = desk.tokenward(&[&matching[..], &["--plan", plan, "--expected-count", "2"]].concat())?;
    assert_eq!(stale.code, Some(1));
    assert!(
        stale.complaint().contains("0 tokens would be revoked, not 2"),
        "{stale:?}"
    );
    Ok(())
}

#[test]
fn nothing_never_means_all_on_the_command_line_either() -> Outcome {
    let (desk, secrets) = with_names(&["laptop"])?;
    let empty = desk.tokenward(&["revoke-matching", "--namespace", "notes", "--preview"])?;
    assert_eq!(empty.code, Some(1));
    assert!(empty.complaint().contains("all_in_namespace"), "{empty:?}");
    let all = ["revoke-matching", "--namespace", "notes", "--all-in-namespace"];
    let done = desk.json(&[&all[..], &["--yes", "--expected-count", "1"]].concat())?;
    assert_eq!(done["revoked"], 1);
    assert_eq!(verdict(&desk, &secrets[0])?, Some(1));
    Ok(())
}

#[test]
fn a_leaked_secret_comes_by_stdin_and_is_answered_like_any_other() -> Outcome {
    let (desk, secrets) = with_names(&["laptop"])?;
    let mut said = Vec::new();
    for secret in ["garbage", &secrets[0], &secrets[0]] {
        let leaked = desk.given(secret, &["revoke-leaked", "--reason", "in a repository"])?;
        assert_eq!(leaked.code, Some(0), "{leaked:?}");
        said.push((leaked.out, leaked.err));
    }
    assert!(said.windows(2).all(|pair| pair[0] == pair[1]), "{said:?}");
    assert_eq!(verdict(&desk, &secrets[0])?, Some(1));
    let argument = desk.tokenward(&["revoke-leaked", &secrets[0]])?;
    assert_eq!(argument.code, Some(2));
    Ok(())
}
