//! What the servers of this process say in their log. Tests run side by side: who searches it looks for an id.

use std::sync::OnceLock;

use crate::log::Log;

/// The one of this process, which is written from the first call on.
pub(super) fn start() -> Result<&'static Log, String> {
    static LOG: OnceLock<Result<Log, String>> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = Log::default();
        let set = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::ERROR)
            .with_ansi(false)
            .with_writer(log.clone())
            .try_init();
        set.map_err(|error| {
            format!("another test of this binary says where the log goes; share it: {error}")
        })?;
        Ok(log)
    });
    log.as_ref().map_err(Clone::clone)
}

/// Whether one line has all of these, and is an error.
pub(super) fn says(log: &Log, words: &[&str]) -> bool {
    let log = log.written();
    let log = String::from_utf8_lossy(&log);
    log.lines()
        .any(|line| line.contains("ERROR") && words.iter().all(|word| line.contains(word)))
}
