//! Sending the events of namespaces to their endpoints: signed, in order, at least once.

mod client;
mod courier;
mod parts;
mod payload;
mod resolve;
mod round;
mod tally;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::{Clock, Entropy, random};
use crate::store::{Store, StoreError};
use crate::token::secret::Peppers;
use crate::token::webhook::event::EventKind;
use crate::token::webhook::reach::{OutOfReach, Reach};
use crate::token::webhook::signing::SigningSecret;
use crate::token::webhook::url::EndpointUrl;
use crate::token::webhook::{Endpoint, EndpointId};
pub use client::{Answer, Client, EXCERPT_BYTES_MAX, NotSent, client_config};
pub use courier::{Courier, DUTY, LEASE};
pub use resolve::{Resolver, SystemResolver};
pub use round::{HISTORY_KEPT, HISTORY_MAX};
pub use tally::{Outcome, Tally};

/// Signs what it is given, and sends it once.
#[derive(Debug)]
pub struct Sender {
    store: Arc<dyn Store>,
    peppers: Arc<Peppers>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    client: Client,
}

impl Sender {
    pub fn new(
        store: Arc<dyn Store>,
        peppers: Arc<Peppers>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        client: Client,
    ) -> Sender {
        Sender {
            store,
            peppers,
            clock,
            entropy,
            client,
        }
    }

    /// Whether an endpoint may have this URL, as far as the URL says itself.
    pub fn check(&self, url: &EndpointUrl) -> Result<(), OutOfReach> {
        self.reach().check_url(url)
    }

    fn reach(&self) -> &Reach {
        self.client.reach()
    }

    /// Sends one message, with the signatures of all secrets that sign now.
    pub async fn send(&self, endpoint: &Endpoint, event_id: &str, body: String) -> Result<Answer, NotSent> {
        let now = self.clock.now();
        let seconds = now.micros().div_euclid(1_000_000);
        let mut signatures = Vec::new();
        for secret in self.secrets(endpoint).await? {
            signatures.push(secret.sign(event_id, seconds, body.as_bytes()));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("user-agent", concat!("tokenward/", env!("CARGO_PKG_VERSION"))),
            ("webhook-id", event_id),
            ("webhook-timestamp", &seconds.to_string()),
            ("webhook-signature", &signatures.join(" ")),
        ] {
            let value = HeaderValue::from_str(value).map_err(|_| NotSent::Request)?;
            headers.insert(HeaderName::from_static(name), value);
        }
        self.client.post(&endpoint.url, headers, body).await
    }

    /// Sends an endpoint a message that says nothing, whatever it wants to hear of; with the id it was sent under.
    pub async fn send_test(&self, endpoint: &Endpoint) -> (String, Result<Answer, NotSent>) {
        let chance: [u8; 16] = random(&*self.entropy);
        let event_id = format!("evt_{}", data_encoding::HEXLOWER.encode(&chance));
        let body = payload::about_endpoint(EventKind::WebhookTest, endpoint, self.clock.now(), None);
        let answer = self.send(endpoint, &event_id, body).await;
        (event_id, answer)
    }

    async fn secrets(&self, endpoint: &Endpoint) -> Result<Vec<SigningSecret>, NotSent> {
        let kept = self.store.signing(endpoint.id).await.map_err(NotSent::Store)?;
        let mut secrets = Vec::new();
        for version in endpoint.signing_at(self.clock.now()) {
            let sealed = kept.iter().find(|sealed| sealed.version == version.version);
            let sealed = sealed.ok_or(NotSent::SecretGone)?;
            let pepper = self.peppers.with_id(sealed.pepper);
            let pepper = pepper.ok_or(NotSent::PepperGone(sealed.pepper.0))?;
            secrets.push(
                sealed
                    .open(pepper, endpoint.id)
                    .map_err(|_| NotSent::SecretGone)?,
            );
        }
        Ok(secrets)
    }

    /// Keeps the secrets of an endpoint under the current pepper, so that the one before can go.
    async fn reseal(&self, id: EndpointId) -> Result<(), StoreError> {
        let current = self.peppers.current();
        for sealed in self.store.signing(id).await? {
            // Another server may be ahead of this one: its later pepper is not taken back.
            let older = sealed.pepper < current.id();
            let Some(before) = self.peppers.with_id(sealed.pepper).filter(|_| older) else {
                continue;
            };
            let nonce = random(&*self.entropy);
            let anew = sealed.open(before, id);
            let anew = anew.and_then(|secret| secret.seal(current, (id, sealed.version), nonce));
            if let Ok(anew) = anew {
                self.store.reseal(id, sealed.pepper, anew).await?;
            }
        }
        Ok(())
    }
}
