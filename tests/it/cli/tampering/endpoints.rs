//! Endpoints of webhooks that were tampered with: where events go is as much a secret's business as who may ask.

use tokenward::clock::random;
use tokenward::journal::cursor::Epoch;
use tokenward::journal::{Draft, Revision};
use tokenward::store::sqlite::SqliteStore;
use tokenward::token::id::Slug;
use tokenward::token::secret::{PepperId, Peppers};
use tokenward::token::text::Name;
use tokenward::token::time::Timestamp;
use tokenward::token::webhook::event::Events;
use tokenward::token::webhook::url::EndpointUrl;
use tokenward::token::webhook::{Endpoint, EndpointId, SecretVersion, WebhookChange};

use super::{Fallible, Journal, NO_CHANGE};
use crate::cli::Outcome;

/// Each tampering, and how the finding goes on after the name of the endpoint.
const TAMPERINGS: [(&str, &str); 6] = [
    (
        "UPDATE webhook_endpoint SET record = json_set(record, '$.url', 'https://eve.example/')",
        "its row does not agree with its entries in url",
    ),
    (
        "UPDATE webhook_endpoint SET version = 6",
        "its row does not agree with its entries in version",
    ),
    (
        "UPDATE webhook_endpoint SET record = json_remove(record, '$.url')",
        "its row cannot be read: missing field `url`",
    ),
    (
        "UPDATE webhook_endpoint SET namespace = 'tasks'",
        "its row cannot be read: its columns do not agree with its record",
    ),
    (
        "DELETE FROM webhook_endpoint",
        "its row is missing, revision 7 was the last to concern it",
    ),
    (
        "UPDATE webhook_endpoint SET id = zeroblob(16), record = json_set(record, '$.id', '00000000-0000-0000-0000-000000000000')",
        "it has a row, but no entry made it",
    ),
];

impl Journal {
    /// Three further entries: 7 makes an endpoint and 8 another one, which 9 deletes.
    async fn add_endpoints(&mut self) -> Fallible<Endpoint> {
        let rows = Peppers::of_one(PepperId(1), &[7; 32]).row_key();
        let store = SqliteStore::open(&self.path("store.db"), Epoch::new([7; 16]), rows).await?;
        let (kept, deleted) = (self.endpoint()?, self.endpoint()?);
        for (change, version) in [
            (WebhookChange::Created(kept.clone()), Revision::ZERO),
            (WebhookChange::Created(deleted.clone()), Revision::ZERO),
            (WebhookChange::Deleted(deleted), Revision::new(8)),
        ] {
            let draft = Draft::of_webhook(self.origin()?, version, change);
            self.commit(&store, draft).await?;
        }
        std::fs::remove_file(self.path("whole.db"))?;
        self.keep_whole().await?;
        Ok(kept)
    }

    fn endpoint(&self) -> Fallible<Endpoint> {
        let time = Timestamp::from_micros(self.now)?;
        Ok(Endpoint {
            id: EndpointId::new(time, random(&self.entropy)),
            namespace: Slug::try_from("notes".to_owned())?,
            url: EndpointUrl::parse("https://hooks.example/notes")?,
            events: Events::default(),
            description: Name::try_from("chat".to_owned())?,
            pause: None,
            active_since: time,
            secrets: vec![SecretVersion {
                version: 1,
                create_time: time,
                retire_time: None,
            }],
            create_time: time,
            update_time: time,
        })
    }
}

#[tokio::test]
async fn a_tampering_with_an_endpoint_is_named() -> Outcome {
    let mut journal = Journal::write().await?;
    let endpoint = journal.add_endpoints().await?;
    let whole = journal.after(NO_CHANGE, &[]).await?;
    assert_eq!((whole.code, whole.err.as_str()), (Some(0), ""), "{whole:?}");
    assert_eq!(whole.json()?["endpoints"], 1);
    for (sql, finding) in TAMPERINGS {
        let said = journal.after(sql, &[]).await?;
        assert_eq!(said.code, Some(1), "{sql}: {said:?}");
        let id = if sql.contains("zeroblob") {
            "00000000-0000-0000-0000-000000000000".to_owned()
        } else {
            endpoint.id.to_string()
        };
        let wanted = format!("tokenward: endpoint {id}: {finding}");
        assert!(said.complaint().starts_with(&wanted), "{sql}: {said:?}");
    }
    Ok(())
}
