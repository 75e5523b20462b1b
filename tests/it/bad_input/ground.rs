//! What the malformed requests are about.

use std::error::Error;

use tokenward::journal::cursor::Cursor;
use tokenward::proto::v1;

use crate::server::{Client, Server, hex, native};

/// A UUID of the wrong version for a token.
pub(crate) const V4: &str = "7d444840-9dc0-41d1-b245-5ffdce74fad2";
pub(crate) const NIL: &str = "00000000-0000-0000-0000-000000000000";
/// A UUIDv7 that no server made.
pub(crate) const NOBODY: &str = "019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b";
pub(crate) const DAY: i64 = 24 * 60 * 60;

/// What the requests are about: namespaces `notes` and `tasks` with two tokens each, one revoked.
pub(crate) struct Ground {
    pub(crate) token_id: String,
    pub(crate) revoked_id: String,
    pub(crate) next_token: String,
    pub(crate) next_namespace: String,
    pub(crate) next_entry: String,
    pub(crate) ahead: String,
    pub(crate) foreign: String,
}

impl Ground {
    pub(crate) async fn prepare(client: &mut Client) -> Result<Ground, Box<dyn Error>> {
        client.create_namespace("notes", "kn_", hex(40)).await?;
        client.create_namespace("tasks", "kt_", native()).await?;
        let (token, _) = client.issue("notes", &[]).await?;
        let (revoked, _) = client.issue("notes", &[]).await?;
        client.revoke(&revoked.id).await?;
        let next_token = client.tokens.list(list(|r| r.page_size = 1)).await?.into_inner();
        let request = v1::ListNamespacesRequest {
            page_size: 1,
            ..Default::default()
        };
        let next_namespace = client.namespaces.list_namespaces(request).await?.into_inner();
        let request = v1::ListEntriesRequest {
            page_size: 1,
            ..Default::default()
        };
        let next_entry = client.audit.list_entries(request).await?.into_inner();
        let head = client.audit.get_head(v1::GetHeadRequest {}).await?.into_inner();
        let head = Cursor::parse(&head.cursor)?;
        let ahead = Cursor {
            revision: head.revision.next(),
            ..head
        };
        let other = Server::start()?;
        let foreign = other
            .client()
            .await?
            .audit
            .get_head(v1::GetHeadRequest {})
            .await?;
        Ok(Ground {
            token_id: token.id,
            revoked_id: revoked.id,
            next_token: next_token.next_page_token,
            next_namespace: next_namespace.next_page_token,
            next_entry: next_entry.next_page_token,
            ahead: ahead.to_string(),
            foreign: foreign.into_inner().cursor,
        })
    }
}

pub(crate) fn list(change: impl FnOnce(&mut v1::ListRequest)) -> v1::ListRequest {
    let mut request = v1::ListRequest {
        namespace: "notes".to_owned(),
        ..Default::default()
    };
    change(&mut request);
    request
}

pub(crate) fn scopes(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("s{n}")).collect()
}
