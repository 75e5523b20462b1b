//! Uses of secrets that the journal is to have. No verdict waits for it, or fails with it.

use quick_cache::sync::Cache;
use tokio::sync::mpsc;

use crate::token::change::{Use, Used};
use crate::token::id::TokenId;
use crate::token::namespace::Namespace;
use crate::token::secret::Digest;
use crate::token::time::{Span, Timestamp};
use crate::token::verdict::{Refusal, Verdict};
use crate::token::{KeptSecret, Token};

/// Uses that wait to be written; further ones wait for the next use.
const USES_MAX: usize = 1024;
/// So long nobody hands the same use over again: a token that is used often must not fill the queue with it. One that
/// was lost is handed over by the first use after that.
const AGAIN_AFTER: Span = Span::seconds(1);

/// The way to whoever writes them.
#[derive(Debug)]
pub(super) struct Uses {
    queue: mpsc::Sender<Used>,
    /// When each was handed over last, as far as that is remembered.
    handed: Cache<(TokenId, u32, Use), Timestamp>,
}

impl Uses {
    pub(super) fn new() -> (Uses, mpsc::Receiver<Used>) {
        let (queue, uses) = mpsc::channel(USES_MAX);
        let handed = Cache::new(USES_MAX * 2);
        (Uses { queue, handed }, uses)
    }

    /// Hands over that the secret kept as `digest` was used, with this verdict, if that is worth it.
    pub(super) fn note(
        &self,
        (token, namespace): (&Token, &Namespace),
        digest: &Digest,
        verdict: &Verdict,
        time: Timestamp,
    ) {
        let is_first = |kept: &&KeptSecret| kept.is_unused();
        let (kept, of) = match verdict {
            Verdict::Accepted { .. } => (token.secret_with(digest).filter(is_first), Use::First),
            Verdict::Refused(Refusal::SecretRetired) => {
                let told = |kept: &&KeptSecret| namespace.policy.hears_of(kept, time);
                (token.secret_with(digest).filter(told), Use::AfterEnd)
            }
            Verdict::Refused(_) => return,
        };
        let Some(kept) = kept else { return };
        let key = (token.id, kept.version, of);
        let before = self.handed.get(&key);
        if before.is_some_and(|before| before.until(time) < AGAIN_AFTER.duration()) {
            return;
        }
        let used = Used {
            token_id: token.id,
            version: kept.version,
            time,
            of,
        };
        if self.queue.try_send(used).is_ok() {
            self.handed.insert(key, time);
        }
    }
}
