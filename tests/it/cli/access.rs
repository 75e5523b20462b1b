//! With what commands call: bootstrap, profiles and credentials.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::served::Desk;
use super::{Outcome, Said, program, run, tokenward};
use crate::admin::{CREDENTIAL, FILES};

/// A person with a home of their own, who has no credential yet.
struct Person {
    desk: Desk,
    home: TempDir,
}

impl Person {
    fn new() -> Result<Person, Box<dyn std::error::Error>> {
        Ok(Person {
            desk: Desk::open()?,
            home: tempfile::tempdir()?,
        })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = program(args);
        command
            .env_remove("TOKENWARD_CREDENTIAL_FILE")
            .env("XDG_CONFIG_HOME", self.home.path());
        command
    }

    fn says(&self, args: &[&str], stdin: &str) -> io::Result<Said> {
        run(&mut self.command(args), stdin)
    }

    fn login(&self) -> Result<Said, Box<dyn std::error::Error>> {
        let login = ["login", "--address", &self.desk.address];
        let said = self.says(&login, &CREDENTIAL)?;
        assert_eq!(said.code, Some(0), "{said:?}");
        Ok(said)
    }
}

#[test]
fn a_login_is_kept_for_its_owner_and_used_from_then_on() -> Outcome {
    let person = Person::new()?;
    let stranger = person.says(&["whoami", "--address", &person.desk.address], "")?;
    assert_eq!(stranger.code, Some(1));
    assert!(stranger.complaint().contains("`tokenward login`"), "{stranger:?}");

    let said = person.login()?;
    assert!(!format!("{said:?}").contains(&CREDENTIAL[12..]), "it is shown");
    let kept = person.home.path().join("tokenward/default.json");
    assert_eq!(std::fs::metadata(&kept)?.permissions().mode() & 0o777, 0o600);
    // Neither address nor credential is given any more.
    let who = person.says(&["whoami", "--output", "json"], "")?;
    assert_eq!(who.json()?["permissions"], serde_json::json!(["*"]));

    // Another server does not get to see it.
    let other = Desk::open()?;
    let elsewhere = person.says(&["whoami", "--address", &other.address], "")?;
    assert!(
        elsewhere.complaint().contains("the call carries no credential"),
        "{elsewhere:?}"
    );

    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o644))?;
    let exposed = person.says(&["whoami"], "")?;
    assert_eq!(exposed.code, Some(1));
    assert!(
        exposed.complaint().ends_with("(mode 644): chmod 600 it"),
        "{exposed:?}"
    );
    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o600))?;

    let logout = person.says(&["logout"], "")?;
    assert_eq!((logout.code, kept.exists()), (Some(0), false));
    assert_eq!(
        person.says(&["logout"], "")?.complaint(),
        "tokenward: there is no profile default"
    );
    Ok(())
}

#[test]
fn what_does_not_work_is_not_kept() -> Outcome {
    let person = Person::new()?;
    let login = ["login", "--address", &person.desk.address];
    let refused = person.says(&login, "tokenward_garbage")?;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.complaint().contains("the credential is not good"),
        "{refused:?}"
    );
    assert!(!person.home.path().join("tokenward").exists());
    let outside = person.says(&["login", "--profile", "../x"], "")?;
    assert_eq!(outside.code, Some(2), "{outside:?}");
    Ok(())
}

#[test]
fn no_credential_is_shown_to_the_network() -> Outcome {
    for (address, refused) in [
        ("http://192.0.2.1:7117", true),
        ("tokenward.example:7117", true),
        ("http://127.0.0.1:9", false),
        ("http://[::1]:9", false),
        ("http://localhost:9", false),
    ] {
        let said = tokenward(&["whoami", "--address", address], "")?;
        assert_eq!(said.code == Some(2), refused, "{said:?}");
        assert_eq!(
            said.complaint().contains("--allow-plaintext"),
            refused,
            "{said:?}"
        );
    }
    let login = tokenward(&["login", "--address", "http://192.0.2.1:7117"], &CREDENTIAL)?;
    assert!(login.complaint().contains("--allow-plaintext"), "{login:?}");
    Ok(())
}

/// The permissions of whoever the command calls as.
fn permissions(command: &mut Command) -> Result<Value, Box<dyn std::error::Error>> {
    let said = run(command, "")?;
    assert_eq!(said.code, Some(0), "{said:?}");
    Ok(said.json()?["permissions"].clone())
}

#[test]
fn flags_come_before_the_environment_and_that_before_the_profile() -> Outcome {
    let person = Person::new()?;
    person.login()?;
    let issued = |name: &str, permission: &str| {
        let file = person.home.path().join(name);
        let path = file.display().to_string();
        let issue = [
            "credential",
            "issue",
            name,
            "--permission",
            permission,
            "--secret-file",
            &path,
        ];
        let said = person.says(&issue, "")?;
        assert_eq!(said.code, Some(0), "{said:?}");
        io::Result::Ok(file)
    };
    let by_flag = issued("flag", "tokens.list:notes")?;
    let by_variable = issued("variable", "tokens.issue:notes")?;
    let secret = std::fs::read_to_string(&by_variable)?;
    let whoami = ["whoami", "--output", "json"];
    let mut profile = person.command(&whoami);
    assert_eq!(permissions(&mut profile)?, serde_json::json!(["*"]));
    let mut variable = person.command(&whoami);
    variable.env("TOKENWARD_CREDENTIAL", &secret);
    assert_eq!(
        permissions(&mut variable)?,
        serde_json::json!(["tokens.issue:notes"])
    );
    let mut flag = person.command(&whoami);
    flag.env("TOKENWARD_CREDENTIAL", &secret)
        .arg("--credential-file")
        .arg(&by_flag);
    assert_eq!(permissions(&mut flag)?, serde_json::json!(["tokens.list:notes"]));
    let mut absent = person.command(&whoami);
    absent.args(["--credential-file", "/nowhere/at/all"]);
    let said = run(&mut absent, "")?;
    assert_eq!(said.complaint(), "tokenward: /nowhere/at/all does not exist");
    Ok(())
}

