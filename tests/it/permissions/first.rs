//! The first credential: in a file beside the store, once.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use tokenward::proto::v1;
use tokenward::serve::{Options, Running, StoreAddress};

use crate::admin::Bearer;
use crate::server::{Client, Outcome, stop};

async fn who(
    server: &Running,
    credential: &str,
) -> Result<v1::GetCallerResponse, Box<dyn std::error::Error>> {
    let endpoint = tonic::transport::Endpoint::new(format!("http://{}", server.address()))?;
    let mut client = Client::with(endpoint.connect().await?, Bearer::new(credential));
    Ok(client
        .caller
        .get_caller(v1::GetCallerRequest {})
        .await?
        .into_inner())
}

#[tokio::test]
async fn the_first_start_leaves_one_credential_beside_the_store() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = StoreAddress::Sqlite(folder.path().join("tokenward.db"));
    let options = Options::new(store, SocketAddr::from(([127, 0, 0, 1], 0)));
    let file = folder.path().join("tokenward.db.admin");
    let first = Running::start(options.clone())?;
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let credential = std::fs::read_to_string(&file)?;
    assert!(credential.starts_with("tokenward_"));
    let admin = who(&first, &credential).await?;
    assert_eq!(admin.permissions, ["*"]);
    stop(first).await?;

    // Taken away it stays away, and stays good.
    std::fs::remove_file(&file)?;
    let second = Running::start(options)?;
    assert!(!file.exists());
    assert_eq!(who(&second, &credential).await?, admin);
    stop(second).await
}
