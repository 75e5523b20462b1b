//! Endpoints of webhooks: where the events of a namespace are sent.

use super::{ANSWER_KEPT, Ask, Authority, AuthorityError, Changed, DECISIONS_MAX, Step};
use crate::clock::random;
use crate::journal::{Change, Draft, Entry, Origin, Record, Revision, Stored};
use crate::store::StoreError;
use crate::token::id::{RequestDigest, Slug};
use crate::token::secret::Secret;
use crate::token::text::{Actor, Name, Reason};
use crate::token::time::{Span, Timestamp};
use crate::token::webhook::event::Events;
use crate::token::webhook::signing::{SealedSigning, SigningSecret};
use crate::token::webhook::url::EndpointUrl;
use crate::token::webhook::{
    Endpoint, EndpointId, EndpointUpdate, SecretVersion, StateUpdate, WebhookChange,
};

/// An endpoint by name: its id, and the namespace it must be of.
pub type EndpointName = (Slug, EndpointId);

/// What a new endpoint is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEndpoint {
    pub namespace: Slug,
    pub url: EndpointUrl,
    pub events: Events,
    pub description: Name,
}

/// An endpoint with the newest secret that its events are signed with.
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct Keyed {
    pub endpoint: Endpoint,
    pub secret: Secret,
}

/// Why an endpoint was not changed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("there is no endpoint {0}")]
    NotFound(EndpointId),
    #[error("there are {max} endpoints in namespace {0}, the most there may be", max = Endpoint::COUNT_MAX)]
    TooMany(Slug),
    #[error(
        "the request was carried out before, and its answer is not kept any more: rotate the secret of endpoint {0}"
    )]
    SecretAlreadyShown(EndpointId),
    #[error("the signing secret cannot be sealed")]
    NotSealed,
}

impl Authority {
    /// The endpoint of this name. One of another namespace is not there.
    pub async fn endpoint(&self, (namespace, id): &EndpointName) -> Result<Endpoint, AuthorityError> {
        Ok(self.stored_endpoint(namespace, *id).await?.record)
    }

    /// The endpoints of a namespace, in the order of their creation: few enough for one answer.
    pub async fn endpoints(&self, namespace: Slug) -> Result<Vec<Endpoint>, AuthorityError> {
        self.namespace(namespace.clone()).await?;
        let endpoints = self
            .store
            .endpoints(Some(namespace), EndpointId::BEFORE_ALL, Endpoint::COUNT_MAX)
            .await?;
        let record = |stored: Result<Stored<Endpoint>, _>| Ok(stored.map_err(StoreError::from)?.record);
        endpoints.into_iter().map(record).collect()
    }

    pub async fn create_endpoint(
        &self,
        ask: &Ask,
        new: NewEndpoint,
    ) -> Result<Changed<Keyed>, AuthorityError> {
        let secret = self.new_signing();
        let anew = async {
            ask.caller.check_over_many(&new.namespace)?;
            let origin = self.origin(ask);
            for _ in 0..DECISIONS_MAX {
                if self.endpoints(new.namespace.clone()).await?.len() >= Endpoint::COUNT_MAX as usize {
                    return Err(WebhookError::TooMany(new.namespace.clone()).into());
                }
                let endpoint = self.endpoint_of(&new, origin.time);
                let signing = self.seal(&secret, &endpoint)?;
                let change = WebhookChange::Created(endpoint);
                let draft = Draft::of_webhook(origin.clone(), Revision::ZERO, change).with_signing(signing);
                if let Some(step) = self.commit(draft, endpoint_in).await? {
                    return Ok(step);
                }
            }
            Err(AuthorityError::Contention)
        };
        let step = self.once(ask, anew).await?;
        let same = |change: &WebhookChange| match change {
            WebhookChange::Created(written) => {
                written.namespace == new.namespace
                    && written.url == new.url
                    && written.events == new.events
                    && written.description == new.description
            }
            _ => false,
        };
        self.keyed(step, &secret, same).await
    }

    /// Changes an endpoint, pauses it, or resumes it. `etag`, if given, must be that of the endpoint now.
    pub async fn update_endpoint(
        &self,
        ask: &Ask,
        name: &EndpointName,
        etag: Option<String>,
        update: EndpointUpdate,
    ) -> Result<Changed<Endpoint>, AuthorityError> {
        let decide = |origin: &Origin, before: &Endpoint| match &etag {
            Some(sent) if *sent != before.etag() => Err(AuthorityError::EtagMismatch),
            _ => {
                let after = before.updated(&update, origin.time);
                Ok(after.map(|after| (WebhookChange::Updated(after), None)))
            }
        };
        let step = self.once(ask, self.change_endpoint(ask, name, decide)).await?;
        answered(step, self, |change| match change {
            WebhookChange::Updated(written) => {
                written.id == name.1 && written.updated(&update, written.update_time).is_none()
            }
            _ => false,
        })
    }