#[test]
fn a_secret_goes_to_a_new_file_of_its_owner() -> Outcome {
    let desk = Desk::open()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("secret");
    let path = file.display().to_string();
    let issue = [
        "issue",
        "--namespace",
        "notes",
        "--subject",
        "ada",
        "--secret-file",
        &path,
    ];
    let said = desk.tokenward(&issue)?;
    assert_eq!(said.code, Some(0), "{said:?}");
    let secret = std::fs::read_to_string(&file)?;
    assert!(secret.starts_with("kn_") && secret.len() == 43);
    assert!(!format!("{said:?}").contains(&secret[7..]), "it is shown, too");
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let verified = desk.given(&secret, &["verify"])?;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let again = desk.tokenward(&issue)?;
    assert_eq!(again.code, Some(2));
    assert!(
        again.complaint().ends_with("exists already; name a new file"),
        "{again:?}"
    );
    Ok(())
}

#[test]
fn a_role_is_issued_for_the_namespaces_named() -> Outcome {
    let desk = Desk::open()?;
    let issue = |more: &[&str]| desk.tokenward(&[&["credential", "issue", "gateway"], more].concat());
    let issued = desk.json(&[
        "credential",
        "issue",
        "gateway",
        "--role",
        "verifier",
        "--namespace",
        "notes",
        "--namespace",
        "tasks",
        "--permission",
        "tokens.verify.reason:*",
        "--ttl",
        "90d",
    ])?;
    assert_eq!(
        issued["token"]["scopes"],
        serde_json::json!([
            "tokens.verify.reason:*",
            "tokens.verify:notes",
            "tokens.verify:tasks"
        ])
    );
    for (more, code, told) in [
        (
            &[][..],
            2,
            "it could do nothing; give it a --role or a --permission",
        ),
        (
            &["--role", "admin", "--namespace", "notes"],
            2,
            "leave --namespace out",
        ),
        (
            &["--permission", "tokens.fly:notes"],
            1,
            "tokens.fly:notes is no permission",
        ),
    ] {
        let said = issue(more)?;
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.complaint().contains(told), "{said:?}");
    }
    let wrong = issue(&["--role", "root"])?;
    assert!(
        wrong
            .err
            .contains("must be verifier, issuer, watcher, auditor or admin"),
        "{wrong:?}"
    );
    Ok(())
}

#[test]
fn a_namespace_says_whether_its_tokens_manage_tokens() -> Outcome {
    let desk = Desk::open()?;
    let update = |more: &[&str]| desk.json(&[&["namespace", "update", "notes"], more].concat());
    let shown = desk.json(&["namespace", "get", "notes"])?;
    assert_eq!(shown["policy"]["self_management"], "off");
    assert_eq!(
        update(&["--self-management", "by-scope"])?["policy"]["self_management"],
        "by-scope"
    );
    let renamed = update(&["--display-name", "Notes"])?;
    assert_eq!(
        (&renamed["policy"]["self_management"], &renamed["display_name"]),
        (&"by-scope".into(), &"Notes".into())
    );
    let nothing = desk.tokenward(&["namespace", "update", "notes"])?;
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
    Ok(())
}

fn bootstrap(store: &str, file: &Path, more: &[&str]) -> io::Result<Said> {
    let (file, pepper) = (file.display().to_string(), FILES.pepper.display().to_string());
    let bootstrap = [
        "bootstrap",
        "--store",
        store,
        "--admin-file",
        &file,
        "--pepper-file",
        &pepper,
    ];
    tokenward(&[&bootstrap[..], more].concat(), "")
}

#[test]
fn a_store_is_bootstrapped_once_unless_forced() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = format!("sqlite:{}", folder.path().join("tokenward.db").display());
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let said = bootstrap(&store, &first, &[])?;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(std::fs::metadata(&first)?.permissions().mode() & 0o777, 0o600);
    let credential = std::fs::read_to_string(&first)?;
    assert!(!format!("{said:?}").contains(&credential[12..]), "it is shown");

    // Repeated with its own file, it is what was done already.
    assert_eq!(bootstrap(&store, &first, &[])?.code, Some(0));
    let refused = bootstrap(&store, &second, &[])?;
    assert_eq!((refused.code, second.exists()), (Some(1), false));
    let told = refused.complaint();
    assert!(
        told.contains("there is an admin already") && told.contains("--force"),
        "{refused:?}"
    );
    // Nobody is there to be asked.
    let unasked = bootstrap(&store, &second, &["--force"])?;
    assert_eq!((unasked.code, second.exists()), (Some(2), false), "{unasked:?}");
    assert_eq!(bootstrap(&store, &second, &["--force", "--yes"])?.code, Some(0));
    assert_ne!(std::fs::read_to_string(&second)?, credential);
    let taken = bootstrap(&store, &second, &["--force", "--yes"])?;
    assert_eq!(taken.code, Some(1));
    assert!(taken.complaint().contains("exists already"), "{taken:?}");
    assert_eq!(bootstrap("memory:", &second, &[])?.code, Some(2));
    Ok(())
}
