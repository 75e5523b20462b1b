//! The `tokenward` program: all of it is in the library.

fn main() -> std::process::ExitCode {
    tokenward::cli::run()
}
