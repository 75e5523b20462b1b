//! Changes that race, answers that are lost: what was acknowledged holds, and is written once.

use std::time::Duration;

use super::samples::{Scene, ask, laptop, overlap_of, request};
use super::*;
use crate::journal::{Change, fold};
use crate::store::faulty::{Call, Fault, Gate};
use crate::store::samples::{Answer, change, idle};
use crate::token::change::Refused;
use crate::token::samples::{instant, slug, withdrawal};
use crate::token::text::Reason;

const HOUR: Duration = Duration::from_hours(1);

fn suspended() -> TokenChange {
    TokenChange::Suspended(withdrawal(instant(1)))
}

fn reason() -> Reason {
    withdrawal(instant(0)).reason
}

/// The token after each of its entries, as the journal has it.
fn history(journal: &[Entry], id: TokenId) -> Answer<Vec<(Entry, Token)>> {
    let mut history: Vec<(Entry, Token)> = Vec::new();
    for entry in journal {
        if let Change::Token { token_id, change, .. } = &entry.change
            && *token_id == id
        {
            let after = fold::token(history.last().map(|(_, token)| token), change)?;
            history.push((entry.clone(), after));
        }
    }
    Ok(history)
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_shown_though_the_commit_that_kept_it_erred() -> Answer<()> {
    let scene = Scene::start().await?;
    for ask in [ask(), request()] {
        scene.faulty.nth(1, Call::Commit, Fault::After);
        let issued = scene.authority.issue(&ask, laptop()).await?;
        let Minted { token, secret } = issued.record;
        assert!(
            token
                .secret_with(&scene.authority.peppers.digest(&secret))
                .is_some()
        );
        assert_eq!(scene.authority.token(&ask.caller, token.id).await?, token);
        scene.faulty.nth(1, Call::Commit, Fault::After);
        let rotated = scene
            .authority
            .rotate(&ask_again(&ask), token.id, overlap_of(HOUR))
            .await?;
        let Minted { token, secret } = rotated.record;
        let kept = token.current_secret().ok_or("no secret")?;
        assert_eq!(kept.digest, scene.authority.peppers.digest(&secret));
        assert_eq!(scene.authority.token(&ask.caller, token.id).await?, token);
        let head = scene.store.head().await?;
        assert_eq!(rotated.cursor, head.cursor());
    }
    assert_eq!(scene.journal().await?.len(), 1 + 4);
    Ok(())
}

/// The same who, and a request of its own if there was one.
fn ask_again(before: &Ask) -> Ask {
    match before.request_id {
        Some(_) => request(),
        None => ask(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_is_answered_though_its_commit_erred() -> Answer<()> {
    let scene = Scene::start().await?;
    for ask in [ask(), request()] {
        let id = scene.issue().await?.record.token.id;
        scene.faulty.nth(1, Call::Commit, Fault::After);
        let revoked = scene.authority.revoke(&ask, id, reason()).await?;
        assert_eq!(revoked.record.revocation, Some(withdrawal(instant(0))));
        assert_eq!(revoked.cursor, scene.store.head().await?.cursor());
    }
    assert_eq!(scene.journal().await?.len(), 1 + 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_an_unknown_end_changes_nothing_twice() -> Answer<()> {
    let scene = Scene::start().await?;
    let (issue, revoke) = (request(), request());
    scene.faulty.nth(1, Call::Commit, Fault::After);
    scene.faulty.nth(2, Call::Commit, Fault::Before);
    let unknown = scene.authority.issue(&issue, laptop()).await.map(|_| ());
    assert!(matches!(unknown, Err(AuthorityError::Store(_))), "{unknown:?}");
    // The secret is that of the token that was written, though nobody had been shown it.
    let Minted { token, secret } = scene.authority.issue(&issue, laptop()).await?.record;
    let kept = token.current_secret().ok_or("no secret")?;
    assert_eq!(kept.digest, scene.authority.peppers.digest(&secret));
    let token_id = token.id;
    scene.faulty.nth(1, Call::Commit, Fault::After);
    scene.faulty.nth(2, Call::Commit, Fault::Before);
    let unknown = scene.authority.revoke(&revoke, token_id, reason()).await;
    assert!(matches!(unknown, Err(AuthorityError::Store(_))), "{unknown:?}");
    let head = scene.store.head().await?;
    scene.clock.advance(HOUR);
    let revoked = scene.authority.revoke(&revoke, token_id, reason()).await?;
    assert_eq!(revoked.record.revocation, Some(withdrawal(instant(0))));
    assert_eq!(revoked.cursor, head.cursor());
    assert_eq!(scene.store.head().await?, head);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_two_revocations_the_first_stands() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = scene.issue().await?.record.token.id;
    let first = scene.authority.revoke(&request(), id, reason()).await?;
    scene.issue().await?;
    scene.clock.advance(HOUR);
    let other = Reason::try_from("another".to_owned())?;
    let second = scene.authority.revoke(&request(), id, other).await?;
    assert_eq!(second.record, first.record);
    assert_eq!(second.cursor, first.cursor);
    assert_eq!(scene.journal().await?.len(), 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_changed_meanwhile_is_decided_again() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = scene.issue().await?.record.token.id;
    let gate = scene.faulty.hold(Call::Token);
    let revoking = scene.revoking(ask(), id);
    gate.arrived().await;
    change(&scene.store, id, suspended()).await?;
    gate.open();
    let revoked = revoking.await??;
    assert_eq!(revoked.record, scene.authority.token(&ask().caller, id).await?);
    assert!(revoked.record.suspension.is_some() && revoked.record.revocation.is_some());
    // What is revoked meanwhile is not rotated any more; nor is one revoked twice.
    let id = scene.issue().await?.record.token.id;
    let gates = [Gate::default(), Gate::default()];
    scene.faulty.nth(1, Call::Token, Fault::Held(gates[0].clone()));
    let rotating = scene.rotating(id, HOUR);
    gates[0].arrived().await;
    scene.faulty.nth(1, Call::Token, Fault::Held(gates[1].clone()));
    let late = scene.revoking(ask(), id);
    gates[1].arrived().await;
    let first = scene.authority.revoke(&ask(), id, reason()).await?;
    for gate in gates {
        gate.open();
    }
    let refused = rotating.await?.map(|_| ());
    assert!(
        matches!(
            refused,
            Err(AuthorityError::Refused {
                refused: Refused::Revoked,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(late.await??.cursor, first.cursor);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_keeps_changing_is_decided_so_many_times() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = scene.issue().await?.record.token.id;
    let gates: [Gate; DECISIONS_MAX] = std::array::from_fn(|_| Gate::default());
    for (n, gate) in (1..).zip(&gates) {
        scene.faulty.nth(n, Call::Token, Fault::Held(gate.clone()));
    }
    let commits = scene.faulty.calls(Call::Commit);
    let revoking = scene.revoking(ask(), id);
    for (n, gate) in gates.iter().enumerate() {
        gate.arrived().await;
        let to = if n % 2 == 0 {
            suspended()
        } else {
            TokenChange::Resumed
        };
        change(&scene.store, id, to).await?;
        gate.open();
    }
    let refused = revoking.await?;
    assert!(matches!(refused, Err(AuthorityError::Contention)), "{refused:?}");
    assert_eq!(scene.faulty.calls(Call::Commit) - commits, DECISIONS_MAX);
    assert_eq!(scene.authority.token(&ask().caller, id).await?.revocation, None);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn two_rotations_at_once_make_two_versions() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = scene.issue().await?.record.token.id;
    let (one, other) = (scene.rotating(id, HOUR), scene.rotating(id, HOUR));
    let mut versions = Vec::new();
    for rotating in [one, other] {
        let Minted { token, secret } = rotating.await??.record;
        let digest = scene.authority.peppers.digest(&secret);
        versions.push(token.secret_with(&digest).ok_or("not kept")?.version);
    }
    versions.sort_unstable();
    assert_eq!(versions, [2, 3]);
    let kept = scene.authority.token(&ask().caller, id).await?.secrets;
    let live: Vec<_> = kept
        .iter()
        .map(|kept| (kept.version, kept.live(instant(0))))
        .collect();
    // The first of the two was never used, so it was replaced.
    assert_eq!(live, [(1, true), (2, false), (3, true)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn revoked_stays_revoked_however_many_rotate() -> Answer<()> {
    const TOKENS: usize = 8;
    let scene = Scene::start().await?;
    let mut ids = Vec::new();
    for _ in 0..TOKENS {
        ids.push(scene.issue().await?.record.token.id);
    }
    let mut racing = tokio::task::JoinSet::new();
    for id in &ids {
        for n in 0..8 {
            let (authority, id) = (Arc::clone(&scene.authority), *id);
            racing.spawn(async move {
                loop {
                    let done = match n {
                        5 => authority.revoke(&ask(), id, reason()).await.map(|_| ()),
                        _ => authority.rotate(&ask(), id, overlap_of(HOUR)).await.map(|_| ()),
                    };
                    match done {
                        Err(AuthorityError::Contention) => {}
                        Err(AuthorityError::Refused {
                            refused: Refused::Revoked,
                            ..
                        }) if n != 5 => return Ok(()),
                        done => return done,
                    }
                }
            });
        }
    }
    while let Some(done) = racing.join_next().await {
        done??;
    }
    let journal = scene.journal().await?;
    for id in ids {
        let history = history(&journal, id)?;
        for (n, (entry, token)) in history.iter().enumerate() {
            let live = token.secrets.iter().filter(|kept| kept.live(entry.time)).count();
            assert!(live <= 2, "{token:?}");
            let newest = token.current_secret().map(|kept| kept.version);
            let is_last = n + 1 == history.len();
            assert_eq!(token.revocation.is_some(), is_last, "only the last entry revokes");
            assert_eq!(newest, Some(u32::try_from(n)? + u32::from(!is_last)));
        }
        let last = history.last().map(|(_, token)| token.clone());
        assert_eq!(last, Some(scene.authority.token(&ask().caller, id).await?));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_said_to_be_missing() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = crate::token::samples::token(1).id;
    let missing = [
        scene.authority.token(&ask().caller, id).await.map(|_| ()),
        scene.authority.revoke(&ask(), id, reason()).await.map(|_| ()),
        scene
            .authority
            .rotate(&ask(), id, overlap_of(HOUR))
            .await
            .map(|_| ()),
    ];
    for refused in missing {
        assert!(
            matches!(refused, Err(AuthorityError::TokenNotFound(found)) if found == id),
            "{refused:?}"
        );
    }
    let elsewhere = Issue {
        namespace: slug("tasks"),
        ..laptop()
    };
    let refused = scene.authority.issue(&ask(), elsewhere).await.map(|_| ());
    assert!(
        matches!(refused, Err(AuthorityError::NamespaceNotFound(_))),
        "{refused:?}"
    );
    idle().await;
    assert_eq!(scene.faulty.calls(Call::Commit), 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_may_be_revoked_but_not_rotated() -> Answer<()> {
    let scene = Scene::start().await?;
    let for_an_hour = Issue {
        lifetime: Lifetime::For(HOUR),
        ..laptop()
    };
    let token = scene.authority.issue(&ask(), for_an_hour).await?.record.token;
    assert_eq!(token.expire_time, Some(instant(0).after(HOUR)?));
    scene.clock.advance(HOUR);
    let refused = scene
        .authority
        .rotate(&ask(), token.id, overlap_of(HOUR))
        .await
        .map(|_| ());
    let expired = Err(Refused::Expired);
    let refused = refused.map_err(|error| match error {
        AuthorityError::Refused { refused, .. } => refused,
        error => panic!("{error}"),
    });
    assert_eq!(refused, expired);
    scene.authority.revoke(&ask(), token.id, reason()).await?;
    Ok(())
}

/// A look at the directory is at every namespace there is.
#[tokio::test(start_paused = true)]
async fn what_a_change_is_decided_on_is_read_once() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = scene.issue().await?.record.token.id;
    let authority = &scene.authority;
    let renamed = crate::token::update::Update {
        name: Some(crate::token::samples::name("Phone")),
        ..Default::default()
    };
    let asked = ask();
    let read = [Call::Token, Call::Directory, Call::Standings];
    let mut before = read.map(|call| scene.faulty.calls(call));
    for verb in ["update", "rotate", "suspend", "resume", "revoke"] {
        match verb {
            "update" => drop(authority.update(&asked, id, None, renamed.clone()).await?),
            "rotate" => drop(authority.rotate(&asked, id, overlap_of(HOUR)).await?),
            "suspend" => drop(authority.suspend(&asked, id, reason()).await?),
            "resume" => drop(authority.resume(&asked, id).await?),
            _ => drop(authority.revoke(&asked, id, reason()).await?),
        }
        let after = read.map(|call| scene.faulty.calls(call));
        assert_eq!(after, before.map(|calls| calls + 1), "{verb}");
        before = after;
    }
    Ok(())
}
