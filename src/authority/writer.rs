//! The one writer of a process: whatever waits when a commit returns goes into the next one.

use std::collections::VecDeque;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Authority, AuthorityError};
use crate::clock::Clock;
use crate::journal::Draft;
use crate::store::{Outcome, Store, StoreError};

/// The most drafts of one transaction that callers wait for; and the most of imports that go with them. So neither keeps
/// the other out, and whoever wants one thing written waits for no more of an import than this, twice.
const BATCH_MAX: usize = 256;
/// The most drafts that wait for one; a further one is refused, not queued. As many of imports wait apart from them.
const QUEUE_MAX: usize = 4096;

/// The way to the writer.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Waiting>,
    imports: mpsc::Sender<Waiting>,
    runtime: Handle,
    work: Arc<Work>,
}

/// What was written, ever.
#[derive(Debug, Default)]
struct Work {
    commits: AtomicU64,
    drafts: AtomicU64,
    nanoseconds: AtomicU64,
}

/// What a writer has done, and has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WriterLoad {
    /// Transactions, failed ones included.
    pub commits: u64,
    /// Drafts in them.
    pub drafts: u64,
    /// Time they took.
    pub took: Duration,
    /// Drafts that wait.
    pub waiting: usize,
}

/// What becomes of a draft that was sent. It may be written even if nobody waits for this.
#[derive(Debug)]
pub(super) struct Sent(oneshot::Receiver<Result<Outcome, StoreError>>);

impl Sent {
    pub(super) async fn outcome(self) -> Result<Outcome, AuthorityError> {
        Ok(self.0.await.map_err(|_| gone())??)
    }
}

#[derive(Debug)]
struct Waiting {
    draft: Draft,
    answer: Answer,
}

impl Writer {
    /// Starts the writer as a task of the current runtime. When `stop` is cancelled it takes no more
    /// drafts, writes those that wait, and ends.
    pub fn spawn(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> (Writer, JoinHandle<()>) {
        let (queue, calls) = mpsc::channel(QUEUE_MAX);
        let (imports, imported) = mpsc::channel(QUEUE_MAX);
        let work = Arc::<Work>::default();
        let writer = Writer {
            queue,
            imports,
            runtime: Handle::current(),
            work: Arc::clone(&work),
        };
        let pen = Pen { store, clock, work };
        (writer, tokio::spawn(run(pen, calls, imported, stop)))
    }

    pub fn load(&self) -> WriterLoad {
        let ever = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WriterLoad {
            commits: ever(&self.work.commits),
            drafts: ever(&self.work.drafts),
            took: Duration::from_nanos(ever(&self.work.nanoseconds)),
            waiting: [&self.queue, &self.imports]
                .map(|queue| queue.max_capacity() - queue.capacity())
                .iter()
                .sum(),
        }
    }

    /// The runtime it runs on, where nobody is kept from answering a call.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Has `draft` written. It may be written even if the caller stops waiting.
    pub async fn commit(&self, draft: Draft) -> Result<Outcome, AuthorityError> {
        self.send(draft)?.outcome().await
    }

    /// Has `draft` written, and does not wait for it.
    pub(super) fn send(&self, draft: Draft) -> Result<Sent, AuthorityError> {
        let (answer, outcome) = oneshot::channel();
        let sent = self.queue.try_send(Waiting { draft, answer });
        sent.map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => AuthorityError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        Ok(Sent(outcome))
    }

    /// Has all `drafts` of an import written, in order, and does not wait for that. Where there is no room for one it
    /// waits for some, rather than be refused: whoever asks bounds how many there are.
    pub(super) async fn send_all(&self, drafts: Vec<Draft>) -> Result<AllSent, StoreError> {
        let mut waiting = VecDeque::with_capacity(drafts.len());
        for draft in drafts {
            let (answer, outcome) = oneshot::channel();
            let sent = self.imports.send(Waiting { draft, answer }).await;
            sent.map_err(|_| ended())?;
            waiting.push_back(outcome);
        }
        let outcomes = Vec::with_capacity(waiting.len());
        Ok(AllSent { waiting, outcomes })
    }
}

/// What becomes of drafts that were sent together. They may be written even if nobody waits for this.
#[derive(Debug)]
pub(super) struct AllSent {
    waiting: VecDeque<oneshot::Receiver<Result<Outcome, StoreError>>>,
    outcomes: Vec<Result<Outcome, StoreError>>,
}

impl AllSent {
    /// Waits until each has its outcome. Nothing is lost where the wait is cut short, and taken up again.
    pub(super) async fn written(&mut self) {
        while let Some(next) = self.waiting.front_mut() {
            let outcome = next.await.unwrap_or_else(|_| Err(ended()));
            self.waiting.pop_front();
            self.outcomes.push(outcome);
        }
    }

