//! Verify: a secret in, a verdict out.

mod cache;
mod follower;
mod misses;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::journal::Revision;
use crate::store::{Store, StoreError};
use crate::token::Token;
use crate::token::format::SECRET_BYTES_MAX;
use crate::token::namespace::{Directory, Namespace};
use crate::token::secret::{Pepper, Secret};
use crate::token::verdict::{Need, Refusal, Verdict, judge};
pub use cache::Cache;
use follower::Follower;
pub use follower::Following;
use misses::{Found, Misses};

/// Judges secrets, from a cache of facts that the journal keeps true.
#[derive(Debug)]
pub struct Verifier {
    known: Arc<Known>,
    misses: Misses,
    following: watch::Receiver<Following>,
    pepper: Arc<Pepper>,
    clock: Arc<dyn Clock>,
}

/// What is known without asking the store; the follower keeps it true.
#[derive(Debug)]
struct Known {
    cache: Cache,
    directory: RwLock<Arc<Directory>>,
}

/// A verdict, and what it rests on.
#[derive(Debug)]
pub struct Judged {
    pub verdict: Verdict,
    /// The token, once one was found.
    pub token: Option<Arc<Token>>,
    /// Every change up to this revision was taken into account.
    pub revision: Revision,
}

/// Why a secret could not be judged. Fail closed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("the journal can no longer be followed: {why}")]
    Stopped { why: String },
    #[error("too many look-ups are waiting")]
    Overloaded,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// That a change is in force here could not be confirmed in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the change is written, but was not confirmed in force within {waited:?}")]
pub struct NotYetApplied {
    pub waited: Duration,
}

/// The tasks behind a verifier. They run until they are aborted.
#[derive(Debug)]
pub struct VerifierTasks {
    pub follower: JoinHandle<()>,
    pub misses: JoinHandle<()>,
}

impl Verifier {
    /// Starts a verifier over `store`; its tasks run on the current runtime.
    pub async fn start(
        store: Arc<dyn Store>,
        pepper: Arc<Pepper>,
        clock: Arc<dyn Clock>,
        cache: Cache,
    ) -> Result<(Verifier, VerifierTasks), StoreError> {
        // The head first: the directory may be newer than it, never older.
        let head = store.head().await?.revision;
        let directory = store.directory().await?.record;
        let known = Arc::new(Known {
            cache,
            directory: RwLock::new(Arc::new(directory)),
        });
        let (follower, following) = Follower::new(Arc::clone(&store), Arc::clone(&known), head);
        let (misses, look_up) = Misses::new(store, Arc::clone(&known));
        let tasks = VerifierTasks {
            follower: tokio::spawn(follower.run()),
            misses: tokio::spawn(look_up),
        };
        Ok((
            Verifier {
                known,
                misses,
                following,
                pepper,
                clock,
            },
            tasks,
        ))
    }

    /// Judges `secret` for what the caller needs it for.
    pub async fn verify(&self, secret: Secret, need: &Need) -> Result<Judged, VerifyError> {
        // Read before the facts are: they are at least as fresh.
        let applied = match &*self.following.borrow() {
            Following::Applied(revision) => *revision,
            Following::Stopped { why } => return Err(VerifyError::Stopped { why: why.clone() }),
        };
        let refused = |refusal| Judged {
            verdict: Verdict::Refused(refusal),
            token: None,
            revision: applied,
        };
        let namespace = match self.parse(&secret, need) {
            Ok(namespace) => namespace,
            Err(refusal) => return Ok(refused(refusal)),
        };
        let digest = self.pepper.digest(&secret);
        if let Some(token) = self.known.cache.get(&digest) {
            let verdict = judge(&token, &digest, need, self.clock.now());
            return Ok(Judged {
                verdict,
                token: Some(token),
                revision: applied,
            });
        }
        if !namespace.format.tag_holds(&secret, &self.pepper) {
            return Ok(refused(Refusal::Unknown));
        }
        drop(secret);
        let Found { token, fence } = self.misses.look_up(digest).await?;
        let verdict = match &token {
            Some(token) => judge(token, &digest, need, self.clock.now()),
            None => Verdict::Refused(Refusal::Unknown),
        };
        Ok(Judged {
            verdict,
            token,
            revision: fence,
        })
    }

    /// What can be told of a secret from its text alone; garbage ends here.
    fn parse(&self, secret: &Secret, need: &Need) -> Result<Arc<Namespace>, Refusal> {
        let text = secret.expose();
        if text.len() > SECRET_BYTES_MAX {
            return Err(Refusal::Malformed);
        }
        let directory = self.known.directory();
        let namespace = directory.detect(text).ok_or(Refusal::Malformed)?;
        namespace.format.parse(secret).map_err(|_| Refusal::Malformed)?;
        match &need.namespace {
            Some(wanted) if *wanted != namespace.slug => Err(Refusal::WrongNamespace),
            _ => Ok(Arc::clone(namespace)),
        }
    }

    /// Returns once every change up to `revision` is in force here: what it narrowed, no later Verify accepts.
    pub async fn applied(&self, revision: Revision, at_most: Duration) -> Result<(), NotYetApplied> {
        let mut following = self.following.clone();
        let stopped = |following: &Following| matches!(following, Following::Stopped { .. });
        let settled = following.wait_for(|following| following.has_applied(revision) || stopped(following));
        match tokio::time::timeout(at_most, settled).await {
            Ok(Ok(following)) if following.has_applied(revision) => Ok(()),
            Ok(_) | Err(_) => Err(NotYetApplied { waited: at_most }),
        }
    }

    /// The namespaces as far as they have been applied here.
    pub fn directory(&self) -> Arc<Directory> {
        self.known.directory()
    }

    /// How far this verifier has come; it says so when it stops.
    pub fn following(&self) -> watch::Receiver<Following> {
        self.following.clone()
    }
}

impl Known {
    fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, namespace: Namespace) {
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut directory).put(namespace);
    }
}
