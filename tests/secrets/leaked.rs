//! Calls that revoke: by the secret itself, which is where it belongs, and by whatever matches, where it does not.

use tokenward::proto::v1;
use tonic::Status;

use crate::Left;
use crate::server::Client;

/// A token that is revoked by its secret.
pub(crate) async fn leak(client: &mut Client, left: &mut Left) -> Result<String, Status> {
    let (_, secret) = client.issue("notes", &[]).await?;
    let last = if secret.ends_with('0') { "1" } else { "0" };
    let mistyped = format!("{}{last}", &secret[..secret.len() - 1]);
    for secret in [
        mistyped,
        format!("{secret}{secret}"),
        secret.clone(),
        secret.clone(),
    ] {
        let request = v1::RevokeLeakedRequest {
            secret,
            reason: "found in a repository".to_owned(),
        };
        left.shown("messages", &request);
        left.shown("messages", &client.tokens.revoke_leaked(request).await?);
    }
    Ok(secret)
}

/// A secret in every field that is for something else.
pub(crate) async fn misplaced(client: &mut Client, secret: &str) -> [Option<Status>; 2] {
    let text = || secret.to_owned();
    let filter = v1::TokenFilter {
        token_ids: vec![text()],
        scope: format!("{secret} "),
        labels: [(format!("{secret} "), text())].into(),
        ..Default::default()
    };
    let matching = v1::RevokeMatchingRequest {
        selector: Some(v1::TokenSelector {
            namespace: text(),
            filter: Some(filter),
            ..Default::default()
        }),
        plan_token: text(),
        ..Default::default()
    };
    let first = client.tokens.revoke_matching(matching).await.err();
    let leaked = v1::RevokeLeakedRequest {
        secret: text(),
        reason: format!("{secret}\0"),
    };
    let second = client.tokens.revoke_leaked(leaked).await.err();
    [first, second]
}
