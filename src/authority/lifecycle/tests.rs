//! What is told is told once and is so when it is written, whatever becomes of an answer and whoever else is at it.

use std::time::Duration;

use super::super::samples::{Scene, ask};
use super::*;
use crate::journal::samples::origin;
use crate::store::faulty::{Call, Fault};
use crate::store::samples::{Answer, read, write};
use crate::store::usage::{Flush, RecorderId};
use crate::token::policy::Policy;
use crate::token::samples::{instant, namespace, withdrawal};
use crate::token::usage::{Outcome, Seen, Usage};
use std::sync::Arc;

const DAY: Duration = Duration::from_hours(24);
const DAY_MICROS: u64 = 86_400_000_000;

impl Scene {
    /// With a token, uses on record from the first instant on, and rules for ten days without one.
    async fn unused_leads_to(action: UnusedAction) -> Answer<(Scene, TokenId)> {
        let scene = Scene::start().await?;
        scene.store.begin_usage(instant(0)).await?;
        scene.rule_of_unused(action).await?;
        let id = scene.issue().await?.record.token.id;
        Ok((scene, id))
    }

    async fn rule_of_unused(&self, action: UnusedAction) -> Answer<()> {
        let mut notes = namespace("notes", "kn_");
        notes.policy = Policy {
            unused_after: Some(Span::days(10)),
            unused_action: action,
            ..Policy::default()
        };
        let newest = self.store.directory().await?.version;
        write(&self.store, Draft::of_namespace(origin(), newest, notes)).await?;
        Ok(())
    }

    async fn used(&self, id: TokenId, sequence: u64) -> Answer<()> {
        let time = self.clock_now();
        let seen = Seen {
            time,
            outcome: Outcome::Accepted,
            secret_version: 1,
            caller: None,
            address_prefix: None,
            user_agent: String::new().into(),
        };
        let usage = Usage {
            last_use: Some(seen),
            ..Usage::default()
        };
        let flush = Flush {
            recorder: RecorderId::new([1; 16]),
            sequence,
            time,
            usages: vec![(id, usage)],
        };
        Ok(self.store.add_usage(Arc::new(flush)).await?)
    }

    fn clock_now(&self) -> Timestamp {
        use crate::clock::Clock as _;
        self.clock.now()
    }

    async fn tell(&self, id: TokenId) -> Result<Told, AuthorityError> {
        self.authority.tell(id, Matter::Unused, Span::ZERO).await
    }

    /// The kinds of the entries of a token after its issue.
    async fn story(&self, id: TokenId) -> Answer<Vec<Kind>> {
        let journal = self.journal().await?;
        let of = journal.iter().filter(|entry| entry.change.token_id() == Some(id));
        Ok(of.skip(1).map(|entry| entry.change.kind()).collect())
    }
}

const TOLD_AND_SUSPENDED: Told = Told {
    notice: true,
    withdrawn: Some(State::Suspended),
};

#[tokio::test(start_paused = true)]
async fn what_is_unused_is_told_and_withdrawn_as_its_namespace_wants() -> Answer<()> {
    for (action, state, kind) in [
        (UnusedAction::Report, None, None),
        (
            UnusedAction::Suspend,
            Some(State::Suspended),
            Some(Kind::TokenSuspended),
        ),
        (
            UnusedAction::Revoke,
            Some(State::Revoked),
            Some(Kind::TokenRevoked),
        ),
    ] {
        let (scene, id) = Scene::unused_leads_to(action).await?;
        scene
            .clock
            .advance(DAY * 9 + Duration::from_micros(DAY_MICROS - 1));
        assert_eq!(scene.tell(id).await?, Told::default());
        scene.clock.advance(Duration::from_micros(1));
        let told = scene.tell(id).await?;
        assert_eq!((told.notice, told.withdrawn), (true, state));
        assert_eq!(scene.tell(id).await?, Told::default());
        let wanted: Vec<_> = [Kind::TokenUnused].into_iter().chain(kind).collect();
        assert_eq!(scene.story(id).await?, wanted);
        let journal = scene.journal().await?;
        let last = journal.last().ok_or("empty")?;
        assert_eq!(last.actor, Actor::lifecycle());
        let token = read(&scene.store, id).await?.record;
        let reason = token
            .suspension
            .or(token.revocation)
            .map(|it| it.reason.to_string());
        let said = format!("not used since {}, for 10days", instant(0));
        assert_eq!(reason, state.map(|_| said));
    }
    Ok(())
}

