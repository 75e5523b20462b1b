//! Imports point down: which module may import which, checked on the sources.

mod can_fail;
mod instrument;
mod reading;

use std::collections::BTreeSet;

use reading::{Source, code, imports, modules, roots, sources};

/// A module of the crate, and what it may name.
struct Row {
    module: &'static str,
    /// Modules of this crate: only such as have a row above.
    imports: &'static [&'static str],
    /// Of the crates in [`WATCHED`], with all that share their first word: `tonic` means `tonic_types` too.
    crates: &'static [&'static str],
}

/// Crates that must not spread: chance, the driver, the runtime and the wire each have their place.
const WATCHED: [&str; 5] = ["prost", "rand", "sqlx", "tokio", "tonic"];

/// In the order of `lib.rs`. Two walls are worth knowing before a row is widened: no row above `proto`
/// sees protobuf, and `authority` and `verify` meet only through the journal.
const TABLE: &[Row] = &[
    // 0: facts and decisions, without I/O, clock or chance
    Row {
        module: "token",
        imports: &[],
        crates: &[],
    },
    Row {
        module: "journal",
        imports: &["token"],
        crates: &[],
    },
    // 1: time, chance and keeping
    Row {
        module: "clock",
        imports: &["token"],
        crates: &["rand"],
    },
    Row {
        module: "limit",
        imports: &[],
        crates: &[],
    },
    Row {
        module: "store",
        imports: &["token", "journal", "clock"],
        crates: &["sqlx", "tokio"],
    },
    Row {
        module: "membership",
        imports: &["token", "journal", "clock", "store"],
        crates: &["tokio"],
    },
    // 2: what the service does
    Row {
        module: "audit",
        imports: &["token", "journal", "clock", "store"],
        crates: &["tokio"],
    },
    Row {
        module: "authority",
        imports: &["token", "journal", "clock", "store"],
        crates: &["tokio"],
    },
    Row {
        module: "verify",
        imports: &["token", "journal", "clock", "limit", "store", "membership"],
        crates: &["tokio"],
    },
    Row {
        module: "watch",
        imports: &["token", "journal", "clock", "limit", "store"],
        crates: &["tokio"],
    },
    Row {
        module: "usage",
        imports: &["token", "clock", "store"],
        crates: &["tokio"],
    },
    Row {
        module: "webhook",
        imports: &["token", "journal", "clock", "store", "authority"],
        crates: &["tokio"],
    },
    Row {
        module: "lifecycle",
        imports: &["token", "journal", "clock", "store", "authority"],
        crates: &["tokio"],
    },
    // 3: the wire
    Row {
        module: "proto",
        imports: &[],
        crates: &["prost", "tonic"],
    },
    Row {
        module: "rpc",
        imports: &[
            "token",
            "journal",
            "clock",
            "store",
            "membership",
            "audit",
            "authority",
            "verify",
            "watch",
            "usage",
            "webhook",
            "proto",
        ],
        crates: &["prost", "tokio", "tonic"],
    },
    // 4: composition
    Row {
        module: "telemetry",
        imports: &[],
        crates: &["tokio"],
    },
    Row {
        module: "serve",
        imports: &[
            "token",
            "journal",
            "clock",
            "limit",
            "store",
            "membership",
            "audit",
            "authority",
            "verify",
            "watch",
            "usage",
            "webhook",
            "lifecycle",
            "proto",
            "rpc",
            "telemetry",
        ],
        crates: &["prost", "tokio", "tonic"],
    },
    Row {
        module: "cli",
        imports: &[
            "token",
            "journal",
            "clock",
            // these limits are options of the server
            "limit",
            "store",
            "verify",
            "watch",
            // how often, and how much of an address
            "usage",
            "lifecycle",
            "proto",
            "telemetry",
            "serve",
        ],
        crates: &["prost", "tokio", "tonic"],
    },
];

/// Files that may name a gRPC code, and why.
const NAMES_CODES: &[(&str, &str)] = &[
    (
        "src/rpc/status/reason.rs",
        "one table from what went wrong to what the caller is told",
    ),
    (
        "src/cli/failure.rs",
        "the other end of it: what a person is told where the reason is unknown",
    ),
];

const LINES_MAX: usize = 400;

/// Files that may be longer, and why.
const LONGER: &[(&str, &str)] = &[];