    /// What became of each, in order, once all are [`AllSent::written`].
    pub(super) fn outcomes(self) -> Vec<Result<Outcome, StoreError>> {
        self.outcomes
    }
}

impl Authority {
    /// What its writer has done, and has to do.
    pub fn load(&self) -> WriterLoad {
        self.writer.load()
    }
}

fn gone() -> AuthorityError {
    ended().into()
}

fn ended() -> StoreError {
    StoreError::Unavailable("the writer has ended".into())
}

/// What it is written with.
struct Pen {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    work: Arc<Work>,
}

impl Pen {
    async fn commit(&self, drafts: Vec<Draft>) -> Result<Vec<Outcome>, StoreError> {
        let (begun, count) = (self.clock.uptime(), drafts.len() as u64);
        let outcomes = self.store.commit(drafts).await;
        let took = self.clock.uptime().saturating_sub(begun);
        let add = |to: &AtomicU64, more| to.fetch_add(more, Ordering::Relaxed);
        add(&self.work.commits, 1);
        add(&self.work.drafts, count);
        add(
            &self.work.nanoseconds,
            u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
        );
        outcomes
    }
}

async fn run(
    pen: Pen,
    mut calls: mpsc::Receiver<Waiting>,
    mut imports: mpsc::Receiver<Waiting>,
    stop: CancellationToken,
) {
    let (mut calls_left, mut imports_left) = (true, true);
    loop {
        let (call, import) = tokio::select! {
            biased;
            () = stop.cancelled(), if !calls.is_closed() => {
                calls.close();
                imports.close();
                continue;
            }
            next = calls.recv(), if calls_left => {
                calls_left = next.is_some();
                (next, None)
            }
            next = imports.recv(), if imports_left => {
                imports_left = next.is_some();
                (None, next)
            }
            else => return,
        };
        let batch = taken(call, &mut calls).chain(taken(import, &mut imports));
        let (drafts, answers): (Vec<_>, Vec<_>) =
            batch.map(|waiting| (waiting.draft, waiting.answer)).unzip();
        if !drafts.is_empty() {
            write(&pen, drafts, answers).await;
        }
    }
}

/// The next of a queue for one transaction, without a wait.
fn taken(next: Option<Waiting>, queue: &mut mpsc::Receiver<Waiting>) -> impl Iterator<Item = Waiting> {
    next.into_iter()
        .chain(iter::from_fn(|| queue.try_recv().ok()))
        .take(BATCH_MAX)
}

type Answer = oneshot::Sender<Result<Outcome, StoreError>>;

async fn write(pen: &Pen, drafts: Vec<Draft>, answers: Vec<Answer>) {
    let mut outcomes = pen.commit(drafts.clone()).await;
    if let Err(error @ StoreError::Unavailable(_)) = &outcomes {
        tracing::warn!(drafts = drafts.len(), %error, cause = error.cause(), "a batch failed; writing it again");
        outcomes = write_again(pen, drafts.clone()).await;
    }
    match outcomes {
        Ok(outcomes) => {
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // Whoever asked may have left; what was written stays written.
                let _ = answer.send(Ok(outcome));
            }
        }
        // One draft must not fail the others.
        Err(error @ StoreError::Corrupt { .. }) if drafts.len() > 1 => {
            tracing::warn!(drafts = drafts.len(), %error, "a batch failed; writing its drafts one by one");
            for (draft, answer) in drafts.into_iter().zip(answers) {
                let outcome = write_again(pen, vec![draft]).await;
                let _ = answer.send(outcome.map(|mut outcomes| outcomes.remove(0)));
            }
        }
        Err(error) => {
            for answer in answers {
                let _ = answer.send(Err(error.to_all()));
            }
        }
    }
}

/// Writes drafts of which it is not known whether they were written. That is safe: had they been, each finds
/// its own entry by its request id.
async fn write_again(pen: &Pen, drafts: Vec<Draft>) -> Result<Vec<Outcome>, StoreError> {
    let outcomes = pen.commit(drafts.clone()).await?;
    let own = |(draft, outcome): (Draft, Outcome)| match outcome {
        // It was written, and its caller has yet to be told, of a secret for one.
        Outcome::Repeated(entry) if entry.change == *draft.change() => Outcome::Written(entry),
        outcome => outcome,
    };
    Ok(drafts.into_iter().zip(outcomes).map(own).collect())
}

#[cfg(test)]
mod tests;
