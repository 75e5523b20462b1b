//! `tokenward subject`, the rules of a namespace and its red button; and what an audit says of what was tampered with.

use std::path::Path;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::{Outcome, Said, tokenward};
use crate::server::Server;

/// A server, and the command line that calls it.
struct Scene {
    server: Server,
    address: String,
}

impl Scene {
    fn start() -> Result<Scene, Box<dyn std::error::Error>> {
        let server = Server::start()?;
        let address = format!("http://{}", server.address);
        let scene = Scene { server, address };
        scene.json(&["namespace", "create", "notes", "--prefix", "kn_"])?;
        Ok(scene)
    }

    fn says(&self, args: &[&str]) -> std::io::Result<Said> {
        tokenward(&[args, &["--address", &self.address]].concat(), "")
    }

    fn json(&self, args: &[&str]) -> Result<Value, Box<dyn std::error::Error>> {
        let said = self.says(&[args, &["--output", "json"]].concat())?;
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        Ok(said.json()?)
    }

    fn issue(&self) -> Result<String, Box<dyn std::error::Error>> {
        let issued = self.json(&[
            "issue",
            "--namespace",
            "notes",
            "--subject",
            "ada",
            "--name",
            "Laptop",
        ])?;
        Ok(issued["token"]["id"].as_str().unwrap_or_default().to_owned())
    }

