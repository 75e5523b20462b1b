//! A server that is killed loses what tokens were used for since its last flush, and nothing before that.

use tokenward::proto::v1::{self, Verdict};

use crate::replica::Replica;
use crate::server::{Client, Outcome, hex};
use crate::sized;

const USES: i64 = 50;

async fn count(client: &mut Client, token_id: &str) -> Result<i64, tonic::Status> {
    let token_id = token_id.to_owned();
    let answer = client.tokens.get_usage(v1::GetUsageRequest { token_id }).await?;
    let usage = answer.into_inner().usage.unwrap_or_default();
    let accepted = usage
        .counts
        .iter()
        .find(|count| count.verdict() == Verdict::Accepted);
    Ok(accepted.map_or(0, |accepted| accepted.count))
}

#[tokio::test]
async fn one_flush_is_lost_at_most_when_the_server_is_killed() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = format!("sqlite:{}", folder.path().join("tokenward.db").display());
    let args = ["--store", &store, "--usage-flush", "1s"];
    let mut replica = Replica::start(&args).await?;
    let mut client = replica.client().await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, secret) = client.issue("notes", &[]).await?;
    let mut written = 0;
    for round in 0..sized(3, 30) {
        for _ in 0..USES {
            assert_eq!(client.verdict(&secret).await?, Verdict::Accepted);
        }
        let flushed = written + USES;
        while count(&mut client, &token.id).await? < flushed {
            tokio::task::yield_now().await;
        }
        // Of these some may be flushed, or none.
        for _ in 0..USES {
            assert_eq!(client.verdict(&secret).await?, Verdict::Accepted);
        }
        replica.kill()?;
        replica = Replica::start(&args).await?;
        client = replica.client().await?;
        written = count(&mut client, &token.id).await?;
        assert!(
            (flushed..=flushed + USES).contains(&written),
            "round {round}: {written} uses, {flushed} of them were written before"
        );
    }
    Ok(())
}
