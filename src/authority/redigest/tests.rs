//! What is asked for after a verdict is done once, and its failure ends nothing.

use std::sync::Arc;

use super::*;
use crate::authority::samples::{Scene, ask};
use crate::journal::{Change, Entry};
use crate::store::faulty::{Call, Fault};
use crate::store::samples::{Answer, read};
use crate::token::Token;
use crate::token::change::TokenChange;
use crate::token::samples::{pepper, withdrawal};
use crate::token::secret::{PepperId, Secret};

/// What a verifier with a second pepper asks for, having seen the first secret of the token.
fn of(token: &Token) -> Redigest {
    Redigest {
        token_id: token.id,
        version: 1,
        digest: pepper(9).digest(&Secret::new(token.id.to_string())),
        pepper: PepperId(2),
    }
}

/// Asks for all of these, and returns when all that comes of it has.
async fn redigest(scene: &Scene, asked: &[Redigest]) -> Answer<()> {
    let (ask, asking) = mpsc::channel(asked.len());
    for redigest in asked {
        ask.send(*redigest).await?;
    }
    drop(ask);
    let actor = Actor::try_from("tokenward".to_owned())?;
    scene.authority.redigest_used(actor, asking).await;
    Ok(())
}

fn redigests(journal: &[Entry]) -> Vec<&Entry> {
    let redigested = |entry: &&Entry| {
        let change = &entry.change;
        matches!(
            change,
            Change::Token {
                change: TokenChange::Redigested { .. },
                ..
            }
        )
    };
    journal.iter().filter(redigested).collect()
}

#[tokio::test]
async fn a_secret_is_redigested_once_and_the_journal_says_so() -> Answer<()> {
    let scene = Scene::start().await?;
    let token = scene.issue().await?.record.token;
    redigest(&scene, &[of(&token), of(&token)]).await?;
    let kept = read(&scene.store, token.id).await?.record.secrets;
    let wanted = (of(&token).digest, PepperId(2));
    assert_eq!((kept[0].digest, kept[0].pepper), wanted);
    let journal = scene.journal().await?;
    let [entry] = redigests(&journal)[..] else {
        return Err(format!("{journal:?}").into());
    };
    assert_eq!(entry.actor.as_str(), "tokenward");
    let look = scene
        .store
        .tokens_by_digest(vec![wanted.0, token.secrets[0].digest])
        .await?;
    assert!(matches!(look.tokens[..], [Ok(Some(_)), Ok(None)]), "{look:?}");
    Ok(())
}

#[tokio::test]
async fn one_that_fails_is_not_the_last() -> Answer<()> {
    let scene = Scene::start().await?;
    let [first, second, revoked] = [
        scene.issue().await?.record.token,
        scene.issue().await?.record.token,
        scene.issue().await?.record.token,
    ];
    let reason = withdrawal(revoked.create_time).reason;
    scene.authority.revoke(&ask(), revoked.id, reason).await?;
    scene.faulty.nth(1, Call::Token, Fault::Before);
    redigest(&scene, &[of(&first), of(&revoked), of(&second)]).await?;
    let journal = scene.journal().await?;
    let ids: Vec<_> = redigests(&journal)
        .iter()
        .map(|entry| entry.change.token_id())
        .collect();
    assert_eq!(ids, [Some(second.id)]);
    redigest(&scene, &[of(&first)]).await?;
    assert_eq!(
        read(&Arc::clone(&scene.store), first.id).await?.record.secrets[0].pepper,
        PepperId(2)
    );
    Ok(())
}
