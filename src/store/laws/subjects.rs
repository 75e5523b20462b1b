//! What is said of subjects is kept as it was said, found with their tokens, and guarded.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Answer, Law, all_entries, change, read, write};
use crate::journal::samples::{issue, origin};
use crate::journal::{Change, Draft, Entry, Revision, Room, Stored, fold};
use crate::store::samples::listed_after;
use crate::store::{Outcome, READ_MAX, Store};
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::from_to::FromTo;
use crate::token::namespace::Namespace;
use crate::token::samples::{
    HARD_TEXT, instant, namespace, plan, rate_limit, slug, subject, token, withdrawal,
};
use crate::token::standing::{Standing, SubjectChange};

/// What is said of a subject of `notes` now.
async fn said(store: &Arc<dyn Store>, name: &str) -> Answer<Option<Stored<Standing>>> {
    let standings = store.standings(slug("notes"), vec![subject(name)]).await?;
    Ok(standings.into_iter().next().ok_or("no answer")?)
}

fn draft(before: Option<&Stored<Standing>>, name: &str, change: SubjectChange) -> Answer<Draft> {
    let name = (slug("notes"), subject(name));
    Ok(Draft::of_subject(origin(), before, name, change)?)
}

/// Commits a change to a subject as it is now.
async fn say(store: &Arc<dyn Store>, name: &str, change: SubjectChange) -> Answer<Entry> {
    let before = said(store, name).await?;
    write(store, draft(before.as_ref(), name, change)?).await
}

fn of(name: &str, number: u64) -> Token {
    Token {
        subject: subject(name),
        ..token(number)
    }
}

pub(super) async fn what_is_said_of_a_subject_is_kept_as_it_was_said(store: Arc<dyn Store>) -> Law {
    for name in ["ann", "bob"] {
        assert_eq!(said(&store, name).await?, None);
        let mut state: Option<Standing> = None;
        for change in [
            SubjectChange::PlanSet(Some(plan("pro"))),
            SubjectChange::Suspended(withdrawal(instant(3))),
            SubjectChange::IssuedRevoked(withdrawal(instant(4))),
            SubjectChange::Resumed,
            SubjectChange::PlanSet(None),
            SubjectChange::RateLimitSet(FromTo {
                from: None,
                to: Some(rate_limit(100, 60)),
            }),
            SubjectChange::IssuedRevoked(withdrawal(instant(5))),
        ] {
            let entry = say(&store, name, change.clone()).await?;
            let key = (&slug("notes"), &subject(name));
            let after = fold::standing(state.as_ref(), key, &change, entry.time)?;
            let stored = said(&store, name).await?.ok_or("nothing is said")?;
            assert_eq!((&stored.record, stored.version), (&after, entry.revision));
            assert_eq!(entry.change.subject(), Some(&subject(name)));
            state = Some(after);
        }
    }
    // It is read back from the journal alone.
    let mut rebuilt: Option<Standing> = None;
    for entry in all_entries(&store).await? {
        if let Change::Subject {
            namespace,
            subject,
            change,
        } = &entry.change
            && subject.as_str() == "bob"
        {
            let after = fold::standing(rebuilt.as_ref(), (namespace, subject), change, entry.time)?;
            rebuilt = Some(after);
        }
    }
    assert_eq!(rebuilt, said(&store, "bob").await?.map(|stored| stored.record));
    Ok(())
}

