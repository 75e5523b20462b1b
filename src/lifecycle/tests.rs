//! Time goes by over one store, and whoever looks tells each thing once.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::authority::Writer;
use crate::clock::{ManualClock, ManualEntropy};
use crate::journal::samples::{issue, origin};
use crate::journal::{Draft, Entry, Kind};
use crate::store::faulty::{Call, Fault, Faulty};
use crate::store::member::MemberId;
use crate::store::memory::MemoryStore;
use crate::store::samples::{Answer, EPOCH, all_entries, change, found_notes, read, rotation, write};
use crate::token::change::TokenChange;
use crate::token::samples::{instant, namespace, pepper, token, withdrawal};
use crate::token::text::Actor;
use crate::token::update::{To, Update, update};

const DAY: Duration = Duration::from_hours(24);

/// Servers over one store, and the time of all of them.
struct Scene {
    store: Arc<dyn Store>,
    faulty: Arc<Faulty>,
    clock: Arc<ManualClock>,
}

fn days(days: &[u16]) -> std::collections::BTreeSet<Span> {
    days.iter().copied().map(Span::days).collect()
}

impl Scene {
    async fn start(policy: Policy) -> Answer<Scene> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(EPOCH));
        found_notes(&store).await?;
        store.begin_usage(instant(0)).await?;
        let scene = Scene {
            faulty: Arc::new(Faulty::over(Arc::clone(&store))),
            store,
            clock: Arc::new(ManualClock::at(instant(0))),
        };
        scene.rule(policy).await?;
        Ok(scene)
    }

    async fn rule(&self, policy: Policy) -> Answer<()> {
        let mut notes = namespace("notes", "kn_");
        notes.policy = policy;
        let newest = self.store.directory().await?.version;
        write(&self.store, Draft::of_namespace(origin(), newest, notes)).await?;
        Ok(())
    }

    /// Another server, or the same one after it was started again.
    fn server(&self, number: u8) -> Timekeeper {
        let store = Arc::<Faulty>::clone(&self.faulty) as Arc<dyn Store>;
        let clock = Arc::<ManualClock>::clone(&self.clock) as Arc<dyn Clock>;
        let (writer, _) = Writer::spawn(Arc::clone(&store), Arc::clone(&clock), CancellationToken::new());
        let authority = Authority::new(
            Arc::clone(&store),
            writer,
            Arc::clone(&clock),
            Arc::new(ManualEntropy::seeded(u64::from(number))),
            Arc::new(pepper(7)),
            EPOCH,
        );
        let duty = Duty {
            name: DUTY,
            holder: MemberId::new([number; 16]),
        };
        Timekeeper::new(
            store,
            Arc::new(authority),
            clock,
            duty,
            Pace::default(),
            Arc::default(),
        )
    }

    /// The token of this number, which ends after so many days.
    async fn issue(&self, number: u64, ends: Option<u64>) -> Answer<TokenId> {
        let mut token = token(number);
        token.expire_time = ends.map(end).transpose()?;
        write(&self.store, issue(token.clone())).await?;
        Ok(token.id)
    }

    async fn told(&self) -> Answer<Vec<(TokenId, Notice)>> {
        let journal = all_entries(&self.store).await?;
        let told = |entry: &Entry| match &entry.change {
            crate::journal::Change::Token {
                token_id,
                change: TokenChange::Told(notice),
                ..
            } => {
                assert_eq!(entry.actor, Actor::lifecycle());
                Some((*token_id, *notice))
            }
            _ => None,
        };
        Ok(journal.iter().filter_map(told).collect())
    }

    async fn leads_told(&self) -> Answer<Vec<u64>> {
        let told = self.told().await?.into_iter();
        let days = |notice| match notice {
            Notice::Expiring { lead, .. } => lead.duration().as_secs() / DAY.as_secs(),
            Notice::RotationDue { .. } | Notice::Unused { .. } => 0,
        };
        Ok(told.map(|(_, notice)| days(notice)).collect())
    }

    async fn count(&self, kind: Kind) -> Answer<usize> {
        let journal = all_entries(&self.store).await?;
        Ok(journal.iter().filter(|entry| entry.change.kind() == kind).count())
    }
}