    /// Deletes an endpoint with all that is known of its events. Nothing is sent there any more.
    pub async fn delete_endpoint(
        &self,
        ask: &Ask,
        name: &EndpointName,
        etag: Option<String>,
    ) -> Result<Changed<Endpoint>, AuthorityError> {
        let decide = |_: &Origin, before: &Endpoint| match &etag {
            Some(sent) if *sent != before.etag() => Err(AuthorityError::EtagMismatch),
            _ => Ok(Some((WebhookChange::Deleted(before.clone()), None))),
        };
        let step = self.once(ask, self.change_endpoint(ask, name, decide)).await?;
        answered(
            step,
            self,
            |change| matches!(change, WebhookChange::Deleted(written) if written.id == name.1),
        )
    }

    /// Gives an endpoint a new signing secret. The one before signs as well, for `overlap`.
    pub async fn rotate_endpoint_secret(
        &self,
        ask: &Ask,
        name: &EndpointName,
        overlap: Span,
    ) -> Result<Changed<Keyed>, AuthorityError> {
        let secret = self.new_signing();
        let decide = |origin: &Origin, before: &Endpoint| {
            let after = before.rotated(overlap, origin.time);
            let signing = self.seal(&secret, &after)?;
            Ok(Some((WebhookChange::SecretRotated(after), Some(signing))))
        };
        let step = self.once(ask, self.change_endpoint(ask, name, decide)).await?;
        let same = |change: &WebhookChange| match change {
            WebhookChange::SecretRotated(written) => written.id == name.1 && overlap_of(written) == overlap,
            _ => false,
        };
        self.keyed(step, &secret, same).await
    }

    /// Pauses an endpoint although nobody asked for it, once since it was last resumed, whoever sees to it. Nothing, if
    /// it is paused or gone already.
    pub async fn pause_endpoint(&self, id: EndpointId, reason: Reason) -> Result<(), AuthorityError> {
        let time = self.clock.now();
        for _ in 0..DECISIONS_MAX {
            let Some(stored) = self.store.endpoint(id).await? else {
                return Ok(());
            };
            let pause = EndpointUpdate {
                state: Some(StateUpdate::Paused(reason.clone())),
                ..EndpointUpdate::default()
            };
            let Some(after) = stored.record.updated(&pause, time) else {
                return Ok(());
            };
            let active_since = stored.record.active_since.micros().to_be_bytes();
            let what = [&b"webhook paused"[..], id.as_bytes(), &active_since].concat();
            let origin = Origin {
                request_id: RequestDigest::of_program(&what),
                time,
                actor: Actor::own(),
            };
            let draft = Draft::of_webhook(origin, stored.version, WebhookChange::Paused(after));
            if self.commit(draft, endpoint_in).await?.is_some() {
                return Ok(());
            }
        }
        Err(AuthorityError::Contention)
    }

    async fn stored_endpoint(
        &self,
        namespace: &Slug,
        id: EndpointId,
    ) -> Result<Stored<Endpoint>, AuthorityError> {
        let stored = self.store.endpoint(id).await?;
        let own = stored.filter(|stored| stored.record.namespace == *namespace);
        own.ok_or_else(|| WebhookError::NotFound(id).into())
    }

    async fn change_endpoint(
        &self,
        ask: &Ask,
        (namespace, id): &EndpointName,
        decide: impl Fn(
            &Origin,
            &Endpoint,
        ) -> Result<Option<(WebhookChange, Option<SealedSigning>)>, AuthorityError>,
    ) -> Result<Step<Endpoint>, AuthorityError> {
        ask.caller.check_over_many(namespace)?;
        let origin = self.origin(ask);
        for _ in 0..DECISIONS_MAX {
            let stored = self.stored_endpoint(namespace, *id).await?;
            let Some((change, signing)) = decide(&origin, &stored.record)? else {
                return Ok(Step::Unchanged(self.changed(stored.record, stored.version)));
            };
            let draft = Draft::of_webhook(origin.clone(), stored.version, change);
            let draft = match signing {
                Some(signing) => draft.with_signing(signing),
                None => draft,
            };
            if let Some(step) = self.commit(draft, endpoint_in).await? {
                return Ok(step);
            }
        }
        Err(AuthorityError::Contention)
    }

