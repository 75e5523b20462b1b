//! `tokenward import`: what is told of a file, and how it is gone on with.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Outcome;
use super::served::Desk;

/// Three good rows and three bad ones, on lines 2 to 7.
const CSV: &str = "\
key,subject,name,scopes,label.team,sha256,hint,create_time,expire_time
1,ada,Laptop,read write,core,942d2a13320a5f6780736684d9f8915f93365e1e23b2a2ba3970489f767a57ae,kn_0196,2024-01-31T12:00:00Z,
2,ada,,read,,uot648aoRG6pXhmRVeZDexjxOihzGY4b/2H/UfRWCH8=,kn_8c14,,2099-01-01T00:00:00+00:00
3,ada,,,,4IyZ6T08JXXFRVez3eBE//vGuXLIgoQffoN42jO5+rk,kn_,,
4,ada,,,,uot648aoRG6pXhmRVeZDexjxOihzGY4b/2H/UfRWCH8=,kn_8c14,,
5,,,,,0000000000000000000000000000000000000000000000000000000000000000,kn_0000,,
6,ada,,,,not a digest,kn_0000,,yesterday
";

fn file(folder: &TempDir, name: &str, text: &str) -> std::io::Result<String> {
    let path = folder.path().join(name);
    fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}

#[test]
fn a_file_is_imported_and_what_was_refused_is_told_by_line() -> Outcome {
    let (desk, folder) = (Desk::open()?, TempDir::new()?);
    let path = file(&folder, "notes.csv", CSV)?;
    let import = [
        "import",
        path.as_str(),
        "--namespace",
        "notes",
        "--output",
        "json",
    ];
    let dry = desk.tokenward(&[&import[..], &["--dry-run"]].concat())?;
    assert_eq!(dry.code, Some(1), "{dry:?}");
    let said = desk.tokenward(&import)?;
    assert_eq!(said.code, Some(1), "{said:?}");
    let report = said.json()?;
    let lines = |report: &Value| {
        let rows = report["refused_rows"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["line"].clone()).collect::<Vec<_>>()
    };
    for report in [&dry.json()?, &report] {
        assert_eq!(
            [&report["imported"], &report["already_there"], &report["refused"]],
            [3, 0, 3]
        );
        let mut lines = lines(report);
        lines.sort_by_key(Value::as_u64);
        assert_eq!(lines, [json!(5), json!(6), json!(7)], "{report}");
    }
    assert!(!said.out.contains("not a digest"), "{said:?}");
    let list = desk.json(&["list", "--namespace", "notes"])?;
    assert_eq!(list.as_array().map(Vec::len), Some(3));
    assert_eq!(list[0]["create_time"], "2024-01-31T12:00:00Z");
    assert_eq!(list[0]["labels"], json!({ "team": "core" }));
    assert_eq!(list[0]["scopes"], json!(["read", "write"]));

    // The same again: the import has the same id, so all of it is there.
    let again = desk.tokenward(&import)?.json()?;
    assert_eq!(again["import_id"], report["import_id"]);
    assert_eq!(
        [&again["imported"], &again["already_there"], &again["refused"]],
        [0, 3, 3]
    );
    let verify = ["verify", "--namespace", "notes", "--scope", "write"];
    let verified = desk.given("kn_0196720b2521dd0259f43e4cee7f05f5f5c3a801", &verify)?;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    // For people: a table, and no bar where nobody watches.
    let told = desk.tokenward(&import[..4])?;
    assert_eq!((told.code, told.err.as_str()), (Some(1), ""));
    let first = told.out.lines().next().unwrap_or_default().to_owned();
    assert!(first.starts_with("LINE  REFUSED BECAUSE"), "{told:?}");
    assert!(told.out.contains("already there  3"), "{told:?}");
    Ok(())
}

#[test]
fn lines_of_json_say_the_same() -> Outcome {
    let (desk, folder) = (Desk::open()?, TempDir::new()?);
    let row = json!({
        "subject": "ada", "scopes": ["read"], "labels": { "team": "core" }, "hint": "kn_0196",
        "sha256": "942d2a13320a5f6780736684d9f8915f93365e1e23b2a2ba3970489f767a57ae",
    });
    let both = json!({ "subject": "ada", "hint": "kn_0196", "sha256": "00", "phc": "$x" });
    let unknown = json!({ "subject": "ada", "secret": "kn_0196720b2521dd0259f43e4cee7f05f5f5c3a801" });
    let long = "x".repeat(70_000);
    let text = format!("{row}\n\n{both}\n{unknown}\n{{\n{long}\n");
    let path = file(&folder, "notes.jsonl", &text)?;
    let id = "7d444840-9dc0-41d1-b245-5ffdce74fad2";
    let import = [
        "import",
        &path,
        "--namespace",
        "notes",
        "--output",
        "json",
        "--import-id",
        id,
    ];
    let said = desk.tokenward(&import)?;
    assert_eq!(said.code, Some(1), "{said:?}");
    let report = said.json()?;
    assert_eq!([&report["imported"], &report["refused"]], [1, 4], "{report}");
    assert_eq!(report["import_id"], id);
    let lines: Vec<_> = (0..4)
        .map(|at| report["refused_rows"][at]["line"].clone())
        .collect();
    assert_eq!(lines, [3, 4, 5, 6]);
    assert!(!said.out.contains("kn_0196720b"), "{said:?}");
    Ok(())
}

#[test]
fn what_cannot_be_begun_is_said_in_one_line() -> Outcome {
    let (desk, folder) = (Desk::open()?, TempDir::new()?);
    let text = file(&folder, "notes.txt", CSV)?;
    let odd = file(&folder, "odd.csv", "key,password\n1,2\n")?;
    let good = file(&folder, "good.csv", CSV)?;
    let missing = folder.path().join("missing.csv").to_string_lossy().into_owned();
    for (path, namespace, code, wanted) in [
        (&text, "notes", 2, "name a .jsonl or a .csv file"),
        (&odd, "notes", 2, "has a column \"password\""),
        (&missing, "notes", 1, "cannot be read"),
        (&good, "nowhere", 1, "there is no namespace nowhere"),
    ] {
        let said = desk.tokenward(&["import", path, "--namespace", namespace])?;
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.complaint().contains(wanted), "{said:?}");
    }
    Ok(())
}
