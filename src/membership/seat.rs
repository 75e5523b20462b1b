//! A process's own place on the roll: joins, renews, and turns what the store answers into a lease.

use std::sync::Arc;
use std::time::Duration;

use super::{Lease, Terms};
use crate::clock::{Clock, Entropy, random};
use crate::journal::{Entry, Revision};
use crate::store::member::MemberId;
use crate::store::roll::Roll;
use crate::store::{EntryFilter, Head, Store, StoreError};

/// The place of this process. Where the store has no roll there is nothing to hold: the lease is unlimited.
#[derive(Debug)]
pub struct Seat {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    name: String,
    tenure: Tenure,
    lease: Arc<Lease>,
}

impl Seat {
    /// `name` is what people know this process by.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        name: String,
        terms: Terms,
    ) -> Seat {
        let lease = match store.roll() {
            Some(_) => Lease::over(Arc::clone(&clock)),
            None => Lease::unlimited(Arc::clone(&clock)),
        };
        Seat {
            store,
            clock,
            entropy,
            name,
            tenure: Tenure::new(terms),
            lease: Arc::new(lease),
        }
    }

    /// Another id for this process, by which it says what it took: it outlives its place on the roll.
    pub fn reporter(&self) -> MemberId {
        MemberId::new(random(&*self.entropy))
    }

    pub fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
    }

    /// How long to wait for a hint before asking again.
    pub fn heartbeat(&self) -> Duration {
        self.tenure.terms.heartbeat
    }

    /// Entries after `after`, oldest first.
    pub async fn news(&self, after: Revision, limit: u32) -> Result<Vec<Entry>, StoreError> {
        match self.store.roll() {
            Some(roll) => roll.news(after, limit).await,
            None => self.store.entries(after, EntryFilter::ALL, limit).await,
        }
    }

    /// Asks where the journal ends, and says that everything up to `applied` is in force here. `None`: this
    /// process was taken off the roll, and what it has kept nobody answers for any more.
    pub async fn ask(&mut self, applied: Revision) -> Result<Option<Head>, StoreError> {
        let Some(roll) = self.store.roll() else {
            return self.store.head().await.map(Some);
        };
        let id = match self.tenure.member {
            Some(id) => id,
            None => join(roll, &*self.entropy, &self.name, &mut self.tenure).await?,
        };
        // Before the renewal is sent: how long it is on its way is not added to the lease.
        let sent = self.clock.uptime();
        let head = roll.renew(id, applied).await?;
        if let Some(head) = &head {
            self.tenure.renewed(sent, head.revision);
        } else {
            tracing::warn!(member = %id, "taken off the roll for its silence; joining again");
            self.lease.end();
            self.tenure.removed();
        }
        Ok(head)
    }

    /// Everything up to `applied` is in force here: the lease runs on, if that is as far as it asks for.
    pub fn applied(&mut self, applied: Revision) {
        if let Some(until) = self.tenure.applied(applied) {
            self.lease.extend(until);
        }
    }

    /// Gives the place up, so that no revocation waits for this process. It answers no more.
    pub async fn leave(mut self) -> Result<(), StoreError> {
        self.lease.end();
        let (Some(roll), Some(id)) = (self.store.roll(), self.tenure.member.take()) else {
            return Ok(());
        };
        let members = roll.members().await?;
        if let Some(own) = members.iter().find(|member| member.id == id) {
            roll.remove(own).await?;
        }
        Ok(())
    }
}

async fn join(
    roll: &dyn Roll,
    entropy: &dyn Entropy,
    name: &str,
    tenure: &mut Tenure,
) -> Result<MemberId, StoreError> {
    // A new one each time: the row of the last one may be there still, and its lease may run.
    let id = MemberId::new(random(entropy));
    // Committed before the head is read for the first time: a revocation waits for this member, or is seen by it.
    roll.join(id, name).await?;
    tracing::info!(member = %id, name, "joined");
    tenure.joined(id);
    Ok(id)
}

/// What the store's answers allow: no clock, no store.
#[derive(Debug)]
struct Tenure {
    terms: Terms,
    member: Option<MemberId>,
    renewed: Option<Renewed>,
}

/// A renewal that was answered, and not yet lived up to.
#[derive(Clone, Copy, Debug)]
struct Renewed {
    sent: Duration,
    head: Revision,
}

impl Tenure {
    fn new(terms: Terms) -> Tenure {
        Tenure {
            terms,
            member: None,
            renewed: None,
        }
    }

    fn joined(&mut self, id: MemberId) {
        self.member = Some(id);
    }

    fn renewed(&mut self, sent: Duration, head: Revision) {
        self.renewed = Some(Renewed { sent, head });
    }

    fn removed(&mut self) {
        self.member = None;
        self.renewed = None;
    }

    /// Until when this process may answer, if it now may for longer.
    fn applied(&mut self, applied: Revision) -> Option<Duration> {
        let Renewed { sent, .. } = self.renewed.take_if(|renewed| renewed.head <= applied)?;
        Some(sent + self.terms.lease)
    }
}

#[cfg(test)]
mod tests;
