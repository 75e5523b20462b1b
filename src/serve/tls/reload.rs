//! Files that are read again when they change, so that no server is restarted for a new certificate.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::files::{self, Certified, TlsError};
use crate::rpc::IdentityTable;

/// How often the files are looked at. Contents and not times: a link may have been set to other files.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

type Fingerprint = [u8; 32];

/// Something made of files, made anew when they change.
pub(super) struct Watched<T> {
    paths: Vec<PathBuf>,
    make: Box<dyn Fn() -> Result<T, TlsError> + Send>,
    current: watch::Sender<T>,
    /// What the files had when `current` was made.
    applied: Fingerprint,
    /// What they had at the last look.
    seen: Fingerprint,
    /// What was said about the files as they are: once is enough.
    complaint: Option<String>,
}

impl<T: Told> Watched<T> {
    pub(super) fn start(
        paths: Vec<PathBuf>,
        make: impl Fn() -> Result<T, TlsError> + Send + 'static,
    ) -> Result<(Watched<T>, watch::Receiver<T>), TlsError> {
        // Before they are read: a change in between is then found at the first look.
        let applied = fingerprint(&paths);
        let (current, receiver) = watch::channel(make()?);
        let watched = Watched {
            paths,
            make: Box::new(make),
            current,
            applied,
            seen: applied,
            complaint: None,
        };
        Ok((watched, receiver))
    }

    /// Looks at the files, and takes what they have if it is good. A change counts when two looks have found
    /// the same, for a file may be half written, or a certificate there before its key; or at once if `told`.
    fn look(&mut self, told: bool) {
        let now = fingerprint(&self.paths);
        let settled = std::mem::replace(&mut self.seen, now) == now;
        if now == self.applied {
            self.complaint = None;
        } else if settled || told {
            match (self.make)() {
                Ok(made) => {
                    self.current.send_replace(made);
                    self.current.borrow().tell();
                    self.applied = now;
                    self.complaint = None;
                }
                // Tried again with every look: the mode of a file is not in its contents.
                Err(error) => {
                    let complaint = error.to_string();
                    if self.complaint.as_ref() != Some(&complaint) {
                        tracing::error!("{complaint}; what was read before stays in force");
                        self.complaint = Some(complaint);
                    }
                }
            }
        }
    }
}

fn fingerprint(paths: &[PathBuf]) -> Fingerprint {
    let mut hash = Sha256::new();
    for path in paths {
        match files::read(path) {
            Ok(content) => {
                hash.update(Sha256::digest(&*content));
            }
            Err(error) => hash.update(error.to_string()),
        }
    }
    hash.finalize().into()
}

/// What the log says once it is in force.
pub(super) trait Told {
    fn tell(&self);
}

impl Told for Certified {
    fn tell(&self) {
        tracing::info!(certificate = %self, "new connections get what was read again");
    }
}

impl Told for IdentityTable {
    fn tell(&self) {
        tracing::info!(identities = self.len(), "the identities were read again");
    }
}

/// Looks at the files from time to time, and when the process is told to by SIGHUP.
pub(super) fn spawn(
    certified: Watched<Certified>,
    identities: Option<Watched<IdentityTable>>,
) -> Result<(), TlsError> {
    // Before the server says that it is there: the signal would end it otherwise.
    let mut hangup = signal(SignalKind::hangup()).map_err(TlsError::Signal)?;
    tokio::spawn(async move {
        let mut watched = (certified, identities);
        let mut pace = interval(LOOK_INTERVAL);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let told = tokio::select! {
                _ = pace.tick() => false,
                _ = hangup.recv() => true,
            };
            // The files may lie on a network.
            let looked = tokio::task::spawn_blocking(move || {
                let (certified, identities) = &mut watched;
                certified.look(told);
                if let Some(identities) = identities {
                    identities.look(told);
                }
                watched
            });
            watched = match looked.await {
                Ok(looked) => looked,
                Err(error) => {
                    tracing::error!(%error, "files are no longer read again: start the server anew");
                    return;
                }
            };
        }
    });
    Ok(())
}

impl<T: fmt::Debug> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    impl Told for String {
        fn tell(&self) {}
    }

    /// Watches a file that may say anything but "bad".
    fn watched(path: &std::path::Path) -> Result<(Watched<String>, watch::Receiver<String>), TlsError> {
        let file = path.to_owned();
        Watched::start(vec![path.to_owned()], move || {
            let content = files::read(&file)?;
            match String::from_utf8_lossy(&content).into_owned() {
                bad if bad == "bad" => Err(TlsError::NoKeyThere { path: file.clone() }),
                good => Ok(good),
            }
        })
    }

    #[test]
    fn a_change_counts_once_it_has_been_found_twice_or_at_once_if_told() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        fs::write(&path, "one")?;
        let (mut watched, current) = watched(&path)?;
        let mut after_look = |content: &str, told| {
            fs::write(&path, content)?;
            watched.look(told);
            Ok::<_, std::io::Error>(current.borrow().clone())
        };
        assert_eq!(after_look("one", false)?, "one");
        assert_eq!(after_look("half", false)?, "one");
        assert_eq!(after_look("whole", false)?, "one");
        assert_eq!(after_look("whole", false)?, "whole");
        assert_eq!(after_look("told", true)?, "told");
        Ok(())
    }

    #[test]
    fn what_is_bad_is_complained_of_once_and_tried_again() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        fs::write(&path, "one")?;
        let (mut watched, current) = watched(&path)?;
        let mut complaint_after = |content: Option<&str>| {
            match content {
                Some(content) => fs::write(&path, content)?,
                None => fs::remove_file(&path)?,
            }
            watched.look(true);
            Ok::<_, std::io::Error>(watched.complaint.clone())
        };
        let told = complaint_after(Some("bad"))?.ok_or("no complaint")?;
        assert!(told.contains("has no private key"), "{told}");
        assert_eq!(complaint_after(Some("bad"))?, Some(told));
        let told = complaint_after(None)?.ok_or("no complaint")?;
        assert!(told.contains("cannot be read"), "{told}");
        assert_eq!(*current.borrow(), "one");
        // What is in force is no reason to complain.
        assert_eq!(complaint_after(Some("one"))?, None);
        complaint_after(Some("bad"))?;
        assert_eq!(complaint_after(Some("two"))?, None);
        assert_eq!(*current.borrow(), "two");
        Ok(())
    }
}
