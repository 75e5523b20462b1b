//! An authority over a store in memory that can be made to fail, and what to ask of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Ask, Authority, AuthorityError, Changed, Issue, Lifetime, Minted, Writer};
use crate::clock::{ManualClock, ManualEntropy};
use crate::journal::Entry;
use crate::store::Store;
use crate::store::faulty::Faulty;
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, all_entries, found_notes};
use crate::token::Token;
use crate::token::caller::Caller;
use crate::token::id::{RequestId, TokenId};
use crate::token::overlap::Overlap;
use crate::token::samples::{instant, name, pepper, scopes, slug, withdrawal};
use crate::token::scope::Labels;
use crate::token::text::{Actor, Subject};
use crate::token::time::{Span, Timestamp};

pub(super) struct Scene {
    /// The store, without faults.
    pub(super) store: Arc<dyn Store>,
    /// The same store, as the authority and its writer see it.
    pub(super) faulty: Arc<Faulty>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) authority: Arc<Authority>,
}

impl Scene {
    /// With the namespace `notes` and no tokens.
    pub(super) async fn start() -> Answer<Scene> {
        let (store, faulty) = stores().await?;
        Ok(Scene::over(store, faulty, instant(0)))
    }

    /// Another server over the same store, whose clock is at `now`.
    pub(super) fn behind(&self, now: Timestamp) -> Scene {
        Scene::over(Arc::clone(&self.store), Arc::clone(&self.faulty), now)
    }

    fn over(store: Arc<dyn Store>, faulty: Arc<Faulty>, now: Timestamp) -> Scene {
        let clock = Arc::new(ManualClock::at(now));
        let (writer, _) = Writer::spawn(Arc::<Faulty>::clone(&faulty), CancellationToken::new());
        let authority = Authority::new(
            Arc::<Faulty>::clone(&faulty),
            writer,
            Arc::<ManualClock>::clone(&clock),
            Arc::new(ManualEntropy::seeded(now.micros().unsigned_abs())),
            Arc::new(pepper(7)),
            EPOCH,
        );
        Scene {
            store,
            faulty,
            clock,
            authority: Arc::new(authority),
        }
    }

    pub(super) async fn issue(&self) -> Answer<Changed<Minted>> {
        Ok(self.authority.issue(&ask(), laptop()).await?)
    }

    /// Revokes in a task of its own.
    pub(super) fn revoking(
        &self,
        ask: Ask,
        id: TokenId,
    ) -> JoinHandle<Result<Changed<Token>, AuthorityError>> {
        let authority = Arc::clone(&self.authority);
        let reason = withdrawal(instant(0)).reason;
        tokio::spawn(async move { authority.revoke(&ask, id, reason).await })
    }

    /// Rotates in a task of its own.
    pub(super) fn rotating(
        &self,
        id: TokenId,
        overlap: Duration,
    ) -> JoinHandle<Result<Changed<Minted>, AuthorityError>> {
        let authority = Arc::clone(&self.authority);
        tokio::spawn(async move { authority.rotate(&ask(), id, overlap_of(overlap)).await })
    }

    pub(super) async fn journal(&self) -> Answer<Vec<Entry>> {
        all_entries(&self.store).await
    }
}

/// A store with the namespace `notes`, and the same one behind faults.
pub(super) async fn stores() -> Answer<(Arc<dyn Store>, Arc<Faulty>)> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(EPOCH));
    found_notes(&store).await?;
    let faulty = Arc::new(Faulty::over(Arc::clone(&store)));
    Ok((store, faulty))
}

/// Ann asks, and chose no request id.
pub(super) fn ask() -> Ask {
    Ask {
        caller: Caller::certificate(
            Actor::try_from("ann".to_owned()).unwrap(),
            Arc::new(scopes(&["*"])),
        ),
        request_id: None,
    }
}

/// Ann asks, under a request id that no other call gives.
pub(super) fn request() -> Ask {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let mut random = [1; 16];
    random[..8].copy_from_slice(&REQUESTS.fetch_add(1, Ordering::SeqCst).to_be_bytes());
    Ask {
        request_id: Some(RequestId::new(random)),
        ..ask()
    }
}

/// Both secrets are good for so long from the rotation on.
#[expect(clippy::unnecessary_wraps, reason = "as a rotation takes it")]
pub(super) fn overlap_of(span: Duration) -> Option<Overlap> {
    Some(Overlap::For(Span::try_from(span).unwrap()))
}

pub(super) fn laptop() -> Issue {
    Issue {
        namespace: slug("notes"),
        name: name("Laptop"),
        subject: Subject::try_from("ann".to_owned()).unwrap(),
        scopes: scopes(&["read"]),
        labels: Labels::default(),
        lifetime: Lifetime::ByPolicy,
        networks: None,
        rate_limit: None,
    }
}
