//! Two servers on one Postgres database, with one pepper.

use std::net::SocketAddr;
use std::path::Path;

use tokenward::clock::SystemEntropy;
use tokenward::journal::cursor::Epoch;
use tokenward::proto::v1;
use tokenward::serve::{Options, Running, StoreAddress, create_pepper};
use tokenward::store::postgres;

use crate::database::Database;
use crate::server::{Client, Outcome, hex};

fn start(database: &Database, pepper: &Path) -> Result<Running, Box<dyn std::error::Error>> {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut options = Options::new(StoreAddress::Postgres(database.url.parse()?), address);
    options.pepper_file = Some(pepper.to_owned());
    Ok(Running::start(options)?)
}

#[tokio::test]
async fn what_one_server_issues_the_other_knows() -> Outcome {
    let database = Database::new().await.map_err(|error| error.to_string())?;
    postgres::migrate(&database.url.parse()?, Epoch::new([1; 16])).await?;
    let folder = tempfile::tempdir()?;
    let pepper = folder.path().join("pepper");
    create_pepper(&pepper, &SystemEntropy)?;
    let servers = [start(&database, &pepper)?, start(&database, &pepper)?];
    let mut here = Client::connect(&servers[0].address().to_string()).await?;
    let mut there = Client::connect(&servers[1].address().to_string()).await?;
    here.create_namespace("notes", "kn_", hex(40)).await?;
    let (token, secret) = here.issue("notes", &["read"]).await?;
    let listed = there.tokens.get(v1::GetRequest {
        token_id: token.id.clone(),
    });
    assert_eq!(listed.await?.into_inner().token.unwrap_or_default().id, token.id);
    assert_eq!(here.verdict(&secret).await?, v1::Verdict::Accepted);
    there.revoke(&token.id).await?;
    assert_ne!(there.verdict(&secret).await?, v1::Verdict::Accepted);
    for server in servers {
        tokio::task::spawn_blocking(|| server.stop()).await??;
    }
    Ok(())
}