pub(super) async fn standings_are_answered_in_the_order_asked(store: Arc<dyn Store>) -> Law {
    for name in HARD_TEXT {
        say(&store, name, SubjectChange::PlanSet(Some(plan(name)))).await?;
    }
    let asked: Vec<_> = HARD_TEXT.iter().rev().chain(&["nobody"]).copied().collect();
    let standings = store
        .standings(slug("notes"), asked.iter().map(|name| subject(name)).collect())
        .await?;
    let plans: Vec<_> = standings
        .into_iter()
        .map(|stored| stored.and_then(|stored| stored.record.plan))
        .collect();
    let wanted: Vec<_> = asked
        .iter()
        .map(|name| (*name != "nobody").then(|| plan(name)))
        .collect();
    assert_eq!(plans, wanted);
    assert_eq!(store.standings(slug("tasks"), vec![subject("é")]).await?, [None]);
    // Of the same name elsewhere something else is said, or nothing.
    assert_eq!(store.standings(slug("notes"), Vec::new()).await?, []);

    let mut sorted: Vec<_> = HARD_TEXT.iter().map(|name| subject(name)).collect();
    sorted.sort();
    let mut listed = Vec::new();
    loop {
        let page = store.subjects(slug("notes"), listed.last().cloned(), 5).await?;
        assert!(page.len() <= 5);
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|standing| standing.subject));
    }
    assert_eq!(listed, sorted);
    assert_eq!(store.subjects(slug("tasks"), None, READ_MAX).await?, []);
    Ok(())
}

pub(super) async fn a_token_is_found_with_what_is_said_of_its_subject(store: Arc<dyn Store>) -> Law {
    let drafts = [("ann", 1), ("bob", 2), ("ann", 3)].map(|(name, number)| issue(of(name, number)));
    store.commit(drafts.to_vec()).await?;
    let digests: Vec<_> = [1, 2, 9, 3]
        .iter()
        .map(|number| token(*number).secrets[0].digest)
        .collect();
    let look = store.tokens_by_digest(digests.clone()).await?;
    assert_eq!(look.standings, vec![None; 4]);
    let entry = say(&store, "ann", SubjectChange::Suspended(withdrawal(instant(3)))).await?;
    let look = store.tokens_by_digest(digests).await?;
    assert!(look.fence >= entry.revision);
    let ann = said(&store, "ann").await?.map(|stored| stored.record);
    assert_eq!(look.standings, [ann.clone(), None, None, ann]);
    assert_eq!(look.tokens[1], Ok(Some(of("bob", 2))));
    // The records of its tokens are as they were.
    assert_eq!(look.tokens[0], Ok(Some(of("ann", 1))));
    assert_eq!(read(&store, token(3).id).await?.version, Revision::new(4));
    Ok(())
}

pub(super) async fn a_subject_is_guarded_by_its_last_change(store: Arc<dyn Store>) -> Law {
    let set = |name: &str| SubjectChange::PlanSet(Some(plan(name)));
    // Of two that both found nothing said, one wins; in a batch as well.
    let batch = vec![
        draft(None, "ann", set("a"))?,
        draft(None, "ann", set("b"))?,
        draft(None, "bob", set("c"))?,
    ];
    let outcomes = store.commit(batch).await?;
    assert!(
        matches!(
            outcomes[..],
            [Outcome::Written(_), Outcome::Conflict, Outcome::Written(_)]
        ),
        "{outcomes:?}"
    );
    assert_eq!(
        store.commit(vec![draft(None, "ann", set("d"))?]).await?,
        [Outcome::Conflict]
    );
    for round in 0..4 {
        let name = format!("subject {round}");
        let mut tasks = JoinSet::new();
        for racer in 0..6 {
            let (store, draft) = (Arc::clone(&store), draft(None, &name, set(&racer.to_string()))?);
            tasks.spawn(async move { store.commit(vec![draft]).await });
        }
        let mut written = 0;
        while let Some(task) = tasks.join_next().await {
            written += usize::from(matches!(task??[..], [Outcome::Written(_)]));
        }
        assert_eq!(written, 1);
    }
    let before = said(&store, "ann").await?;
    say(&store, "ann", set("e")).await?;
    let stale = draft(before.as_ref(), "ann", set("f"))?;
    assert_eq!(store.commit(vec![stale]).await?, [Outcome::Conflict]);
    let plan_now = said(&store, "ann").await?.and_then(|stored| stored.record.plan);
    assert_eq!(plan_now, Some(plan("e")));
    Ok(())
}

/// Room for so many tokens of `ann`.
fn room(max: u32) -> Room {
    Room {
        namespace: slug("notes"),
        subject: subject("ann"),
        max,
        now: instant(10),
        since: Some(instant(-5)),
    }
}

