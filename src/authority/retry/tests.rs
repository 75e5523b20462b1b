//! A retry gets the answer of the first for a day; what is not a retry gets nothing.

mod reuse;
mod twice;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::authority::samples::{Scene, laptop, overlap_of, request};
use crate::authority::{Issue, Lifetime, Writer};
use crate::clock::ManualEntropy;
use crate::journal::Origin;
use crate::journal::samples::issue;
use crate::store::faulty::{Call, Faulty, Gate};
use crate::store::samples::{Answer, EPOCH, write};
use crate::token::Token;
use crate::token::caller::Caller;
use crate::token::change::TokenChange;
use crate::token::namespace::Namespace;
use crate::token::policy::{Policy, SelfManagement};
use crate::token::samples::{instant, name, namespace, pepper, scopes, slug, token};
use crate::token::scope::{LabelKey, Labels};
use crate::token::secret::{Pepper, PepperId, Peppers};
use crate::token::text::{Actor, LabelValue, Reason, Subject};

const HOUR: Duration = Duration::from_hours(1);
const INSTANT: Duration = Duration::from_micros(1);

fn reason(text: &str) -> Reason {
    Reason::try_from(text.to_owned()).unwrap()
}

/// Somebody else, who may do as much, and sends the same.
fn stranger(ask: &Ask) -> Ask {
    let actor = Actor::try_from("eve".to_owned()).unwrap();
    Ask {
        caller: Caller::certificate(actor, Arc::new(scopes(&["*"]))),
        ..ask.clone()
    }
}

fn notes_like(text: &str) -> Namespace {
    namespace(text, "kt_")
}

fn shown(answer: Changed<Minted>) -> (Token, String, String) {
    let Minted { token, secret } = answer.record;
    (token, secret.expose().to_owned(), answer.cursor.to_string())
}

fn is_gone(answer: &Result<Changed<Minted>, AuthorityError>, id: TokenId) -> bool {
    matches!(answer, Err(AuthorityError::SecretAlreadyShown { token_id }) if *token_id == id)
}

impl Scene {
    /// Another process on the same store.
    fn again_with(&self, pepper: Peppers) -> Authority {
        let clock = Arc::<crate::clock::ManualClock>::clone(&self.clock);
        let (writer, _) = Writer::spawn(
            Arc::<Faulty>::clone(&self.faulty),
            Arc::<crate::clock::ManualClock>::clone(&clock),
            CancellationToken::new(),
        );
        let entropy = Arc::new(ManualEntropy::seeded(2));
        Authority::new(
            Arc::clone(&self.store),
            writer,
            clock,
            entropy,
            Arc::new(pepper),
            EPOCH,
        )
    }

