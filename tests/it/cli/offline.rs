//! What works, and what fails well, without a server.

use std::io;

use super::{Outcome, program, run, tokenward};

const HEX: &str = "kn_0123456789abcdef0123456789abcdef01234567";
const CHECK: [&str; 5] = ["check", "--prefix", "kn_", "--format", "hex:40"];

#[test]
fn check_judges_the_shape() -> Outcome {
    let good = tokenward(&CHECK, HEX)?;
    assert_eq!((good.code, good.err.as_str()), (Some(0), ""), "{good:?}");
    assert!(good.out.contains("well-formed"), "{good:?}");
    for (bad, problem) in [
        ("", "does not begin with kn_"),
        (
            "kt_0123456789abcdef0123456789abcdef01234567",
            "does not begin with kn_",
        ),
        (&HEX[1..], "does not begin with kn_"),
        (
            &HEX[..HEX.len() - 1],
            "has 39 characters after its prefix where 40 belong",
        ),
        (&HEX.replace('f', "F"), "has a character outside its alphabet"),
        (
            &format!("{HEX}\n\n"),
            "has 41 characters after its prefix where 40 belong",
        ),
        (&format!(" {HEX}"), "does not begin with kn_"),
    ] {
        let said = tokenward(&CHECK, bad)?;
        assert_eq!((said.code, said.err.as_str()), (Some(1), ""), "{bad}: {said:?}");
        assert!(said.out.contains(problem), "{bad}: {said:?}");
        assert!(!said.out.contains("0123"), "the secret is shown: {said:?}");
    }
    Ok(())
}

#[test]
fn check_knows_the_checksum_of_a_native_token() -> Outcome {
    // The CRC-32 of the 39 characters before it, by Python's zlib.crc32, in base62.
    let native = "tw_000000000000000000000000000000AAAAAA1bdDTQ";
    let args = [
        "check", "--prefix", "tw_", "--format", "native", "--output", "json",
    ];
    let good = tokenward(&args, &format!("{native}\n"))?;
    assert_eq!(good.code, Some(0), "{good:?}");
    assert_eq!(
        good.json()?,
        serde_json::json!({ "well_formed": true, "problem": null })
    );
    let bad = tokenward(&args, &native.replace("AAAAAA", "AAAAAB"))?;
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert_eq!(
        bad.json()?["problem"],
        "its checksum does not match: mistyped or cut off"
    );
    Ok(())
}

#[test]
fn the_secret_is_taken_from_file_then_environment_then_stdin() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("secret");
    std::fs::write(&file, format!("{HEX}\r\n"))?;
    let file = file.to_str().unwrap_or_default();
    let check = |more: &[&str], env: Option<&str>, stdin: &str| -> io::Result<Option<i32>> {
        let mut command = program(&[&CHECK[..], more].concat());
        if let Some(env) = env {
            command.env("TOKENWARD_SECRET", env);
        }
        Ok(run(&mut command, stdin)?.code)
    };
    assert_eq!(check(&["--secret-file", file], Some("bad"), "bad")?, Some(0));
    assert_eq!(check(&["--secret-file", "-"], Some("bad"), HEX)?, Some(0));
    assert_eq!(check(&[], Some(HEX), "bad")?, Some(0));
    assert_eq!(check(&[], Some("bad"), HEX)?, Some(1));
    assert_eq!(check(&[], Some(""), HEX)?, Some(1));
    assert_eq!(check(&[], None, HEX)?, Some(0));
    assert_eq!(check(&["--secret-file", "/nowhere"], None, HEX)?, Some(2));
    Ok(())
}

#[test]
fn a_secret_is_not_taken_from_the_arguments() -> Outcome {
    for args in [&[&CHECK[..], &[HEX]].concat()[..], &["verify", HEX]] {
        let said = tokenward(args, "")?;
        assert_eq!(said.code, Some(2), "{said:?}");
    }
    Ok(())
}

