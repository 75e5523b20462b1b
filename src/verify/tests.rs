//! What a verifier answers while the journal moves under it.

mod membership;
mod peppers;
mod uses;
mod subjects;

use std::time::Duration;

use super::samples::{CALLER, Scene, is_accepted, kept_of, secret, usable};
use super::*;
use crate::journal::Draft;
use crate::journal::samples::{issue, origin};
use crate::store::faulty::Call;
use crate::store::samples::{Answer, idle, read, write};
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::samples::{chance, instant, namespace, pepper, slug, withdrawal};
use crate::token::verdict::CACHE_TTL_MAX;

const REVOKED: Verdict = Verdict::Refused(Refusal::Revoked);
const UNKNOWN: Verdict = Verdict::Refused(Refusal::Unknown);

#[tokio::test(start_paused = true)]
async fn a_look_up_under_way_brings_no_revoked_token_back() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let early = scene.judging(secret(1, 1));
    gate.arrived().await;
    scene.revoke(1).await?;
    gate.open();
    // It began before the revocation was answered, and read before it was made.
    assert!(is_accepted(&early.await??));
    assert_eq!(scene.verdict(secret(1, 1)).await?, REVOKED);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_verify_begun_after_a_revocation_joins_no_query_begun_before() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    let gate = scene.faulty.hold(Call::TokensByDigest);
    let early = scene.judging(secret(1, 1));
    gate.arrived().await;
    scene.revoke(1).await?;
    let late = scene.judging(secret(1, 1));
    idle().await;
    gate.open();
    assert!(is_accepted(&early.await??));
    assert_eq!(late.await??, REVOKED);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_revocation_in_force_is_obeyed_however_the_token_was_cached() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    let rotated = TokenChange::Rotated {
        secret: kept_of(1, 2, instant(0)),
        retire_time: Some(instant(1_000_000)),
        beside: None,
        ends: None,
        by_default: false,
    };
    scene.change(1, rotated).await?;
    for version in [1, 2] {
        assert!(is_accepted(&scene.verdict(secret(1, version)).await?));
    }
    scene.revoke(1).await?;
    for version in [1, 2] {
        assert_eq!(scene.verdict(secret(1, version)).await?, REVOKED);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn garbage_ends_without_a_call_to_the_store() -> Answer<()> {
    let scene = Scene::start().await?;
    let tasks = Draft::of_new_namespace(origin(), Revision::new(1), namespace("tasks", "kt_"));
    scene.write(tasks).await?;
    scene.write(issue(usable(1))).await?;
    idle().await;
    let before = scene.faulty.all_calls();
    let good = secret(1, 1).expose().to_owned();
    let (most, last) = good.split_at(good.len() - 1);
    let mistyped = format!("{most}{}", if last == "0" { '1' } else { '0' });
    for garbage in [
        String::new(),
        "kn_".to_owned(),
        "hello".to_owned(),
        "\0".repeat(45),
        most.to_owned(),
        mistyped,
        format!("{good} "),
        format!(" {good}"),
        format!("{good}0"),
        good.to_uppercase(),
        good.replacen("kn_", "kx_", 1),
        // The checksum is taken over the prefix too.
        good.replacen("kn_", "kt_", 1),
        "é".repeat(45),
        "k".repeat(SECRET_BYTES_MAX + 1),
        format!("kn_{}", "0".repeat(1 << 20)),
    ] {
        let shown: String = garbage.chars().take(60).collect();
        let verdict = scene.verdict(Secret::new(garbage)).await?;
        assert_eq!(verdict, Verdict::Refused(Refusal::Malformed), "{shown}");
    }
    let format = namespace("notes", "kn_").format;
    let forged = format.mint(&pepper(8), &mut chance(1));
    assert_eq!(scene.verdict(forged).await?, UNKNOWN);
    let need = Need {
        namespace: Some(slug("tasks")),
        ..Need::default()
    };
    let elsewhere = scene
        .verifier
        .verify(secret(1, 1), &need, Consistency::Leased, &CALLER)
        .await?;
    assert_eq!(elsewhere.verdict, Verdict::Refused(Refusal::WrongNamespace));
    assert_eq!(scene.faulty.all_calls(), before);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn that_a_secret_is_unknown_is_not_remembered() -> Answer<()> {
    let scene = Scene::start().await?;
    for queries in [1, 2] {
        assert_eq!(scene.verdict(secret(1, 1)).await?, UNKNOWN);
        assert_eq!(scene.queries(), queries);
    }
    // Nothing has to be applied first: there is nothing to forget.
    write(&scene.store, issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_found_is_not_asked_for_again_until_it_changes() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    scene.write(issue(usable(2))).await?;
    for _ in 0..3 {
        assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    }
    assert_eq!(scene.queries(), 1);
    // Another token's change is none of its business.
    scene.revoke(2).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    assert_eq!(scene.queries(), 1);
    scene.revoke(1).await?;
    // That a token is revoked is a fact like others, and kept.
    for _ in 0..3 {
        assert_eq!(scene.verdict(secret(1, 1)).await?, REVOKED);
    }
    assert_eq!(scene.queries(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_cached_token_ends_at_the_very_instant() -> Answer<()> {
    let scene = Scene::start().await?;
    let token = Token {
        expire_time: Some(instant(7_000_000)),
        ..usable(1)
    };
    scene.write(issue(token)).await?;
    let accepted = |cache_ttl| Verdict::Accepted {
        secret_version: 1,
        cache_ttl,
    };
    assert_eq!(scene.verdict(secret(1, 1)).await?, accepted(CACHE_TTL_MAX));
    scene.clock.advance(Duration::from_micros(6_999_999));
    let last = accepted(Duration::from_micros(1));
    assert_eq!(scene.verdict(secret(1, 1)).await?, last);
    scene.clock.advance(Duration::from_micros(1));
    let expired = Verdict::Refused(Refusal::Expired);
    assert_eq!(scene.verdict(secret(1, 1)).await?, expired);
    assert_eq!(scene.queries(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_cached_secret_ends_at_the_very_instant() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    let rotated = TokenChange::Rotated {
        secret: kept_of(1, 2, instant(0)),
        retire_time: Some(instant(1_000_000)),
        beside: None,
        ends: None,
        by_default: false,
    };
    scene.change(1, rotated).await?;
    scene.clock.advance(Duration::from_micros(999_999));
    for version in [1, 2] {
        assert!(is_accepted(&scene.verdict(secret(1, version)).await?));
    }
    let queries = scene.queries();
    scene.clock.advance(Duration::from_micros(1));
    let retired = Verdict::Refused(Refusal::SecretRetired);
    assert_eq!(scene.verdict(secret(1, 1)).await?, retired);
    assert!(is_accepted(&scene.verdict(secret(1, 2)).await?));
    assert_eq!(scene.queries(), queries);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_secret_the_token_no_longer_remembers_is_unknown() -> Answer<()> {
    let scene = Scene::start().await?;
    scene.write(issue(usable(1))).await?;
    assert!(is_accepted(&scene.verdict(secret(1, 1)).await?));
    let newest = Token::SECRETS_KEPT_MAX as u32 + 1;
    for version in 2..=newest {
        let rotated = TokenChange::Rotated {
            secret: kept_of(1, version, instant(0)),
            retire_time: Some(instant(0)),
            beside: None,
            ends: None,
            by_default: false,
        };
        scene.change(1, rotated).await?;
    }
    // The cache holds the token again, and still knows whose the first digest was.
    assert!(is_accepted(&scene.verdict(secret(1, newest)).await?));
    let queries = scene.queries();
    assert_eq!(scene.verdict(secret(1, 1)).await?, UNKNOWN);
    assert_eq!(scene.queries(), queries);
    let retired = Verdict::Refused(Refusal::SecretRetired);
    assert_eq!(scene.verdict(secret(1, 2)).await?, retired);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_which_changes_it_takes_into_account() -> Answer<()> {
    let scene = Scene::start().await?;
    let issued = scene.write(issue(usable(1))).await?;
    let gate = scene.faulty.hold(Call::Entries);
    let unseen = write(&scene.store, issue(usable(2))).await?;
    gate.arrived().await;
    let found = scene.judge(secret(1, 1)).await?;
    assert_eq!(found.revision, unseen.revision, "read from the store");
    let cached = scene.judge(secret(1, 1)).await?;
    assert_eq!(cached.revision, issued.revision, "no more is applied here");
    let garbage = scene.judge(Secret::new("x".to_owned())).await?;
    assert_eq!(garbage.revision, issued.revision);
    assert_eq!(cached.token.map(|token| token.id), Some(usable(1).id));
    gate.open();
    scene.verifier.applied(unseen.revision, samples::LONG).await?;
    assert_eq!(scene.judge(secret(1, 1)).await?.revision, unseen.revision);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revocation_is_obeyed_from_the_moment_it_is_said_to_be_in_force() -> Answer<()> {
    const TOKENS: u64 = 50;
    let scene = Scene::start().await?;
    for round in 0..20 {
        let numbers = round * TOKENS..(round + 1) * TOKENS;
        let issued = numbers.clone().map(|number| issue(usable(number)));
        scene.store.commit(issued.collect()).await?;
        for number in numbers.clone() {
            assert!(is_accepted(&scene.verdict(secret(number, 1)).await?));
        }
        let mut revocations = Vec::new();
        for number in numbers.clone() {
            let stored = read(&scene.store, usable(number).id).await?;
            let revoked = TokenChange::Revoked(withdrawal(instant(1)));
            revocations.push(Draft::of_token(origin(), Some(&stored), revoked)?);
        }
        scene.store.commit(revocations).await?;
        let head = scene.store.head().await?.revision;
        scene.verifier.applied(head, Duration::from_secs(30)).await?;
        for number in numbers.rev() {
            assert_eq!(scene.verdict(secret(number, 1)).await?, REVOKED, "{number}");
        }
    }
    Ok(())
}