    fn state(&self, id: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Ok(self.json(&["get", id])?["state"].clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_given_shown_and_taken_back() -> Outcome {
    let scene = Scene::start()?;
    let shown = scene.json(&[
        "namespace",
        "update",
        "notes",
        "--lifetime-default",
        "30d",
        "--lifetime-max",
        "365d",
        "--name-required",
        "--scope-catalogue",
        "read",
        "--scope-catalogue",
        "write",
        "--entitled-plans",
        "pro",
        "--overlap-default",
        "first-use:1h",
        "--retired-use",
        "report",
        "--rate-limit-default",
        "100/1m",
        "--rate-limit-subject-default",
        "1000/1m",
        "--tokens-per-subject-max",
        "10",
        "--access-log",
        "all",
        "--access-log-full",
        "refuse",
        "--access-log-retention",
        "90d",
        "--access-log-whole-addresses",
        "--expiring-leads",
        "7d",
        "--expiring-leads",
        "1d",
        "--unused-after",
        "60d",
        "--unused-action",
        "suspend",
    ])?;
    let policy = &shown["policy"];
    for (rule, value) in [
        ("lifetime_default", json!("30days")),
        ("lifetime_max", json!("365days")),
        ("name_required", json!(true)),
        ("expiry_required", json!(false)),
        ("scope_catalogue", json!(["read", "write"])),
        ("entitled_plans", json!(["pro"])),
        ("overlap_default", json!("first-use:1h")),
        ("retired_use", json!("report")),
        ("rate_limit_default", json!("100/1m")),
        ("tokens_per_subject_max", json!(10)),
        ("access_log", json!("all")),
        ("access_log_full", json!("refuse")),
        ("access_log_retention", json!("90days")),
        ("access_log_whole_addresses", json!(true)),
        ("expiring_leads", json!(["1day", "7days"])),
        ("unused_action", json!("suspend")),
    ] {
        assert_eq!(policy[rule], value, "{rule}");
    }
    let table = scene.says(&["namespace", "get", "notes"])?;
    for told in [
        "scope catalogue",
        "read write",
        "100/1m",
        "first-use:1h",
        "1day, 7days",
    ] {
        assert!(table.out.contains(told), "{table:?}");
    }
    let less = scene.json(&[
        "namespace",
        "update",
        "notes",
        "--unset",
        "scope-catalogue",
        "--unset",
        "lifetime-max",
        "--name-required=false",
    ])?;
    assert_eq!(less["policy"]["scope_catalogue"], json!([]));
    assert_eq!(less["policy"]["lifetime_max"], Value::Null);
    assert_eq!(less["policy"]["name_required"], json!(false));
    assert_eq!(less["policy"]["lifetime_default"], json!("30days"));
    let refused = scene.says(&["issue", "--namespace", "notes", "--subject", "ada"])?;
    assert!(
        refused.complaint().contains("`tokenward subject set-plan`"),
        "{refused:?}"
    );
    scene.server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subjects_are_managed_from_the_command_line() -> Outcome {
    let scene = Scene::start()?;
    let token = scene.issue()?;
    let of_ada = ["--namespace", "notes", "ada"];
    let subject = |verb: &str, more: &[&str]| scene.json(&[&["subject", verb][..], &of_ada, more].concat());
    assert_eq!(subject("set-plan", &["pro"])?["plan"], "pro");
    assert_eq!(subject("set-plan", &[])?["plan"], "");
    let limited = subject("set-rate-limit", &["1000/1m"])?;
    assert_eq!(limited["rate_limit"], "1000/1m");
    assert_eq!(limited["propagation"], "acknowledged");
    assert_eq!(subject("set-rate-limit", &[])?["rate_limit"], Value::Null);
    let suspended = subject("suspend", &["--reason", "unpaid"])?;
    assert_eq!(suspended["propagation"], "acknowledged");
    assert_eq!(suspended["suspend_reason"], "unpaid");
    assert_eq!(scene.state(&token)?, "suspended");
    assert_eq!(
        scene.json(&["subject", "list", "--namespace", "notes"])?[0]["subject"],
        "ada"
    );
    assert_eq!(subject("resume", &[])?["suspend_time"], Value::Null);
    assert_eq!(scene.state(&token)?, "active");
    // What is repeated under its id is not done again: meanwhile she was resumed, and stays so.
    let once = ["--request-id", "7d444840-9dc0-41d1-b245-5ffdce74fad2"];
    let again = ["--request-id", "7d444840-9dc0-41d1-b245-5ffdce74fad3"];
    subject("suspend", &once)?;
    subject("resume", &again)?;
    assert_eq!(subject("suspend", &once)?["suspend_time"], Value::Null);
    subject("suspend", &[])?;
    assert_ne!(subject("resume", &again)?["suspend_time"], Value::Null);
    subject("resume", &[])?;
    let reused = scene.says(&[&["subject", "set-plan"][..], &of_ada, &once].concat())?;
    assert_eq!(
        reused.complaint(),
        "tokenward: the request id was used for another change; send another --request-id"
    );
    // Nobody can be asked here.
    let unasked = scene.says(&[&["subject", "revoke-issued"][..], &of_ada].concat())?;
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    assert!(unasked.complaint().contains("--yes"), "{unasked:?}");
    let revoked = subject("revoke-issued", &["--yes", "--reason", "lost"])?;
    let shown = scene.json(&["get", &token])?;
    assert_eq!(
        (&shown["state"], &shown["revoke_reason"]),
        (&json!("revoked"), &json!("lost"))
    );
    assert_eq!(shown["revoke_time"], revoked["not_before_time"]);
    scene.server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_red_button_is_not_hit_by_accident() -> Outcome {
    let scene = Scene::start()?;
    let token = scene.issue()?;
    for (more, told) in [
        (&[][..], "pass --confirm SLUG"),
        (
            &["--confirm", "tasks"],
            "--confirm must name the namespace once more",
        ),
    ] {
        let said = scene.says(&[&["namespace", "revoke-issued", "notes"][..], more].concat())?;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.complaint().contains(told), "{said:?}");
    }
    assert_eq!(scene.state(&token)?, "active");
    scene.json(&[
        "namespace",
        "revoke-issued",
        "notes",
        "--confirm",
        "notes",
        "--reason",
        "leaked",
    ])?;
    assert_eq!(scene.state(&token)?, "revoked");
    let shown = scene.json(&["namespace", "get", "notes"])?;
    assert_eq!(shown["not_before_reason"], "leaked");
    let later = scene.issue()?;
    assert_eq!(scene.state(&later)?, "active");
    scene.server.stop().await
}

async fn execute(database: &Path, sql: &str) -> Outcome {
    let mut connection = SqliteConnectOptions::new().filename(database).connect().await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_names_what_was_done_to_a_subject() -> Outcome {
    let scene = Scene::start()?;
    for name in ["ada", "grace"] {
        scene.json(&["subject", "set-plan", "--namespace", "notes", name, "pro"])?;
        scene.json(&["subject", "suspend", "--namespace", "notes", name])?;
    }
    let folder = scene.server.stop_keeping_folder().await?;
    let database = folder.path().join("tokenward.db");
    let whole = format!("VACUUM INTO '{}'", folder.path().join("whole.db").display());
    execute(&database, &whole).await?;
    let audit = |database: &Path| {
        let database = database.display().to_string();
        tokenward(
            &["audit", "verify", "--output", "json", "--database", &database],
            "",
        )
    };
    let intact = audit(&database)?;
    assert_eq!(intact.code, Some(0), "{intact:?}");
    assert_eq!(intact.json()?["subjects"], 2);
    for (n, (sql, told)) in [
        (
            "UPDATE subject SET suspend_time = NULL, suspend_reason = NULL WHERE subject = 'ada'",
            "subject ada of notes: its row does not agree with its entries in suspension",
        ),
        (
            "UPDATE subject SET plan = 'team' WHERE subject = 'grace'",
            "subject grace of notes: its row does not agree with its entries in plan",
        ),
        (
            "DELETE FROM subject WHERE subject = 'ada'",
            "subject ada of notes: its row is missing",
        ),
        (
            "INSERT INTO subject (namespace, subject, version, create_time, update_time) VALUES ('notes', 'eve', 1, 1, 1)",
            "subject eve of notes: it has a row, but no entry made it",
        ),
        (
            "UPDATE journal SET subject = 'eve' WHERE revision = 4",
            "revision 4: its column subject does not agree with its body",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let copy = folder.path().join(format!("copy{n}.db"));
        std::fs::copy(folder.path().join("whole.db"), &copy)?;
        execute(&copy, sql).await?;
        let said = audit(&copy)?;
        assert_eq!(said.code, Some(1), "{sql}: {said:?}");
        let finding = said.json()?["finding"].as_str().unwrap_or_default().to_owned();
        assert!(finding.starts_with(told), "{sql}: {finding}");
    }
    Ok(())
}
