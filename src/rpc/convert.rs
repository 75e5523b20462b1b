//! From facts to messages.

use crate::authority::SubjectName;
use crate::clock::Clock;
use crate::journal::changes::FieldChange;
use crate::journal::{self, Kind};
use crate::membership::Reached;
use crate::proto::v1;
use crate::token::format::{Body, Format};
use crate::token::network::Networks;
use crate::token::policy::{Policy, RateLimit};
use crate::token::scope::{Labels, Scope, Scopes};
use crate::token::standing::Standing;
use crate::token::text::{Plan, Reason, Subject};
use crate::token::time::{Span, Timestamp};
use crate::token::{KeptSecret, State, Token, Withdrawal};

/// The token as a change leaves it; where one is read, what it was used for is told as well.
pub(super) fn token(token: &Token, clock: &dyn Clock) -> v1::Token {
    let (revocation, suspension) = (token.revocation.as_ref(), token.suspension.as_ref());
    v1::Token {
        id: token.id.to_string(),
        namespace: token.namespace.to_string(),
        name: token.name.to_string(),
        subject: token.subject.to_string(),
        scopes: scopes(&token.scopes),
        labels: labels(&token.labels),
        state: state(token.state(clock.now())).into(),
        create_time: Some(timestamp(token.create_time)),
        expire_time: token.expire_time.map(timestamp),
        revoke_time: time_of(revocation),
        revoke_reason: reason_of(revocation),
        secrets: token.secrets.iter().map(secret_version).collect(),
        suspend_time: time_of(suspension),
        suspend_reason: reason_of(suspension),
        networks: networks(token.networks.as_ref()),
        rate_limit: token.rate_limit.map(rate_limit),
        etag: token.etag(),
        first_use_time: None,
        last_use_time: None,
        use_count: 0,
    }
}

fn networks(networks: Option<&Networks>) -> Vec<String> {
    let networks = networks.into_iter().flat_map(Networks::iter);
    networks.map(ToString::to_string).collect()
}

pub(super) fn rate_limit(limit: RateLimit) -> v1::RateLimit {
    v1::RateLimit {
        requests: signed(limit.requests.get()),
        period: Some(duration(limit.period)),
    }
}

pub(super) fn duration(span: Span) -> prost_types::Duration {
    let micros = span.micros();
    prost_types::Duration {
        seconds: micros / 1_000_000,
        nanos: i32::try_from(micros % 1_000_000 * 1000).unwrap_or_default(),
    }
}

/// What the caller of Verify learns of the token; `policy` is that of its namespace.
pub(super) fn verified_token(
    token: &Token,
    secret_version: u32,
    policy: Option<&Policy>,
) -> v1::VerifiedToken {
    let by_default = policy.and_then(|policy| policy.rate_limit_default);
    v1::VerifiedToken {
        id: token.id.to_string(),
        namespace: token.namespace.to_string(),
        name: token.name.to_string(),
        subject: token.subject.to_string(),
        scopes: scopes(&token.scopes),
        labels: labels(&token.labels),
        expire_time: token.expire_time.map(timestamp),
        secret_version: signed(secret_version),
        rate_limit: token.rate_limit.or(by_default).map(rate_limit),
    }
}

/// What is said of a subject, if anything is.
pub(super) fn subject((namespace, subject): &SubjectName, standing: Option<&Standing>) -> v1::Subject {
    let named = v1::Subject {
        namespace: namespace.to_string(),
        subject: subject.to_string(),
        ..Default::default()
    };
    let Some(standing) = standing else {
        return named;
    };
    v1::Subject {
        plan: standing.plan.as_ref().map(Plan::to_string).unwrap_or_default(),
        suspend_time: time_of(standing.suspension.as_ref()),
        suspend_reason: reason_of(standing.suspension.as_ref()),
        not_before_time: time_of(standing.not_before.as_ref()),
        not_before_reason: reason_of(standing.not_before.as_ref()),
        rate_limit: standing.rate_limit.map(rate_limit),
        create_time: Some(timestamp(standing.create_time)),
        update_time: Some(timestamp(standing.update_time)),
        etag: standing.etag(),
        ..named
    }
}

pub(super) fn time_of(withdrawal: Option<&Withdrawal>) -> Option<prost_types::Timestamp> {
    withdrawal.map(|withdrawal| timestamp(withdrawal.time))
}

pub(super) fn reason_of(withdrawal: Option<&Withdrawal>) -> String {
    withdrawal
        .map(|withdrawal| reason(&withdrawal.reason))
        .unwrap_or_default()
}

pub(super) fn entry(entry: journal::Entry) -> v1::Entry {
    v1::Entry {
        revision: revision(entry.revision),
        time: Some(timestamp(entry.time)),
        actor: entry.actor.to_string(),
        request_id: entry.request_id.to_string(),
        namespace: entry.change.namespace().to_string(),
        token_id: entry
            .change
            .token_id()
            .map(|id| id.to_string())
            .unwrap_or_default(),
        kind: kind(entry.change.kind()).into(),
        subject: entry.change.subject().map(Subject::to_string).unwrap_or_default(),
        body: entry.body,
        link: entry.link.as_bytes().to_vec(),
        changes: Vec::new(),
    }
}