/// The answer that was lost, and what was begun and not ended, are made good by the next one; nothing comes twice.
#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_a_write_each_is_written_once() -> Answer<()> {
    for nth in [1, 2] {
        for fault in [Fault::Before, Fault::After] {
            let (scene, id) = Scene::unused_leads_to(UnusedAction::Suspend).await?;
            scene.clock.advance(DAY * 10);
            scene.faulty.nth(nth, Call::Commit, fault);
            // It may be tried again by the writer itself.
            let _ = scene.tell(id).await;
            scene.tell(id).await?;
            let story = [Kind::TokenUnused, Kind::TokenSuspended];
            assert_eq!(scene.story(id).await?, story);
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_two_that_tell_at_once_one_does() -> Answer<()> {
    let (scene, id) = Scene::unused_leads_to(UnusedAction::Suspend).await?;
    scene.clock.advance(DAY * 10);
    let other = scene.behind(scene.clock_now());
    let gate = scene.faulty.hold(Call::Commit);
    let first = {
        let authority = Arc::clone(&scene.authority);
        tokio::spawn(async move { authority.tell(id, Matter::Unused, Span::ZERO).await })
    };
    gate.arrived().await;
    assert_eq!(other.tell(id).await?.withdrawn, Some(State::Suspended));
    gate.open();
    assert_eq!(
        first.await??,
        Told {
            notice: true,
            withdrawn: None
        }
    );
    assert_eq!(scene.story(id).await?, [Kind::TokenUnused, Kind::TokenSuspended]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_use_or_a_change_meanwhile_wins() -> Answer<()> {
    // A use between the notice and the withdrawal, which is decided on what is known by then.
    let (scene, id) = Scene::unused_leads_to(UnusedAction::Revoke).await?;
    scene.clock.advance(DAY * 10);
    let gate = scene.faulty.hold(Call::Commit);
    let telling = {
        let authority = Arc::clone(&scene.authority);
        tokio::spawn(async move { authority.tell(id, Matter::Unused, Span::ZERO).await })
    };
    gate.arrived().await;
    scene.used(id, 1).await?;
    gate.open();
    assert_eq!(
        telling.await??,
        Told {
            notice: true,
            withdrawn: None
        }
    );
    assert_eq!(scene.story(id).await?, [Kind::TokenUnused]);
    // It begins anew with that use.
    scene.clock.advance(DAY * 10);
    assert_eq!(scene.tell(id).await?.withdrawn, Some(State::Revoked));

    // A change between the decision and its write: it is decided again.
    let (scene, id) = Scene::unused_leads_to(UnusedAction::Suspend).await?;
    scene.clock.advance(DAY * 10);
    let gate = scene.faulty.hold(Call::Usages);
    let telling = {
        let authority = Arc::clone(&scene.authority);
        tokio::spawn(async move { authority.tell(id, Matter::Unused, Span::ZERO).await })
    };
    gate.arrived().await;
    scene
        .authority
        .revoke(&ask(), id, withdrawal(instant(1)).reason)
        .await?;
    gate.open();
    assert_eq!(telling.await??, Told::default());
    assert_eq!(scene.story(id).await?, [Kind::TokenRevoked]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_resumes_a_token_gives_it_as_long_again() -> Answer<()> {
    let (scene, id) = Scene::unused_leads_to(UnusedAction::Suspend).await?;
    scene.clock.advance(DAY * 10);
    assert_eq!(scene.tell(id).await?, TOLD_AND_SUSPENDED);
    scene.clock.advance(DAY * 5);
    scene.authority.resume(&ask(), id).await?;
    scene.clock.advance(DAY * 9);
    assert_eq!(scene.tell(id).await?, Told::default());
    scene.clock.advance(DAY);
    assert_eq!(scene.tell(id).await?, TOLD_AND_SUSPENDED);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_not_recorded_is_not_unused() -> Answer<()> {
    let (scene, id) = Scene::unused_leads_to(UnusedAction::Revoke).await?;
    scene.store.end_usage().await?;
    scene.clock.advance(DAY * 20);
    assert_eq!(scene.tell(id).await?, Told::default());
    scene.store.begin_usage(scene.clock_now()).await?;
    scene.clock.advance(DAY * 9);
    assert_eq!(scene.tell(id).await?, Told::default());
    scene.clock.advance(DAY);
    assert_eq!(scene.tell(id).await?.withdrawn, Some(State::Revoked));
    Ok(())
}
