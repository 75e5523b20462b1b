//! Asking before what cannot be taken back.

use super::failure::Failure;
use super::output;

/// Goes on only where somebody can be asked; `what` says what is about to be done, and why that needs asking.
pub(super) fn can_be_asked(what: &str) -> Result<(), Failure> {
    if output::can_ask() {
        return Ok(());
    }
    Err(
        Failure::usage(format_args!("{what}, and nobody can be asked here"))
            .but("pass --yes to go on without asking"),
    )
}

/// Whether the answer to `question` is yes; no is the default.
pub(super) fn confirmed(question: &str) -> Result<bool, Failure> {
    dialoguer::Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact()
        .map_err(|dialoguer::Error::IO(error)| {
            Failure::new(format_args!("the answer could not be read: {error}"))
                .but("pass --yes to go on without asking")
        })
}

/// Whether `wanted` is typed in, letter by letter: what a habit of saying yes does not do.
pub(super) fn typed(question: &str, wanted: &str) -> Result<bool, Failure> {
    let typed: String = dialoguer::Input::new()
        .with_prompt(question)
        .allow_empty(true)
        .interact_text()
        .map_err(|dialoguer::Error::IO(error)| {
            Failure::new(format_args!("the answer could not be read: {error}"))
        })?;
    Ok(typed == wanted)
}