    fn new_signing(&self) -> SigningSecret {
        SigningSecret::new(random(&*self.entropy))
    }

    fn endpoint_of(&self, new: &NewEndpoint, now: Timestamp) -> Endpoint {
        let NewEndpoint {
            namespace,
            url,
            events,
            description,
        } = new.clone();
        Endpoint {
            id: EndpointId::new(now, random(&*self.entropy)),
            namespace,
            url,
            events,
            description,
            pause: None,
            active_since: now,
            secrets: vec![SecretVersion {
                version: 1,
                create_time: now,
                retire_time: None,
            }],
            create_time: now,
            update_time: now,
        }
    }

    /// The newest secret of `endpoint`, as it is kept.
    fn seal(&self, secret: &SigningSecret, endpoint: &Endpoint) -> Result<SealedSigning, AuthorityError> {
        let version = endpoint.next_version() - 1;
        let nonce = random(&*self.entropy);
        let sealed = secret.seal(self.peppers.current(), (endpoint.id, version), nonce);
        sealed.map_err(|_| WebhookError::NotSealed.into())
    }

    /// The answer to a change that gives a secret away: for as long as a retry is answered, from what is kept to sign.
    async fn keyed(
        &self,
        step: Step<Endpoint>,
        secret: &SigningSecret,
        same: impl Fn(&WebhookChange) -> bool,
    ) -> Result<Changed<Keyed>, AuthorityError> {
        let keyed = |endpoint, secret: &SigningSecret| Keyed {
            endpoint,
            secret: secret.text(),
        };
        match step {
            Step::Done(Changed { record, cursor }) | Step::Unchanged(Changed { record, cursor }) => {
                Ok(Changed {
                    record: keyed(record, secret),
                    cursor,
                })
            }
            Step::Repeated(entry) => {
                let endpoint = written(&entry, same)?;
                let kept = self.kept_signing(&entry, &endpoint).await?;
                Ok(self.changed(keyed(endpoint, &kept), entry.revision))
            }
        }
    }

    async fn kept_signing(
        &self,
        entry: &Entry,
        endpoint: &Endpoint,
    ) -> Result<SigningSecret, AuthorityError> {
        let id = endpoint.id;
        let gone = || AuthorityError::from(WebhookError::SecretAlreadyShown(id));
        if entry.time.after(ANSWER_KEPT).unwrap_or(Timestamp::MAX) <= self.clock.now() {
            return Err(gone());
        }
        let version = endpoint.next_version() - 1;
        let mut kept = self.store.signing(id).await?.into_iter();
        let sealed = kept.find(|sealed| sealed.version == version).ok_or_else(gone)?;
        let pepper = self.peppers.with_id(sealed.pepper).ok_or_else(gone)?;
        sealed.open(pepper, id).map_err(|error| {
            AuthorityError::Store(StoreError::Corrupt {
                what: format!("webhook {id}: {error}"),
            })
        })
    }
}

/// How long the secret before signs beside the newest one.
fn overlap_of(endpoint: &Endpoint) -> Span {
    let [before, newest] = &endpoint.secrets[..] else {
        return Span::ZERO;
    };
    let overlap = before.retire_time.map(|end| newest.create_time.until(end));
    overlap
        .and_then(|overlap| Span::try_from(overlap).ok())
        .unwrap_or_default()
}

fn answered(
    step: Step<Endpoint>,
    authority: &Authority,
    same: impl Fn(&WebhookChange) -> bool,
) -> Result<Changed<Endpoint>, AuthorityError> {
    match step {
        Step::Done(changed) | Step::Unchanged(changed) => Ok(changed),
        Step::Repeated(entry) => Ok(authority.changed(written(&entry, same)?, entry.revision)),
    }
}

fn written(entry: &Entry, same: impl Fn(&WebhookChange) -> bool) -> Result<Endpoint, AuthorityError> {
    match &entry.change {
        Change::Webhook(change) if same(change) => Ok(change.endpoint().clone()),
        _ => Err(AuthorityError::RequestIdReused),
    }
}

fn endpoint_in(record: &Record) -> Option<Endpoint> {
    match record {
        Record::Endpoint(endpoint) => Some(endpoint.clone()),
        Record::Token(_) | Record::Namespace(_) | Record::Standing(_) => None,
    }
}
