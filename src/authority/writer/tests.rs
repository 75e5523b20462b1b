//! What waits is written together, and the trouble of one draft is not that of the others.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::authority::samples::stores;
use crate::clock::SystemClock;
use crate::journal::samples::issue;
use crate::journal::{Draft, Entry};
use crate::store::faulty::{Call, Fault, Faulty, Gate};
use crate::store::samples::{Answer, all_entries, idle, write};
use crate::token::samples::token;

/// Longer than any wait that succeeds; time is paused, so it costs nothing.
const LONG: Duration = Duration::from_secs(10);

struct Scene {
    store: Arc<dyn Store>,
    faulty: Arc<Faulty>,
    writer: Writer,
    stop: CancellationToken,
    writing: JoinHandle<()>,
}

type Committing = JoinHandle<Result<Outcome, AuthorityError>>;

impl Scene {
    async fn start() -> Answer<Scene> {
        let (store, faulty) = stores().await?;
        let stop = CancellationToken::new();
        let shared: Arc<dyn Store> = Arc::<Faulty>::clone(&faulty);
        let (writer, writing) = Writer::spawn(shared, Arc::new(SystemClock), stop.clone());
        Ok(Scene {
            store,
            faulty,
            writer,
            stop,
            writing,
        })
    }

    /// Commits in a task of its own.
    fn committing(&self, draft: Draft) -> Committing {
        let writer = self.writer.clone();
        tokio::spawn(async move { writer.commit(draft).await })
    }

    /// Holds a commit of token 0, so that whatever comes now has to wait for it.
    async fn busy(&self) -> (Gate, Committing) {
        let gate = self.faulty.hold(Call::Commit);
        let first = self.committing(issue(token(0)));
        gate.arrived().await;
        (gate, first)
    }
}

