//! What a namespace rules about rotation: how long the secret before lives on, and what its use after that comes to.

use prost_types::Timestamp;
use tokenward::proto::v1::overlap::Overlap;
use tokenward::proto::v1::rotate_request::OverlapMode;
use tokenward::proto::v1::{self, EntryKind, NamespacePolicy, RetiredUse, TokenState, Verdict};
use tokio::time::timeout;
use tonic::Code;

use super::rules::{seconds, update};
use super::{BOUND, Fallible, state};
use crate::place::Place;
use crate::refusal::refused;
use crate::server::{Client, Outcome, hex, stop};

fn rotate(token: &v1::Token, overlap_mode: Option<OverlapMode>) -> v1::RotateRequest {
    v1::RotateRequest {
        token_id: token.id.clone(),
        overlap_mode,
        ..Default::default()
    }
}

/// From the making of the new secret to the end of the one before.
fn overlap(token: &v1::Token) -> Option<i64> {
    let micros = |time: &Timestamp| time.seconds * 1_000_000 + i64::from(time.nanos) / 1000;
    let [.., before, newest] = token.secrets.as_slice() else {
        return None;
    };
    Some(micros(before.retire_time.as_ref()?) - micros(newest.create_time.as_ref()?))
}

#[tokio::test]
async fn an_overlap_is_the_namespaces_own_unless_asked_for_and_never_longer_than_it_lets() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        let running = place.start()?;
        let mut client = Client::connect(running.address()).await?;
        client.create_namespace("notes", "kn_", hex(40)).await?;
        let policy = NamespacePolicy {
            overlap_default: Some(v1::Overlap {
                overlap: Some(Overlap::Duration(seconds(60))),
            }),
            overlap_max: Some(seconds(600)),
            ..Default::default()
        };
        update(&mut client, Some(policy), &["policy"]).await?;
        let (token, first) = client.issue("notes", &[]).await?;
        for (mode, field) in [
            (OverlapMode::Overlap(seconds(601)), "overlap"),
            (
                OverlapMode::OverlapFromFirstUse(seconds(601)),
                "overlap_from_first_use",
            ),
        ] {
            let refusal = refused(client.tokens.rotate(rotate(&token, Some(mode))).await)?;
            assert_eq!(
                (refusal.code, refusal.reason.as_str(), refusal.fields),
                (Code::InvalidArgument, "INVALID_FIELD", vec![field.to_owned()])
            );
        }
        for (mode, seconds) in [
            (None, 60),
            (Some(OverlapMode::Overlap(seconds(600))), 600),
            (Some(OverlapMode::Overlap(seconds(0))), 0),
        ] {
            let (token, first) = client.issue("notes", &[]).await?;
            let rotated = client.tokens.rotate(rotate(&token, mode)).await?.into_inner();
            assert_eq!(
                overlap(&rotated.token.unwrap_or_default()),
                Some(seconds * 1_000_000)
            );
            let old = if seconds == 0 {
                Verdict::SecretRetired
            } else {
                Verdict::Accepted
            };
            assert_eq!(client.verdict(&first).await?, old);
            assert_eq!(client.verdict(&rotated.secret).await?, Verdict::Accepted);
        }
        // What was refused has changed nothing.
        assert_eq!(state(&mut client, &token).await?.secrets.len(), 1);
        assert_eq!(client.verdict(&first).await?, Verdict::Accepted);
        stop(running).await?;
    }
    Ok(())
}

/// A token whose first secret has ended, in a namespace with this rule: the token, that secret, and the one that is good.
async fn rotated(
    client: &mut Client,
    slug: &str,
    (retired_use, tolerance): (RetiredUse, i64),
) -> Fallible<(v1::Token, String, String)> {
    let namespace = v1::Namespace {
        slug: slug.to_owned(),
        format: Some(v1::SecretFormat {
            prefix: format!("{slug}_"),
            body: Some(hex(40)),
        }),
        policy: Some(NamespacePolicy {
            retired_use: retired_use.into(),
            retired_tolerance: Some(seconds(tolerance)),
            ..Default::default()
        }),
        ..Default::default()
    };
    let request = v1::CreateNamespaceRequest {
        namespace: Some(namespace),
        ..Default::default()
    };
    client.namespaces.create_namespace(request).await?;
    let (token, old) = client.issue(slug, &[]).await?;
    let new = client.tokens.rotate(rotate(&token, None)).await?.into_inner();
    Ok((token, old, new.secret))
}

/// The tokens of which a secret was used after its end, as the journal has it.
async fn reused(client: &mut Client) -> Fallible<Vec<String>> {
    let request = v1::ListEntriesRequest {
        page_size: 1000,
        ..Default::default()
    };
    let mut entries = client.audit.list_entries(request).await?.into_inner().entries;
    entries.retain(|entry| entry.kind() == EntryKind::TokenRetiredSecretUsed);
    Ok(entries.into_iter().map(|entry| entry.token_id).collect())
}

/// Returns when the journal has it of so many tokens.
async fn until_reused(client: &mut Client, tokens: usize) -> Outcome {
    let heard = async {
        while reused(client).await?.len() < tokens {}
        Outcome::Ok(())
    };
    timeout(BOUND, heard).await?
}

#[tokio::test]
async fn a_secret_used_after_its_end_is_refused_and_told_of_as_the_namespace_says() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        let running = place.start()?;
        let mut client = Client::connect(running.address()).await?;
        // Uses are noted in the order in which they were made, so what comes to nothing is looked for once a later one
        // has come to something.
        let mut spared = Vec::new();
        for (slug, rule) in [
            ("ignoring", (RetiredUse::Ignore, 0)),
            ("tolerant", (RetiredUse::Suspend, 3600)),
        ] {
            let (token, old, new) = rotated(&mut client, slug, rule).await?;
            assert_eq!(client.verdict(&old).await?, Verdict::SecretRetired);
            spared.push((token, new));
        }
        let (reported, old, new) = rotated(&mut client, "reporting", (RetiredUse::Report, 0)).await?;
        assert_eq!(client.verdict(&old).await?, Verdict::SecretRetired);
        until_reused(&mut client, 1).await?;
        // Once for each secret.
        assert_eq!(client.verdict(&old).await?, Verdict::SecretRetired);
        spared.push((reported.clone(), new));

        let (suspended, old, new) = rotated(&mut client, "suspending", (RetiredUse::Suspend, 0)).await?;
        assert_eq!(client.verdict(&new).await?, Verdict::Accepted);
        assert_eq!(client.verdict(&old).await?, Verdict::SecretRetired);
        until_reused(&mut client, 2).await?;
        assert_eq!(reused(&mut client).await?, [reported.id, suspended.id.clone()]);
        let shown = state(&mut client, &suspended).await?;
        assert_eq!(shown.state(), TokenState::Suspended);
        assert!(shown.suspend_reason.contains("secret version 1"), "{shown:?}");
        // At this server it is in force once that has been applied; a strong look waits for it.
        let strong = v1::VerifyRequest {
            secret: new,
            consistency: Some(v1::Consistency {
                requirement: Some(v1::consistency::Requirement::Strong(v1::Strong {})),
            }),
            ..Default::default()
        };
        let judged = client.verification.verify(strong).await?.into_inner();
        assert_eq!(judged.verdict(), Verdict::Suspended);
        for (token, new) in spared {
            assert_eq!(state(&mut client, &token).await?.state(), TokenState::Active);
            assert_eq!(client.verdict(&new).await?, Verdict::Accepted);
        }
        stop(running).await?;
    }
    Ok(())
}
