//! The program itself, deaf to whatever the environment of the tests says.

use std::ffi::OsStr;
use std::process::Command;

/// Where it is.
pub(crate) const PATH: &str = env!("CARGO_BIN_EXE_tokenward");

/// The program, or a copy of it.
pub(crate) fn deaf(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        let of_the_program = name.as_encoded_bytes().starts_with(b"TOKENWARD_");
        if of_the_program && !name.as_encoded_bytes().starts_with(b"TOKENWARD_TEST_") {
            command.env_remove(name);
        }
    }
    // Nobody's profiles.
    command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}