    /// Writes, past the authority, an Issue of `laptop()` that has this answer.
    async fn forge(&self, ask: &Ask, answer: SealedAnswer) -> Answer<TokenId> {
        let Issue {
            name,
            subject,
            scopes,
            ..
        } = laptop();
        let issued = Token {
            name,
            subject,
            scopes,
            ..token(1)
        };
        let origin = Origin {
            request_id: RequestDigest::of(&ask.request_id.ok_or("no id")?),
            time: instant(0),
            actor: ask.caller.actor(),
        };
        let draft = Draft::of_token(origin, None, TokenChange::Issued(Box::new(issued)))?;
        write(&self.store, draft.with_answer(answer)).await?;
        Ok(token(1).id)
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_shown_what_the_first_was() -> Answer<()> {
    let scene = Scene::start().await?;
    let (issuing, rotating) = (request(), request());
    let issued = shown(scene.authority.issue(&issuing, laptop()).await?);
    let id = issued.0.id;
    assert_eq!(shown(scene.authority.issue(&issuing, laptop()).await?), issued);
    let rotated = shown(scene.authority.rotate(&rotating, id, overlap_of(HOUR)).await?);
    assert_ne!(rotated.1, issued.1);
    // Whatever has become of the token, and whoever answers.
    scene.authority.revoke(&request(), id, reason("lost")).await?;
    let head = scene.store.head().await?;
    scene.clock.advance(HOUR);
    for authority in [&*scene.authority, &scene.again_with(pepper(7))] {
        assert_eq!(shown(authority.issue(&issuing, laptop()).await?), issued);
        assert_eq!(
            shown(authority.rotate(&rotating, id, overlap_of(HOUR)).await?),
            rotated
        );
    }
    assert_eq!(scene.store.head().await?, head);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_a_day_to_the_instant() -> Answer<()> {
    let scene = Scene::start().await?;
    let ask = request();
    let issued = shown(scene.authority.issue(&ask, laptop()).await?);
    let revision = scene.store.head().await?.revision;
    scene.clock.advance(ANSWER_KEPT.saturating_sub(INSTANT));
    assert_eq!(scene.authority.sweep_answers().await?, 0);
    assert_eq!(shown(scene.authority.issue(&ask, laptop()).await?), issued);
    scene.clock.advance(INSTANT);
    assert!(scene.store.answer(revision).await?.is_some());
    assert!(is_gone(&scene.authority.issue(&ask, laptop()).await, issued.0.id));
    assert_eq!(scene.authority.sweep_answers().await?, 1);
    assert_eq!(scene.store.answer(revision).await?, None);
    assert!(is_gone(&scene.authority.issue(&ask, laptop()).await, issued.0.id));
    // What shows no secret is answered for ever.
    let revoking = request();
    let id = issued.0.id;
    let first = scene.authority.revoke(&revoking, id, reason("")).await?;
    scene.clock.advance(ANSWER_KEPT * 2);
    let again = scene.authority.revoke(&revoking, id, reason("")).await?;
    assert_eq!((again.record, again.cursor), (first.record, first.cursor));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn only_what_shows_a_secret_to_a_retry_is_sealed() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = scene.issue().await?.record.token.id;
    scene.rotating(id, HOUR).await??;
    scene.authority.revoke(&request(), id, reason("")).await?;
    scene.clock.advance(ANSWER_KEPT);
    assert_eq!(scene.authority.sweep_answers().await?, 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_sweep_goes_on_until_nothing_is_left() -> Answer<()> {
    let scene = Scene::start().await?;
    let count = u64::from(SWEEP_MAX) + 1;
    let answer = SealedAnswer {
        pepper: PepperId(1),
        sealed: Vec::new(),
        expire_time: instant(0),
    };
    let drafts = (0..count).map(|number| issue(token(number)).with_answer(answer.clone()));
    scene.store.commit(drafts.collect()).await?;
    assert_eq!(scene.authority.sweep_answers().await?, count);
    assert_eq!(scene.faulty.calls(Call::SweepAnswers), 2);
    Ok(())
}

/// Never another secret, and never one that was put there.
#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_open_is_an_error() -> Answer<()> {
    let scene = Scene::start().await?;
    let (of_another, ask) = (request(), request());
    let issued = shown(scene.authority.issue(&of_another, laptop()).await?);
    let revision = scene.store.head().await?.revision;
    let moved = scene.store.answer(revision).await?.ok_or("no answer")?;
    scene.forge(&ask, moved).await?;
    let head = scene.store.head().await?;
    let digest = RequestDigest::of(&ask.request_id.ok_or("no id")?).to_string();
    let altered = scene.authority.issue(&ask, laptop()).await.map(|_| ());
    let Err(AuthorityError::Store(StoreError::Corrupt { what })) = altered else {
        panic!("{altered:?}");
    };
    assert_eq!(
        what,
        format!("the sealed answer to request {digest} does not open")
    );
    // The key of the pepper is another one, and nobody said so.
    let wrong = scene
        .again_with(pepper(8))
        .issue(&of_another, laptop())
        .await
        .map(|_| ());
    assert!(
        matches!(wrong, Err(AuthorityError::Store(StoreError::Corrupt { .. }))),
        "{wrong:?}"
    );
    // While peppers are changed, what the one before has sealed still opens.
    let key = |byte| [byte; Pepper::KEY_BYTES];
    let before = Pepper::new(PepperId(1), &key(7));
    let tag_key = before.tag_key();
    let both = Peppers::new(Pepper::new(PepperId(2), &key(8)), Some(before), &tag_key);
    let again = scene.again_with(both).issue(&of_another, laptop()).await?;
    assert_eq!(again.record.token.id, issued.0.id);
    // One that is known to be another is no reason to worry.
    let later = Peppers::of_one(PepperId(2), &key(8));
    let gone = scene.again_with(later).issue(&of_another, laptop()).await;
    assert!(is_gone(&gone, issued.0.id));
    assert_eq!(scene.store.head().await?, head);
    Ok(())
}

/// What sealed well is still not shown as the answer to what it was not.
#[tokio::test(start_paused = true)]
async fn an_answer_about_another_token_is_an_error() -> Answer<()> {
    let scene = Scene::start().await?;
    let ask = request();
    let request_id = ask.request_id.ok_or("no id")?;
    let secret = Secret::new("kn_other".to_owned());
    let end = instant(9);
    let other = SealedAnswer::seal(pepper(7).current(), &request_id, [0; 24], &token(2), &secret, end)?;
    scene.forge(&ask, other).await?;
    let answer = scene.authority.issue(&ask, laptop()).await.map(|_| ());
    assert!(
        matches!(answer, Err(AuthorityError::Store(StoreError::Corrupt { .. }))),
        "{answer:?}"
    );
    Ok(())
}