fn end(days: u64) -> Answer<Timestamp> {
    Ok(instant(0).after(DAY * u32::try_from(days)?)?)
}

fn expiring(leads: &[u16]) -> Policy {
    Policy {
        expiring_leads: days(leads),
        ..Policy::default()
    }
}

#[tokio::test(start_paused = true)]
async fn each_lead_is_told_once_over_restarts_and_by_two_servers_at_once() -> Answer<()> {
    let scene = Scene::start(expiring(&[1, 7, 30])).await?;
    scene.issue(1, Some(40)).await?;
    scene.issue(2, None).await?;
    let mut servers = [scene.server(1), scene.server(2)];
    for hour in 0..40 * 24 {
        let [one, other] = &mut servers;
        tokio::join!(one.round(), other.round());
        // Two that know nothing of each other: what one has told the other finds told.
        if hour % 100 == 99 {
            servers = [scene.server(1), scene.server(2)];
        }
        scene.clock.advance(Duration::from_hours(1));
    }
    assert_eq!(scene.leads_told().await?, [30, 7, 1]);
    Ok(())
}

/// As when the clock of one is ahead: both believe that the duty is theirs.
#[tokio::test(start_paused = true)]
async fn two_that_both_have_the_duty_tell_each_thing_once() -> Answer<()> {
    let scene = Scene::start(expiring(&[7])).await?;
    for number in 1..=40 {
        scene.issue(number, Some(10)).await?;
    }
    scene.clock.advance(DAY * 4);
    let (one, other) = (scene.server(1), scene.server(2));
    let namespace = scene.store.directory().await?.record;
    let notes = namespace.iter().next().ok_or("no namespace")?;
    let ids: Vec<_> = (1..=40).map(|number| token(number).id).collect();
    let (first, second) = tokio::join!(
        one.tell(Matter::Expiring, ids.clone()),
        other.tell(Matter::Expiring, ids.clone())
    );
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(scene.told().await?.len(), ids.len());
    let counted = [&one, &other].map(|it| it.tally.tokens_told(Matter::Expiring));
    assert_eq!(counted.iter().sum::<u64>(), 40, "{counted:?}");
    assert!(matches!(one.walk(notes).await, Ok(())));
    assert_eq!(scene.told().await?.len(), ids.len());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_what_was_missed_the_most_urgent_is_told() -> Answer<()> {
    let scene = Scene::start(expiring(&[1, 7, 30])).await?;
    let id = scene.issue(1, Some(40)).await?;
    // Nobody looked for the whole of both longer leads.
    scene.clock.advance(DAY * 39);
    let mut server = scene.server(1);
    server.round().await;
    assert_eq!(scene.leads_told().await?, [1]);
    // It was given another end: that one is told of anew.
    let before = read(&scene.store, id).await?;
    let asked = Update {
        expire_time: Some(To(Some(end(60)?))),
        ..Update::default()
    };
    let updated = update(&before.record, &asked, scene.clock.now())?.ok_or("it is so already")?;
    change(&scene.store, id, updated).await?;
    scene.clock.advance(DAY * 20);
    server.round().await;
    assert_eq!(scene.leads_told().await?, [1, 1]);
    // Over: nothing more to tell.
    scene.clock.advance(DAY * 2);
    server.round().await;
    assert_eq!(scene.told().await?.len(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn each_secret_is_due_once() -> Answer<()> {
    let scene = Scene::start(Policy {
        rotation_due_after: Some(Span::days(90)),
        ..Policy::default()
    })
    .await?;
    let id = scene.issue(1, None).await?;
    let mut server = scene.server(1);
    for day in 0..400_u32 {
        server.round().await;
        if day == 100 {
            let token = read(&scene.store, id).await?.record;
            change(&scene.store, id, rotation(1, &token, scene.clock.now())).await?;
        }
        scene.clock.advance(DAY);
    }
    let due = |version, since| {
        let (after, since) = (Span::days(90), end(since)?);
        Answer::Ok((
            id,
            Notice::RotationDue {
                version,
                after,
                since,
            },
        ))
    };
    assert_eq!(scene.told().await?, [due(1, 0)?, due(2, 100)?]);
    // Whoever shortens the span hears of it as of another one.
    scene
        .rule(Policy {
            rotation_due_after: Some(Span::days(60)),
            ..Policy::default()
        })
        .await?;
    server.round().await;
    server.round().await;
    assert_eq!(scene.told().await?.len(), 3);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn unused_tokens_are_revoked_once_and_only_after_uses_could_be_known() -> Answer<()> {
    let scene = Scene::start(Policy {
        unused_after: Some(Span::days(30)),
        unused_action: UnusedAction::Revoke,
        ..Policy::default()
    })
    .await?;
    for number in 1..=3 {
        scene.issue(number, None).await?;
    }
    change(
        &scene.store,
        token(2).id,
        TokenChange::Suspended(withdrawal(instant(1))),
    )
    .await?;
    let mut server = scene.server(1);
    scene.clock.advance(DAY * 30);
    server.round().await;
    assert_eq!(scene.told().await?, [], "a use may be on its way");
    scene.clock.advance(Duration::from_hours(1));
    for _ in 0..3 {
        server.round().await;
        server = scene.server(1);
    }
    assert_eq!(scene.count(Kind::TokenUnused).await?, 2);
    assert_eq!(scene.count(Kind::TokenRevoked).await?, 2);
    let suspended = read(&scene.store, token(2).id).await?.record;
    assert!(suspended.revocation.is_none(), "it could not be used");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_a_store_does_not_answer_is_told_by_the_next_round() -> Answer<()> {
    for call in [
        Call::Directory,
        Call::Tokens,
        Call::Search,
        Call::Token,
        Call::Commit,
    ] {
        for fault in [Fault::Before, Fault::After] {
            let scene = Scene::start(expiring(&[7])).await?;
            scene.issue(1, Some(10)).await?;
            scene.clock.advance(DAY * 4);
            let mut server = scene.server(1);
            scene.faulty.nth(1, call, fault);
            server.round().await;
            assert!(
                server.tally.completed_at().is_none() || server.tally.failures() == 0,
                "{call:?}"
            );
            scene.faulty.heal(call);
            server.round().await;
            assert_eq!(scene.leads_told().await?, [7], "{call:?}");
            assert!(server.tally.completed_at().is_some(), "{call:?}");
        }
    }
    Ok(())
}

/// One look at a namespace an hour, and none at one that asks for nothing.
#[tokio::test(start_paused = true)]
async fn a_namespace_is_walked_as_often_as_its_rules_need() -> Answer<()> {
    let scene = Scene::start(Policy::default()).await?;
    let mut server = scene.server(1);
    server.round().await;
    assert_eq!(scene.faulty.calls(Call::Tokens), 0);
    scene.rule(expiring(&[7, 30])).await?;
    for _ in 0..120 {
        server.round().await;
        scene.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(scene.faulty.calls(Call::Tokens), 2);
    // Other rules are looked at at once, and short spans more often.
    scene
        .rule(Policy {
            expiring_leads: [Span::seconds(600)].into(),
            ..Policy::default()
        })
        .await?;
    for _ in 0..10 {
        server.round().await;
        scene.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(scene.faulty.calls(Call::Tokens), 12);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_server_looks_and_another_one_takes_over() -> Answer<()> {
    let scene = Scene::start(expiring(&[7])).await?;
    let (mut one, mut other) = (scene.server(1), scene.server(2));
    one.round().await;
    other.round().await;
    assert!(one.tally.on_duty() && !other.tally.on_duty());
    assert_eq!(other.tally.completed_at(), None);
    scene.clock.advance(Pace::default().interval * LEASE_INTERVALS);
    other.round().await;
    one.round().await;
    assert!(!one.tally.on_duty() && other.tally.on_duty());
    Ok(())
}

/// More than one page, each token on one of them.
#[tokio::test(start_paused = true)]
async fn every_page_is_looked_at() -> Answer<()> {
    let scene = Scene::start(expiring(&[7])).await?;
    let many = u64::from(PAGE) * 2 + 1;
    for number in 1..=many {
        scene.issue(number, Some(10)).await?;
    }
    scene.clock.advance(DAY * 4);
    let mut server = scene.server(1);
    server.round().await;
    assert_eq!(server.tally.tokens_told(Matter::Expiring), many);
    assert_eq!(scene.told().await?.len() as u64, many);
    Ok(())
}
