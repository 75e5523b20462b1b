//! How a secret is presented: from a file, the environment, stdin or a prompt, never from the arguments,
//! which every process on the machine can read and every shell remembers.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::failure::Failure;
use crate::token::format::SECRET_BYTES_MAX;
use crate::token::secret::Secret;

const VARIABLE: &str = "TOKENWARD_SECRET";

/// Enough to see that a text is too long, with room for its line break.
const READ_MAX: usize = SECRET_BYTES_MAX + 3;

/// For the help of commands that read a secret.
pub(super) const SOURCES: &str = "\
The secret is read from --secret-file, else from the variable TOKENWARD_SECRET, else from stdin if that \
is not a terminal, else it is asked for. One line break at its end is dropped.";

#[derive(clap::Args, Debug)]
pub(super) struct SecretArgs {
    /// Read the secret from this file; `-` is stdin
    #[arg(long, value_name = "PATH")]
    secret_file: Option<PathBuf>,
}

impl SecretArgs {
    pub(super) fn read(&self) -> Result<Secret, Failure> {
        if let Some(path) = &self.secret_file {
            return match path.to_str() {
                Some("-") => from_stdin(),
                _ => from_file(path),
            };
        }
        match std::env::var_os(VARIABLE) {
            Some(text) => secret(Zeroizing::new(text.into_encoded_bytes()), VARIABLE),
            None if io::stdin().is_terminal() => from_prompt(),
            None => from_stdin(),
        }
    }
}

fn from_file(path: &Path) -> Result<Secret, Failure> {
    let unread = |error| Failure::new(format_args!("{} cannot be read: {error}", path.display()));
    let bytes = File::open(path).and_then(bounded).map_err(unread)?;
    secret(bytes, &path.display().to_string())
}

fn from_stdin() -> Result<Secret, Failure> {
    let bytes = bounded(io::stdin().lock())
        .map_err(|error| Failure::new(format_args!("stdin cannot be read: {error}")))?;
    secret(bytes, "stdin")
}

fn from_prompt() -> Result<Secret, Failure> {
    let asked = dialoguer::Password::new()
        .with_prompt("Secret")
        .report(false)
        .interact();
    asked.map(Secret::new).map_err(|dialoguer::Error::IO(error)| {
        Failure::new(format_args!("the secret could not be asked for: {error}"))
            .but(format_args!("pipe it in, or set {VARIABLE}"))
    })
}

/// Reads no more than is needed to judge; allocated once, so that no copy is left behind unzeroised.
fn bounded(source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(READ_MAX + 1));
    source.take(READ_MAX as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn secret(mut bytes: Zeroizing<Vec<u8>>, from: &str) -> Result<Secret, Failure> {
    drop_line_break(&mut bytes);
    // The text takes over the buffer; what is not text is zeroised with the error that returns it.
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Secret::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(Failure::new(format_args!(
                "what {from} holds is not text, so it is no secret"
            )))
        }
    }
}

/// One, as `echo` and editors leave it: any other white space is part of what was presented.
fn drop_line_break(bytes: &mut Vec<u8>) {
    if bytes.pop_if(|byte| *byte == b'\n').is_some() {
        bytes.pop_if(|byte| *byte == b'\r');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_line_break_is_dropped() {
        for (given, kept) in [
            ("kn_a", "kn_a"),
            ("kn_a\n", "kn_a"),
            ("kn_a\r\n", "kn_a"),
            ("kn_a\n\n", "kn_a\n"),
            ("kn_a\r", "kn_a\r"),
            (" kn_a ", " kn_a "),
            ("\n", ""),
        ] {
            let read = secret(Zeroizing::new(given.as_bytes().to_vec()), "a test");
            assert_eq!(read.ok().as_ref().map(Secret::expose), Some(kept), "{given:?}");
        }
    }

    #[test]
    fn a_text_of_any_length_is_read_no_further_than_it_takes_to_refuse_it() -> io::Result<()> {
        let bytes = bounded(io::repeat(b'a'))?;
        assert_eq!(bytes.len(), READ_MAX);
        assert!(bytes.len() > SECRET_BYTES_MAX);
        Ok(())
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_without_being_shown() {
        let refused = secret(Zeroizing::new(vec![b'k', 0xff]), "stdin").err();
        assert_eq!(
            refused.and_then(|failure| failure.line()).as_deref(),
            Some("tokenward: what stdin holds is not text, so it is no secret")
        );
    }
}
