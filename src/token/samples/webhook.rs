//! Endpoints of webhooks, and changes to them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::webhook::event::{EventKind, Events};
use super::super::webhook::url::EndpointUrl;
use super::super::webhook::{Endpoint, EndpointId, Pause, SecretVersion, WebhookChange};
use super::{any_instant, any_slug, any_text, instant, name, slug};

/// The endpoint of this number, of the namespace `notes`.
pub(crate) fn endpoint(number: u8) -> Endpoint {
    Endpoint {
        id: EndpointId::new(instant(0), [number; 10]),
        namespace: slug("notes"),
        url: EndpointUrl::parse("https://hooks.example/notes?a=b").unwrap(),
        events: Events::default(),
        description: name("CRM"),
        pause: None,
        active_since: instant(0),
        secrets: vec![SecretVersion {
            version: 1,
            create_time: instant(0),
            retire_time: None,
        }],
        create_time: instant(0),
        update_time: instant(0),
    }
}

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    let pause = (any_instant(), any_text(0, 500)).prop_map(|(time, reason)| Pause { time, reason });
    let secret = (any::<u32>(), any_instant(), option::of(any_instant()));
    let secret = secret.prop_map(|(version, create_time, retire_time)| SecretVersion {
        version,
        create_time,
        retire_time,
    });
    (
        any::<u8>(),
        any_slug(),
        vec(select(EventKind::ALL.to_vec()), 0..3),
        any_text(0, 200),
        option::of(pause),
        vec(secret, 0..3),
    )
        .prop_map(
            |(number, namespace, kinds, description, pause, secrets)| Endpoint {
                namespace,
                events: Events::of(kinds),
                description,
                pause,
                secrets,
                ..endpoint(number)
            },
        )
}

pub(crate) fn any_webhook_change() -> impl Strategy<Value = WebhookChange> {
    let kinds = vec![
        WebhookChange::Created,
        WebhookChange::Updated,
        WebhookChange::SecretRotated,
        WebhookChange::Paused,
        WebhookChange::Deleted,
    ];
    (any_endpoint(), select(kinds)).prop_map(|(endpoint, change)| change(endpoint))
}