fn written(outcome: Result<Outcome, AuthorityError>) -> Answer<Entry> {
    match outcome? {
        Outcome::Written(entry) => Ok(entry),
        outcome => Err(format!("not written: {outcome:?}").into()),
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_commit_is_written_by_the_next() -> Answer<()> {
    for (waiting, batches) in [(1, 1), (100, 1), (BATCH_MAX, 1), (BATCH_MAX + 1, 2)] {
        let scene = Scene::start().await?;
        let (gate, first) = scene.busy().await;
        let rest: Vec<_> = (1..=waiting as u64)
            .map(|number| (number, scene.committing(issue(token(number)))))
            .collect();
        idle().await;
        gate.open();
        written(first.await?)?;
        for (number, committing) in rest {
            let entry = written(committing.await?)?;
            assert_eq!(entry.change.token_id(), Some(token(number).id));
        }
        assert_eq!(scene.faulty.calls(Call::Commit), 1 + batches, "{waiting}");
        assert_eq!(all_entries(&scene.store).await?.len(), 2 + waiting);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_that_fails_only_the_bad_draft_is_not_written() -> Answer<()> {
    let scene = Scene::start().await?;
    let (gate, first) = scene.busy().await;
    let drafts: Vec<_> = (1..=5).map(|number| issue(token(number))).collect();
    scene.faulty.refuse(drafts[2].request_id);
    let rest: Vec<_> = drafts
        .iter()
        .map(|draft| scene.committing(draft.clone()))
        .collect();
    idle().await;
    gate.open();
    written(first.await?)?;
    for (draft, committing) in drafts.iter().zip(rest) {
        let outcome = committing.await?;
        if draft == &drafts[2] {
            assert!(matches!(outcome, Err(AuthorityError::Store(_))), "{outcome:?}");
        } else {
            assert_eq!(written(outcome)?.request_id, draft.request_id);
        }
    }
    assert_eq!(all_entries(&scene.store).await?.len(), 2 + 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_error_after_the_batch_took_effect_loses_no_answer() -> Answer<()> {
    let scene = Scene::start().await?;
    let (gate, first) = scene.busy().await;
    scene.faulty.nth(1, Call::Commit, Fault::After);
    let drafts: Vec<_> = (1..=5).map(|number| issue(token(number))).collect();
    let rest: Vec<_> = drafts
        .iter()
        .map(|draft| scene.committing(draft.clone()))
        .collect();
    idle().await;
    gate.open();
    written(first.await?)?;
    let mut entries = Vec::new();
    for committing in rest {
        entries.push(written(committing.await?)?);
    }
    assert_eq!(all_entries(&scene.store).await?[2..], entries);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_asked_twice_for_all_and_not_for_each() -> Answer<()> {
    let scene = Scene::start().await?;
    let (gate, first) = scene.busy().await;
    let rest: Vec<_> = (1..=50)
        .map(|number| scene.committing(issue(token(number))))
        .collect();
    idle().await;
    let before = scene.faulty.calls(Call::Commit);
    for n in 1..=50 {
        scene.faulty.nth(n, Call::Commit, Fault::Before);
    }
    gate.open();
    written(first.await?)?;
    for committing in rest {
        let outcome = committing.await?;
        let told = matches!(outcome, Err(AuthorityError::Store(StoreError::Unavailable(_))));
        assert!(told, "{outcome:?}");
    }
    assert_eq!(scene.faulty.calls(Call::Commit), before + 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_error_does_not_make_the_entry_of_another_draft_ones_own() -> Answer<()> {
    let scene = Scene::start().await?;
    let earlier = issue(token(1));
    let entry = write(&scene.store, earlier.clone()).await?;
    let mut later = issue(token(2));
    later.request_id = earlier.request_id;
    scene.faulty.nth(1, Call::Commit, Fault::Before);
    assert_eq!(scene.writer.commit(later).await?, Outcome::Repeated(entry));
    assert_eq!(all_entries(&scene.store).await?.len(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_draft_too_many_is_refused_and_the_others_are_written() -> Answer<()> {
    let scene = Scene::start().await?;
    let (gate, first) = scene.busy().await;
    // One request, so that the store has little to do.
    let draft = issue(token(1));
    let rest: Vec<_> = (0..QUEUE_MAX).map(|_| scene.committing(draft.clone())).collect();
    idle().await;
    let refused = timeout(LONG, scene.writer.commit(issue(token(2)))).await?;
    assert!(matches!(refused, Err(AuthorityError::Overloaded)), "{refused:?}");
    gate.open();
    written(first.await?)?;
    for committing in rest {
        committing.await??;
    }
    written(scene.writer.commit(issue(token(2))).await)?;
    assert_eq!(all_entries(&scene.store).await?.len(), 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_writes_what_waits_and_takes_no_more() -> Answer<()> {
    let scene = Scene::start().await?;
    let (gate, first) = scene.busy().await;
    let waiting = BATCH_MAX as u64 + 10;
    let rest: Vec<_> = (1..=waiting)
        .map(|number| scene.committing(issue(token(number))))
        .collect();
    idle().await;
    scene.stop.cancel();
    idle().await;
    assert!(!scene.writing.is_finished());
    gate.open();
    written(first.await?)?;
    for committing in rest {
        written(committing.await?)?;
    }
    timeout(LONG, scene.writing).await??;
    let refused = scene.writer.commit(issue(token(9999))).await;
    assert!(matches!(refused, Err(AuthorityError::Store(_))), "{refused:?}");
    assert_eq!(all_entries(&scene.store).await?.len() as u64, 2 + waiting);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_while_it_waits_it_ends() -> Answer<()> {
    let scene = Scene::start().await?;
    idle().await;
    scene.stop.cancel();
    timeout(LONG, scene.writing).await??;
    assert!(scene.writer.commit(issue(token(1))).await.is_err());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_leaves_has_its_draft_written_all_the_same() -> Answer<()> {
    let scene = Scene::start().await?;
    let (gate, first) = scene.busy().await;
    let leaving = scene.committing(issue(token(1)));
    let staying = scene.committing(issue(token(2)));
    idle().await;
    first.abort();
    leaving.abort();
    idle().await;
    gate.open();
    written(staying.await?)?;
    assert_eq!(all_entries(&scene.store).await?.len(), 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_caller_goes_before_what_waits_of_imports_and_keeps_none_out() -> Answer<()> {
    let scene = Scene::start().await?;
    let (gate, first) = scene.busy().await;
    let drafts = |numbers: std::ops::Range<u64>| numbers.map(|number| issue(token(number))).collect();
    let many = BATCH_MAX as u64;
    let mut imports = scene.writer.send_all(drafts(1000..1000 + 3 * many)).await?;
    let callers: Vec<_> = (1..=many + 1)
        .map(|number| scene.committing(issue(token(number))))
        .collect();
    idle().await;
    gate.open();
    written(first.await?)?;
    let mut last = 0;
    for caller in callers {
        last = last.max(written(caller.await?)?.revision.get());
    }
    // The journal began with a namespace and the first; in between is what went with the first of two batches.
    assert_eq!(last, 2 + many + many + 1);
    imports.written().await;
    let outcomes = imports.outcomes();
    assert_eq!(outcomes.len() as u64, 3 * many);
    let mut revisions = Vec::new();
    for outcome in outcomes {
        revisions.push(written(Ok(outcome?))?.revision);
    }
    assert!(revisions.is_sorted());
    assert_eq!(scene.faulty.calls(Call::Commit), 1 + 3);
    Ok(())
}
