//! Secrets that nobody was given, by the thousand: forgeries of native tokens, and of a format without a tag.

use tokenward::clock::{Entropy, ManualEntropy, random};
use tokenward::proto::v1::{self, Verdict};
use tokenward::token::format::{Body, Format, Prefix};
use tokenward::token::secret::{PepperId, Peppers};
use tonic_types::StatusExt;

use super::good::Asks;
use super::{Failure, GROWTH_KIB_MAX, Target};
use crate::fleet::reason;
use crate::server::{Client, Outcome, native};
use crate::sized;

const SEED: u64 = 0x9_0e55;
/// As many as one message may have.
const BATCH: usize = 100;

/// What came of the guesses.
#[derive(Debug, Default)]
struct Guessed {
    unknown: usize,
    /// Calls that were refused because their caller had asked for too many.
    exhausted: usize,
}

async fn guess(client: &mut Client, secrets: Vec<String>, guessed: &mut Guessed) -> Result<(), Failure> {
    let requests = secrets.into_iter().map(|secret| v1::VerifyRequest {
        secret,
        ..Default::default()
    });
    let request = v1::BatchVerifyRequest {
        requests: requests.collect(),
    };
    match client.verification.batch_verify(request).await {
        Ok(answer) => {
            for response in answer.into_inner().responses {
                // A caller that may only verify is not told why.
                assert_eq!(response.verdict(), Verdict::Refused);
                guessed.unknown += 1;
            }
            Ok(())
        }
        Err(status) if reason(&status) == "MISSES_EXHAUSTED" => {
            let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
            assert!(wait.is_some_and(|wait| !wait.is_zero()), "{status:?}");
            guessed.exhausted += 1;
            Ok(())
        }
        Err(status) => Err(status.into()),
    }
}

/// The tag is keyed: whoever lacks the pepper makes one that does not hold, and the store is not asked.
#[tokio::test]
async fn forged_native_tokens_do_not_reach_the_database() -> Outcome {
    let forgeries = sized(20_000, 1_000_000);
    let target = Target::start_as_is().await?;
    target
        .client
        .clone()
        .create_namespace("native", "kt_", native())
        .await?;
    let mut client = target.guesser().await?;
    let format = Format {
        prefix: Prefix::try_from("kt_".to_owned())?,
        body: Body::Native,
    };
    let (not_the_pepper, entropy) = (
        Peppers::of_one(PepperId(1), &[9; 32]),
        ManualEntropy::seeded(SEED),
    );
    let attack = async {
        let mut guessed = Guessed::default();
        for _ in 0..forgeries / BATCH {
            let forge = || format.mint(&not_the_pepper, &mut |bytes| entropy.fill(bytes));
            let secrets = (0..BATCH).map(|_| forge().expose().to_owned()).collect();
            guess(&mut client, secrets, &mut guessed).await?;
        }
        Ok(guessed)
    };
    let (guessed, caused) = target.under("forged native tokens", attack).await?;
    assert_eq!((guessed.unknown, guessed.exhausted), (forgeries, 0));
    assert!(caused.queries < 10, "{caused:?}");
    target.stop().await
}

/// There is nothing to see in them: each has to be looked up, until their caller runs out.
#[tokio::test]
async fn guesses_without_a_tag_run_out() -> Outcome {
    let secrets = sized(5000, 500_000);
    let target = Target::start(&["--misses-burst", "500", "--misses-rate", "1"]).await?;
    let mut client = target.guesser().await?;
    let entropy = ManualEntropy::seeded(SEED);
    let attack = async {
        let mut guessed = Guessed::default();
        for _ in 0..secrets / BATCH {
            let batch = (0..BATCH).map(|_| {
                let [high, low] = [random(&entropy as &dyn Entropy), random(&entropy as &dyn Entropy)];
                format!(
                    "kn_{:020x}{:020x}",
                    u64::from_be_bytes(high),
                    u64::from_be_bytes(low)
                )
            });
            guess(&mut client, batch.collect(), &mut guessed).await?;
        }
        Ok(guessed)
    };
    let (guessed, caused) = target
        .under_while("guesses without a tag", Asks::Store, GROWTH_KIB_MAX, attack)
        .await?;
    assert!(guessed.exhausted > 0 && guessed.unknown >= BATCH, "{guessed:?}");
    // What came back meanwhile is not much, however slow the machine.
    assert!(guessed.unknown <= 1000, "{guessed:?}");
    assert!(caused.queries <= 1000, "{caused:?}");
    target.stop().await
}
