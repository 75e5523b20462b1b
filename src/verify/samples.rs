//! A verifier over a store in memory that can be made to fail, and secrets for it to judge.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Bounds, Cache, Consistency, Following, Judged, MISSES, Verifier, VerifierTasks, VerifyError};
use crate::clock::{ManualClock, ManualEntropy};
use crate::journal::{Draft, Entry, Revision};
use crate::membership::{Seat, Terms};
use crate::store::Store;
use crate::store::faulty::{Call, Faulty};
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, change, found_notes, write};
use crate::token::change::{Redigest, TokenChange};
use crate::token::samples::{chance, instant, kept, namespace, pepper, token, withdrawal};
use crate::token::secret::{Peppers, Secret};
use crate::token::time::Timestamp;
use crate::token::verdict::{Need, Verdict};
use crate::token::{KeptSecret, Token};

/// Longer than any wait that succeeds; time is paused, so it costs nothing.
pub(super) const LONG: Duration = Duration::from_secs(10);

/// Whoever asks, unless it matters.
pub(super) const CALLER: &str = "caller";

pub(super) struct Scene {
    /// Where changes are made, without faults.
    pub(super) store: Arc<dyn Store>,
    /// The same store, as the verifier sees it.
    pub(super) faulty: Arc<Faulty>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) tasks: VerifierTasks,
    pub(super) end: CancellationToken,
    /// What the verifier asks the authority for; there is room for one.
    pub(super) redigests: mpsc::Receiver<Redigest>,
}

impl Scene {
    /// With the namespace `notes` and no tokens.
    pub(super) async fn start() -> Answer<Scene> {
        Scene::with(MemoryStore::new(EPOCH), Faulty::over, pepper(7)).await
    }

    /// As above, with peppers of the test's own.
    pub(super) async fn start_with(peppers: Peppers) -> Answer<Scene> {
        Scene::with(MemoryStore::new(EPOCH), Faulty::over, peppers).await
    }

    /// As above, but no hint of a commit reaches the verifier.
    pub(super) async fn start_without_hints() -> Answer<Scene> {
        let without_hints = |store| Faulty::over(store).without_hints();
        Scene::with(MemoryStore::new(EPOCH), without_hints, pepper(7)).await
    }

    /// As the first, over a store that other processes answer for too.
    pub(super) async fn start_as_member() -> Answer<Scene> {
        Scene::with(MemoryStore::new(EPOCH).shared(), Faulty::over, pepper(7)).await
    }

    async fn with(
        store: MemoryStore,
        faulty: impl FnOnce(Arc<dyn Store>) -> Faulty,
        peppers: Peppers,
    ) -> Answer<Scene> {
        let store: Arc<dyn Store> = Arc::new(store);
        found_notes(&store).await?;
        let faulty = Arc::new(faulty(Arc::clone(&store)));
        let clock = Arc::new(ManualClock::at(instant(0)));
        let cache = Cache::new(100.try_into()?);
        let seat = Seat::new(
            Arc::<Faulty>::clone(&faulty),
            Arc::<ManualClock>::clone(&clock),
            Arc::new(ManualEntropy::seeded(1)),
            "scene".to_owned(),
            Terms::DEFAULT,
        );
        let end = CancellationToken::new();
        let (redigests, redigests_asked) = mpsc::channel(1);
        let (verifier, tasks) = Verifier::start(
            Arc::<Faulty>::clone(&faulty),
            seat,
            Arc::new(peppers),
            redigests,
            Arc::<ManualClock>::clone(&clock),
            Bounds {
                cache,
                misses: MISSES,
            },
            end.clone(),
        )
        .await?;
        Ok(Scene {
            store,
            faulty,
            clock,
            verifier: Arc::new(verifier),
            tasks,
            end,
            redigests: redigests_asked,
        })
    }

    /// Commits the draft, and returns once it is in force here.
    pub(super) async fn write(&self, draft: Draft) -> Answer<Entry> {
        let entry = write(&self.store, draft).await?;
        self.verifier.applied(entry.revision, LONG).await?;
        Ok(entry)
    }

    /// Changes the token of this number, and returns once that is in force here.
    pub(super) async fn change(&self, number: u64, to: TokenChange) -> Answer<Entry> {
        let entry = change(&self.store, token(number).id, to).await?;
        self.verifier.applied(entry.revision, LONG).await?;
        Ok(entry)
    }

    pub(super) async fn revoke(&self, number: u64) -> Answer<Entry> {
        self.change(number, TokenChange::Revoked(withdrawal(instant(1))))
            .await
    }

    pub(super) async fn judge(&self, secret: Secret) -> Result<Judged, VerifyError> {
        self.verifier
            .verify(secret, &Need::default(), Consistency::Leased, &CALLER)
            .await
    }

    pub(super) async fn verdict(&self, secret: Secret) -> Result<Verdict, VerifyError> {
        Ok(self.judge(secret).await?.verdict)
    }

    pub(super) async fn verdict_as(
        &self,
        secret: Secret,
        consistency: Consistency,
    ) -> Result<Verdict, VerifyError> {
        let judged = self
            .verifier
            .verify(secret, &Need::default(), consistency, &CALLER)
            .await?;
        Ok(judged.verdict)
    }

    /// Judges `secret` in a task of its own.
    pub(super) fn judging(&self, secret: Secret) -> JoinHandle<Result<Verdict, VerifyError>> {
        self.judging_for(Arc::from(CALLER), secret)
    }

    /// The same, for this caller.
    pub(super) fn judging_for(
        &self,
        caller: Arc<str>,
        secret: Secret,
    ) -> JoinHandle<Result<Verdict, VerifyError>> {
        let verifier = Arc::clone(&self.verifier);
        tokio::spawn(async move {
            Ok(verifier
                .verify(secret, &Need::default(), Consistency::Leased, &caller)
                .await?
                .verdict)
        })
    }

    /// So many times the store was asked for tokens.
    pub(super) fn queries(&self) -> usize {
        self.faulty.calls(Call::TokensByDigest)
    }

    pub(super) fn has_applied(&self, revision: Revision) -> bool {
        self.verifier.following().borrow().has_applied(revision)
    }

    pub(super) fn stopped(&self) -> bool {
        matches!(*self.verifier.following().borrow(), Following::Stopped(_))
    }
}

/// A secret of the token of this number in `notes`: native, and minted with the verifier's pepper.
pub(super) fn secret(number: u64, version: u32) -> Secret {
    let seed = number << 8 | u64::from(version);
    namespace("notes", "kn_")
        .format
        .mint(&pepper(7), &mut chance(seed))
}

/// What is kept of it.
pub(super) fn kept_of(number: u64, version: u32, create_time: Timestamp) -> KeptSecret {
    KeptSecret {
        digest: pepper(7).digest(&secret(number, version)),
        ..kept(number, version, create_time)
    }
}

/// The token of this number, whose secret is `secret(number, 1)`.
pub(super) fn usable(number: u64) -> Token {
    Token {
        secrets: vec![kept_of(number, 1, instant(0))],
        ..token(number)
    }
}

pub(super) fn is_accepted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Accepted { .. })
}
