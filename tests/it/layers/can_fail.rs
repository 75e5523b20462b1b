//! Each check on a source that it must find fault with, and on one that it must not.

use super::*;

fn complaints(path: &str, text: &str) -> usize {
    forbidden_imports(&Source::new(path, text)).len()
}

#[test]
fn an_upward_import_is_found_in_every_form() {
    for text in [
        "use crate::authority::Writer;",
        "use crate::{authority::Writer, token::Token};",
        "use crate::{\n    token::{Token, id::TokenId},\n    authority,\n};",
        "pub use crate::authority;",
        "fn f() -> crate::authority::Writer { g() }",
        "#[cfg(test)]\nmod laws;\nuse crate::authority::Writer;",
        "#[cfg(test)]\nmod tests {\n    use super::*;\n}\nuse crate::authority::Writer;",
    ] {
        assert_eq!(complaints("src/store/mod.rs", text), 1, "{text}");
    }
}

#[test]
fn what_is_allowed_is_left_alone() {
    for text in [
        "use crate::journal::Entry;",
        "use crate::{journal::{Entry, link::Link}, token::Token};",
        "use crate::store::Store;",
        "use sqlx::Row;",
        "// unlike crate::authority, tonic::Status",
        "/// See [`crate::authority`].",
        "#[cfg(test)]\nmod tests {\n    use crate::authority::Writer;\n}",
        "#[cfg(test)]\nuse crate::authority::Writer;",
    ] {
        assert_eq!(complaints("src/store/mod.rs", text), 0, "{text}");
    }
    let upward = "use crate::authority::Writer;";
    assert_eq!(complaints("src/store/laws/mod.rs", upward), 0);
    assert_eq!(complaints("src/store/samples.rs", upward), 0);
    assert_eq!(complaints("src/main.rs", "use crate::anything;"), 0);
}

#[test]
fn a_crate_out_of_its_place_is_found() {
    assert_eq!(complaints("src/token/mod.rs", "use tokio::sync::watch;"), 1);
    assert_eq!(
        complaints("src/journal/fold.rs", "fn f() -> sqlx::Row { g() }"),
        1
    );
    assert_eq!(
        complaints("src/verify/mod.rs", "use tonic_types::ErrorDetails;"),
        1
    );
    assert_eq!(complaints("src/verify/mod.rs", "use crate::proto::v1;"), 1);
    assert_eq!(complaints("src/rpc/mod.rs", "use rand::rngs::SysRng;"), 1);
    assert_eq!(complaints("src/clock.rs", "use rand::rngs::SysRng;"), 0);
    assert_eq!(complaints("src/token/mod.rs", "use serde::tokio::x;"), 0);
}

#[test]
fn a_module_without_a_row_is_found() {
    assert_eq!(complaints("src/novelty/mod.rs", ""), 1);
    assert_eq!(complaints("src/novelty.rs", ""), 1);
}

#[test]
fn a_grpc_code_out_of_its_file_is_found() {
    let found = |path, text| forbidden_codes(&Source::new(path, text)).len();
    assert_eq!(found("src/rpc/issue.rs", "use tonic::Code;"), 1);
    assert_eq!(found("src/rpc/issue.rs", "fail(Code::Internal)"), 1);
    assert_eq!(found("src/rpc/status/reason.rs", "fail(Code::Internal)"), 0);
    assert_eq!(found("src/cli/mod.rs", "ExitCode::SUCCESS"), 0);
}

#[test]
fn a_misshapen_file_is_found() {
    let found = |path, text: &str| misshapen(&Source::new(path, text)).len();
    assert_eq!(found("src/watch.rs", &"x\n".repeat(LINES_MAX + 1)), 2);
    assert_eq!(found("tests/it/main.rs", "fn main() {}"), 1);
    assert_eq!(found("src/store/utils.rs", ""), 1);
    assert_eq!(found("src/helpers/mod.rs", "//! What for."), 1);
    assert_eq!(found("src/store/read.rs", &"x\n".repeat(LINES_MAX)), 0);
}

#[test]
fn modules_are_read_in_order() {
    let lib = "//! Text.\n\npub mod token;\n// pub mod gone;\nmod journal;\npub use token::Token;\n";
    assert_eq!(modules(lib), ["token", "journal"]);
}
