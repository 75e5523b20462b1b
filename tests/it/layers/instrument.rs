//! No argument gets into the log by way of an attribute.

use super::reading::{Source, code, sources};
use super::{Outcome, assert_none};

/// `#[instrument]` writes every argument into the log, a secret among them, unless it is told to skip all.
#[test]
fn nothing_is_instrumented_with_its_arguments() -> Outcome {
    assert_none(sources("src", &["rs"])?.iter().flat_map(instrumented));
    Ok(())
}

fn instrumented(file: &Source) -> Vec<String> {
    let code = code(file);
    let attributes = code.match_indices("instrument").filter(|(at, word)| {
        let (before, after) = (&code[..*at], &code[at + word.len()..]);
        // The method of a future takes a span, and no arguments.
        let names_it = before.ends_with("#[") || before.ends_with("::") || before.ends_with(' ');
        let after = after.trim_start();
        let skips =
            after.starts_with('(') && after.split(')').next().is_some_and(|of| of.contains("skip_all"));
        names_it && after.starts_with(['(', ']']) && !skips
    });
    attributes
        .map(|(at, _)| {
            let line = code[..at].lines().count();
            format!("{}:{line}: #[instrument] without skip_all", file.path)
        })
        .collect()
}

#[test]
fn an_instrument_that_shows_arguments_is_found() {
    let found = |text| instrumented(&Source::new("src/rpc/issue.rs", text)).len();
    for text in [
        "#[instrument]\nfn f() {}",
        "#[tracing::instrument]\nfn f() {}",
        "#[tracing::instrument(level = \"debug\", skip(secret))]\nfn f() {}",
        "#[cfg_attr(x, instrument(err))]\nfn f() {}",
    ] {
        assert_eq!(found(text), 1, "{text}");
    }
    for text in [
        "use tracing::instrument;",
        "#[instrument(skip_all)]\nfn f() {}",
        "#[tracing::instrument(\n    level = \"debug\",\n    skip_all,\n)]\nfn f() {}",
        "f().instrument(span)",
        "// #[instrument]",
    ] {
        assert_eq!(found(text), 0, "{text}");
    }
}