#[test]
fn with_nothing_listening_nothing_is_judged() -> Outcome {
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let address = format!("http://{free}");
    let verify = tokenward(&["verify", "--address", &address], HEX)?;
    assert_eq!((verify.code, verify.out.as_str()), (Some(2), ""), "{verify:?}");
    assert_eq!(
        verify.complaint(),
        format!(
            "tokenward: nothing listens at {address}; start a server with `tokenward serve`, or name another with --address"
        )
    );
    // Where 1 is no refusal, it says that the command failed.
    let list = tokenward(&["list", "--namespace", "notes", "--address", &address], "")?;
    assert_eq!((list.code, list.out.as_str()), (Some(1), ""), "{list:?}");
    list.complaint();
    let mut by_variable = program(&["get", "019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b"]);
    let get = run(by_variable.env("TOKENWARD_ADDRESS", &address), "")?;
    assert!(get.complaint().contains(&address), "{get:?}");
    Ok(())
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() -> Outcome {
    for args in [
        &[][..],
        &["revoke"],
        &[
            "namespace",
            "create",
            "notes",
            "--prefix",
            "KN",
            "--format",
            "hex:40",
        ],
        &[
            "namespace",
            "create",
            "notes",
            "--prefix",
            "kn_",
            "--format",
            "hex:31",
        ],
        &[
            "issue",
            "--namespace",
            "n",
            "--subject",
            "s",
            "--ttl",
            "1d",
            "--expires",
            "2030-01-01T00:00:00Z",
        ],
        &["issue", "--namespace", "n", "--subject", "s", "--label", "x"],
        &["list", "--namespace", "n", "--limit", "0"],
        &["list", "--namespace", "n", "--state", "ACTIVE"],
        &["get", "x", "--address", "unix:///a"],
        // Nobody can be asked, and the answer is not guessed.
        &["revoke", "019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b"],
    ] {
        let said = tokenward(args, "")?;
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(2), ""),
            "{args:?}: {said:?}"
        );
        assert!(!said.err.is_empty(), "{args:?}");
    }
    Ok(())
}

/// Every limit of a server is an option with bounds: what would shut everybody out, or lets everything in, is
/// said to be wrong before anything is opened.
#[test]
fn limits_out_of_bounds_are_usage_errors() -> Outcome {
    let counts = [
        "--connections-max",
        "--connections-per-address-max",
        "--streams-max",
        "--handlers-max",
        "--cancelled-burst",
        "--cancelled-rate",
        "--watchers-max",
        "--watchers-per-caller-max",
        "--misses-burst",
        "--misses-rate",
    ];
    let bytes = ["--message-bytes-max", "--header-bytes-max"];
    let spans = [
        "--preface-max",
        "--keepalive-interval",
        "--keepalive-timeout",
        "--connection-age-max",
        "--connection-grace",
        "--deadline-max",
        "--watcher-stall-max",
    ];
    let each = |options: &[&'static str], values: [&'static str; 3]| {
        let options = options.iter();
        let pairs: Vec<_> = options
            .flat_map(|option| values.map(|value| (*option, value)))
            .collect();
        pairs
    };
    let wrong = [
        each(&counts, ["0", "-1", "1000001"]),
        each(&bytes, ["0", "1023", "16777217"]),
        each(&spans, ["0s", "366days", "soon"]),
    ];
    for (option, value) in wrong.concat() {
        // It would not start either way, and not for that.
        let said = tokenward(
            &["serve", "--store", "nowhere:", &format!("{option}={value}")],
            "",
        )?;
        assert_eq!(said.code, Some(2), "{option} {value}: {said:?}");
        assert!(said.err.contains(option), "{option} {value}: {said:?}");
    }
    Ok(())
}

#[test]
fn completions_name_the_commands() -> Outcome {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = tokenward(&["completions", shell], "")?;
        assert_eq!(said.code, Some(0), "{shell}");
        for word in ["namespace", "rotate", "secret-only"] {
            assert!(said.out.contains(word), "{shell}: {word}");
        }
    }
    Ok(())
}

#[test]
fn a_reader_who_has_gone_is_no_error() -> Outcome {
    let (reader, writer) = io::pipe()?;
    drop(reader);
    let said = run(program(&["completions", "bash"]).stdout(writer), "")?;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    Ok(())
}

#[test]
fn the_exit_codes_are_in_the_help() -> Outcome {
    let said = tokenward(&["--help"], "")?;
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("Exit codes:"), "{}", said.out);
    Ok(())
}