pub(super) fn field_change(change: FieldChange) -> v1::FieldChange {
    let text = |value: Option<serde_json::Value>| value.map(|value| value.to_string()).unwrap_or_default();
    v1::FieldChange {
        path: change.path,
        before: text(change.before),
        after: text(change.after),
    }
}

pub(super) fn scopes(scopes: &Scopes) -> Vec<String> {
    scopes.iter().map(Scope::to_string).collect()
}

pub(super) fn timestamp(instant: Timestamp) -> prost_types::Timestamp {
    let micros = instant.micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or_default(),
    }
}

pub(super) fn revision(revision: journal::Revision) -> i64 {
    i64::try_from(revision.get()).unwrap_or(i64::MAX)
}

pub(super) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn reason(reason: &Reason) -> String {
    reason.to_string()
}

fn labels(labels: &Labels) -> std::collections::HashMap<String, String> {
    labels
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn secret_version(kept: &KeptSecret) -> v1::SecretVersion {
    v1::SecretVersion {
        version: signed(kept.version),
        hint: kept.hint.to_string(),
        create_time: Some(timestamp(kept.create_time)),
        retire_time: kept.retire_time.map(timestamp),
        overlap: kept.overlap.map(duration),
        first_use_time: kept.first_use_time.map(timestamp),
        reuse_time: kept.reuse_time.map(timestamp),
        last_use_time: None,
    }
}

fn state(state: State) -> v1::TokenState {
    match state {
        State::Active => v1::TokenState::Active,
        State::Suspended => v1::TokenState::Suspended,
        State::Revoked => v1::TokenState::Revoked,
        State::Expired => v1::TokenState::Expired,
    }
}

pub(super) fn format(format: &Format) -> v1::SecretFormat {
    use v1::secret_format::Body as Shape;
    let body = match format.body {
        Body::Native => Shape::Native(v1::NativeBody {}),
        Body::Hex(length) => Shape::Hex(v1::HexBody {
            length: length.get().into(),
        }),
        Body::Base64Url(length) => Shape::Base64url(v1::Base64UrlBody {
            length: length.get().into(),
        }),
        Body::Base62(length) => Shape::Base62(v1::Base62Body {
            length: length.get().into(),
        }),
    };
    v1::SecretFormat {
        prefix: format.prefix.as_str().to_owned(),
        body: Some(body),
    }
}

pub(super) fn kind(kind: Kind) -> v1::EntryKind {
    match kind {
        Kind::NamespaceCreated => v1::EntryKind::NamespaceCreated,
        Kind::NamespaceUpdated => v1::EntryKind::NamespaceUpdated,
        Kind::TokenIssued => v1::EntryKind::TokenIssued,
        Kind::TokenRotated => v1::EntryKind::TokenRotated,
        Kind::TokenRevoked => v1::EntryKind::TokenRevoked,
        Kind::TokenSuspended => v1::EntryKind::TokenSuspended,
        Kind::TokenResumed => v1::EntryKind::TokenResumed,
        Kind::TokenRedigested => v1::EntryKind::TokenRedigested,
        Kind::TokenImported => v1::EntryKind::TokenImported,
        Kind::TokenUpdated => v1::EntryKind::TokenUpdated,
        Kind::TokenFirstUsed => v1::EntryKind::TokenFirstUsed,
        Kind::TokenRetiredSecretUsed => v1::EntryKind::TokenRetiredSecretUsed,
        Kind::SubjectPlanSet => v1::EntryKind::SubjectPlanSet,
        Kind::SubjectRateLimitSet => v1::EntryKind::SubjectRateLimitSet,
        Kind::SubjectSuspended => v1::EntryKind::SubjectSuspended,
        Kind::SubjectResumed => v1::EntryKind::SubjectResumed,
        Kind::SubjectIssuedRevoked => v1::EntryKind::SubjectIssuedRevoked,
        Kind::NamespaceIssuedRevoked => v1::EntryKind::NamespaceIssuedRevoked,
        Kind::WebhookCreated => v1::EntryKind::WebhookCreated,
        Kind::WebhookUpdated => v1::EntryKind::WebhookUpdated,
        Kind::WebhookSecretRotated => v1::EntryKind::WebhookSecretRotated,
        Kind::WebhookPaused => v1::EntryKind::WebhookPaused,
        Kind::WebhookDeleted => v1::EntryKind::WebhookDeleted,
        Kind::TokenExpiring => v1::EntryKind::TokenExpiring,
        Kind::TokenRotationDue => v1::EntryKind::TokenRotationDue,
        Kind::TokenUnused => v1::EntryKind::TokenUnused,
    }
}

pub(super) fn propagation(reached: Reached) -> v1::Propagation {
    match reached {
        Reached::Acknowledged => v1::Propagation::Acknowledged,
        Reached::WaitedOut => v1::Propagation::WaitedOut,
    }
}