pub(super) async fn tokens_that_count_are_those_that_can_be_used(store: Arc<dyn Store>) -> Law {
    let with = |number, change: fn(&mut Token)| {
        let mut token = of("ann", number);
        change(&mut token);
        issue(token)
    };
    let drafts = vec![
        with(1, |_| {}),
        with(2, |token| token.suspension = Some(withdrawal(instant(1)))),
        with(3, |token| token.revocation = Some(withdrawal(instant(1)))),
        with(4, |token| token.expire_time = Some(instant(10))),
        with(5, |token| token.expire_time = Some(instant(11))),
        with(6, |token| token.create_time = instant(-5)),
        with(7, |token| token.create_time = instant(-4)),
        issue(of("bob", 8)),
    ];
    store.commit(drafts).await?;
    assert_eq!(store.count_tokens(room(1)).await?, 4);
    let all = Room {
        since: None,
        ..room(1)
    };
    assert_eq!(store.count_tokens(all).await?, 5);
    let stranger = Room {
        subject: subject("carl"),
        ..room(1)
    };
    assert_eq!(store.count_tokens(stranger).await?, 0);
    Ok(())
}

pub(super) async fn there_are_no_more_tokens_than_there_is_room_for(store: Arc<dyn Store>) -> Law {
    const MAX: u32 = 5;
    let issue_one = |number| issue(of("ann", number)).with_room(room(MAX));
    // In a batch, each counts those before it; another subject's do not count.
    let batch = (0..3).map(issue_one).chain([issue(of("bob", 50))]);
    let outcomes = store.commit(batch.collect()).await?;
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Written(_))),
        "{outcomes:?}"
    );
    let mut tasks = JoinSet::new();
    for number in 10..20 {
        let (store, draft) = (Arc::clone(&store), issue_one(number));
        tasks.spawn(async move { store.commit(vec![draft]).await });
    }
    let mut written = 0;
    while let Some(task) = tasks.join_next().await {
        written += usize::from(matches!(task??[..], [Outcome::Written(_)]));
    }
    assert_eq!(written, 2);
    assert_eq!(store.count_tokens(room(MAX)).await?, MAX);
    // One that goes leaves room for one in a whole batch.
    let gone = listed_after(&store, "notes", None, 1).await?[0].id;
    change(&store, gone, TokenChange::Revoked(withdrawal(instant(1)))).await?;
    let outcomes = store.commit((30..33).map(issue_one).collect()).await?;
    assert!(
        matches!(
            outcomes[..],
            [Outcome::Written(_), Outcome::Conflict, Outcome::Conflict]
        ),
        "{outcomes:?}"
    );
    Ok(())
}

pub(super) async fn the_newest_token_is_told_by_its_id(store: Arc<dyn Store>) -> Law {
    assert_eq!(store.newest_token(slug("notes"), None).await?, None);
    let drafts = [("ann", 3), ("bob", 7), ("ann", 5)].map(|(name, number)| issue(of(name, number)));
    store.commit(drafts.to_vec()).await?;
    let newest = |name: Option<&str>| store.newest_token(slug("notes"), name.map(subject));
    assert_eq!(newest(None).await?, Some(token(7).id));
    assert_eq!(newest(Some("ann")).await?, Some(token(5).id));
    assert_eq!(newest(Some("bob")).await?, Some(token(7).id));
    assert_eq!(newest(Some("carl")).await?, None);
    assert_eq!(store.newest_token(slug("tasks"), None).await?, None);
    Ok(())
}

pub(super) async fn a_namespace_keeps_its_rules_and_its_not_before(store: Arc<dyn Store>) -> Law {
    let newest = store.directory().await?.version;
    let revoked = Namespace {
        not_before: Some(withdrawal(instant(8))),
        ..namespace("notes", "kn_")
    };
    let entry = write(
        &store,
        Draft::of_revoked_namespace(origin(), newest, revoked.clone()),
    )
    .await?;
    let directory = store.directory().await?;
    assert_eq!(directory.version, entry.revision);
    assert_eq!(
        directory
            .record
            .get(&slug("notes"))
            .map(|it| Namespace::clone(it)),
        Some(revoked)
    );
    Ok(())
}