/// Names that say nothing about what is inside.
const NAMELESS: [&str; 7] = ["common", "helper", "helpers", "manager", "misc", "util", "utils"];

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn a_row_names_only_rows_above_it() {
    let mut above = BTreeSet::new();
    for row in TABLE {
        for import in row.imports {
            assert!(
                above.contains(import),
                "{} names {import}, which is not above it",
                row.module
            );
        }
        for name in row.crates {
            assert!(WATCHED.contains(name), "{name} of {} is not watched", row.module);
        }
        assert!(above.insert(row.module), "{} has two rows", row.module);
    }
}

#[test]
fn lib_lists_the_modules_of_the_table_in_its_order() -> Outcome {
    let lib = std::fs::read_to_string("src/lib.rs")?;
    let table: Vec<_> = TABLE.iter().map(|row| row.module).collect();
    assert_eq!(
        modules(&lib),
        table,
        "src/lib.rs on the left, the table on the right"
    );
    Ok(())
}

#[test]
fn modules_import_what_their_row_allows() -> Outcome {
    assert_none(sources("src", &["rs"])?.iter().flat_map(forbidden_imports));
    Ok(())
}

#[test]
fn only_one_file_decides_on_grpc_codes() -> Outcome {
    assert_none(sources("src", &["rs"])?.iter().flat_map(forbidden_codes));
    Ok(())
}

#[test]
fn files_have_a_size_a_name_and_a_first_line() -> Outcome {
    let mut files = sources("src", &["rs"])?;
    files.extend(sources("tests", &["rs", "py", "sh"])?);
    assert_none(files.iter().flat_map(misshapen));
    for (path, _) in NAMES_CODES.iter().chain(LONGER) {
        assert!(
            files.iter().any(|file| file.path == *path),
            "{path} is excused but does not exist"
        );
    }
    Ok(())
}

fn assert_none(complaints: impl Iterator<Item = String>) {
    let complaints: Vec<_> = complaints.collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Imports and crates that the row of the file's module does not allow. `lib.rs` and `main.rs` have no
/// row: they only put together.
fn forbidden_imports(file: &Source) -> Vec<String> {
    let Some(module) = file.module() else {
        return Vec::new();
    };
    let Some(row) = TABLE.iter().find(|row| row.module == module) else {
        return vec![format!("{}: {module} has no row in the table", file.path)];
    };
    let code = code(file);
    let imported = imports(&code)
        .into_iter()
        .filter(|(_, name)| name != module && !row.imports.contains(&name.as_str()))
        .map(|(line, name)| format!("{}:{line}: {module} may not import {name}", file.path));
    let named = roots(&code)
        .into_iter()
        .filter(|(_, root)| {
            let family = root.split('_').next().unwrap_or(root);
            WATCHED.contains(&family) && !row.crates.contains(&family)
        })
        .map(|(line, root)| format!("{}:{line}: {module} may not use {root}", file.path));
    imported.chain(named).collect()
}

fn forbidden_codes(file: &Source) -> Vec<String> {
    if NAMES_CODES.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    code(file)
        .lines()
        .zip(1..)
        .filter(|(text, _)| {
            text.contains("tonic::Code") || roots(text).iter().any(|(_, root)| root == "Code")
        })
        .map(|(_, line)| {
            format!(
                "{}:{line}: gRPC codes are for src/rpc/status/reason.rs",
                file.path
            )
        })
        .collect()
}

fn misshapen(file: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = file.text.lines().count();
    if lines > LINES_MAX && !LONGER.iter().any(|(path, _)| *path == file.path) {
        complaints.push(format!("{}: {lines} lines, more than {LINES_MAX}", file.path));
    }
    let names = file.path.split(['/', '.']);
    for name in names.filter(|name| NAMELESS.contains(name)) {
        complaints.push(format!("{}: {name} says nothing about what is inside", file.path));
    }
    let introduces = ["/mod.rs", "/lib.rs", "/main.rs"]
        .iter()
        .any(|end| file.path.ends_with(end))
        || file
            .module()
            .is_some_and(|module| file.path == format!("src/{module}.rs"));
    if introduces && !file.text.starts_with("//! ") {
        complaints.push(format!("{}: does not begin by saying what it is for", file.path));
    }
    complaints
}
