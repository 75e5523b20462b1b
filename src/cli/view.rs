//! Answers as they are printed: the API's fields under the API's names, times in RFC 3339, states in words.

mod changes;

use std::collections::BTreeMap;

use comfy_table::Cell;
use data_encoding::HEXLOWER;
use prost_types::Timestamp;
use serde::Serialize;

use super::output::{bad, doubtful, good, text};
use super::policy::Policy;
use crate::proto::v1;
use crate::token::time::spelled;

#[derive(Serialize, Debug)]
pub(super) struct Token {
    pub id: String,
    pub namespace: String,
    pub name: String,
    pub subject: String,
    pub scopes: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub state: String,
    pub create_time: Option<String>,
    pub expire_time: Option<String>,
    pub revoke_time: Option<String>,
    pub revoke_reason: String,
    pub suspend_time: Option<String>,
    pub suspend_reason: String,
    pub networks: Vec<String>,
    /// As `--rate-limit` takes it.
    pub rate_limit: Option<String>,
    pub etag: String,
    pub first_use_time: Option<String>,
    pub last_use_time: Option<String>,
    pub use_count: i64,
    pub secrets: Vec<SecretVersion>,
}

#[derive(Serialize, Debug)]
pub(super) struct SecretVersion {
    pub version: i32,
    pub hint: String,
    pub create_time: Option<String>,
    pub retire_time: Option<String>,
    pub overlap: Option<String>,
    pub first_use_time: Option<String>,
    pub reuse_time: Option<String>,
    pub last_use_time: Option<String>,
}

#[derive(Serialize, Debug)]
pub(super) struct Namespace {
    pub slug: String,
    pub display_name: String,
    pub format: Format,
    pub policy: Policy,
    pub not_before_time: Option<String>,
    pub not_before_reason: String,
    pub create_time: Option<String>,
    pub update_time: Option<String>,
    pub etag: String,
}

#[derive(Serialize, Debug)]
pub(super) struct Format {
    pub prefix: String,
    /// As `--format` takes it.
    pub body: String,
}

#[derive(Serialize, Debug)]
pub(super) struct Entry {
    pub revision: i64,
    pub time: Option<String>,
    pub actor: String,
    pub request_id: String,
    pub namespace: String,
    pub token_id: String,
    pub subject: String,
    pub kind: String,
    /// The canonical bytes: `link` is over these.
    pub body: String,
    pub link: String,
    pub changes: Vec<changes::FieldChange>,
}

impl From<v1::Token> for Token {
    fn from(token: v1::Token) -> Token {
        Token {
            state: state(token.state()),
            id: token.id,
            namespace: token.namespace,
            name: token.name,
            subject: token.subject,
            scopes: token.scopes,
            labels: token.labels.into_iter().collect(),
            create_time: token.create_time.map(time),
            expire_time: token.expire_time.map(time),
            revoke_time: token.revoke_time.map(time),
            revoke_reason: token.revoke_reason,
            suspend_time: token.suspend_time.map(time),
            suspend_reason: token.suspend_reason,
            networks: token.networks,
            rate_limit: token.rate_limit.map(rate_limit),
            etag: token.etag,
            first_use_time: token.first_use_time.map(time),
            last_use_time: token.last_use_time.map(time),
            use_count: token.use_count,
            secrets: token.secrets.into_iter().map(SecretVersion::from).collect(),
        }
    }
}

impl From<v1::SecretVersion> for SecretVersion {
    fn from(secret: v1::SecretVersion) -> SecretVersion {
        SecretVersion {
            version: secret.version,
            hint: secret.hint,
            create_time: secret.create_time.map(time),
            retire_time: secret.retire_time.map(time),
            overlap: secret.overlap.map(span),
            first_use_time: secret.first_use_time.map(time),
            reuse_time: secret.reuse_time.map(time),
            last_use_time: secret.last_use_time.map(time),
        }
    }
}

impl From<v1::Namespace> for Namespace {
    fn from(namespace: v1::Namespace) -> Namespace {
        Namespace {
            slug: namespace.slug,
            display_name: namespace.display_name,
            policy: Policy::from(namespace.policy.unwrap_or_default()),
            not_before_time: namespace.not_before_time.map(time),
            not_before_reason: namespace.not_before_reason,
            format: namespace.format.unwrap_or_default().into(),
            create_time: namespace.create_time.map(time),
            update_time: namespace.update_time.map(time),
            etag: namespace.etag,
        }
    }
}

impl From<v1::SecretFormat> for Format {
    fn from(format: v1::SecretFormat) -> Format {
        use v1::secret_format::Body;
        Format {
            prefix: format.prefix,
            body: match format.body {
                Some(Body::Native(_)) => "native".to_owned(),
                Some(Body::Hex(body)) => format!("hex:{}", body.length),
                Some(Body::Base64url(body)) => format!("base64url:{}", body.length),
                Some(Body::Base62(body)) => format!("base62:{}", body.length),
                None => "unknown".to_owned(),
            },
        }
    }
}

impl From<v1::Entry> for Entry {
    fn from(entry: v1::Entry) -> Entry {
        Entry {
            kind: kind(entry.kind()),
            revision: entry.revision,
            time: entry.time.map(time),
            actor: entry.actor,
            request_id: entry.request_id,
            namespace: entry.namespace,
            token_id: entry.token_id,
            subject: entry.subject,
            body: String::from_utf8_lossy(&entry.body).into_owned(),
            link: HEXLOWER.encode(&entry.link),
            changes: changes::all(entry.changes),
        }
    }
}

impl Token {
    pub(super) const HEADER: &[&str] = &[
        "ID",
        "NAME",
        "SUBJECT",
        "SCOPES",
        "STATE",
        "CREATED",
        "EXPIRES",
        "LAST USED",
        "HINT",
    ];

    pub(super) fn row(&self) -> Vec<Cell> {
        vec![
            text(&self.id),
            text(&self.name),
            text(&self.subject),
            text(&self.scopes.join(" ")),
            self.state_cell(),
            moment(self.create_time.as_deref()),
            moment(self.expire_time.as_deref()),
            moment(self.last_use_time.as_deref()),
            text(self.secrets.last().map_or("", |secret| &secret.hint)),
        ]
    }

    /// What a person wants to know of one token; what is not there is left out.
    pub(super) fn facts(&self) -> Vec<(&'static str, Cell)> {
        let mut facts = vec![
            ("id", text(&self.id)),
            ("namespace", text(&self.namespace)),
            ("subject", text(&self.subject)),
            ("state", self.state_cell()),
            ("created", moment(self.create_time.as_deref())),
            ("expires", moment(self.expire_time.as_deref())),
        ];
        let mut add = |name, value: &str| {
            if !value.is_empty() {
                facts.push((name, text(value)));
            }
        };
        add("name", &self.name);
        add("scopes", &self.scopes.join(" "));
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        add("labels", &labels.join(" "));
        add("revoked", self.revoke_time.as_deref().unwrap_or_default());
        add("reason", &self.revoke_reason);
        add("suspended", self.suspend_time.as_deref().unwrap_or_default());
        add("reason", &self.suspend_reason);
        add("networks", &self.networks.join(" "));
        add("rate limit", self.rate_limit.as_deref().unwrap_or_default());
        add("first used", self.first_use_time.as_deref().unwrap_or_default());
        if let Some(last) = &self.last_use_time {
            add("last used", &format!("{last}, {} times in all", self.use_count));
        }
        for secret in &self.secrets {
            add("secret", &secret.told());
        }
        facts
    }

    fn state_cell(&self) -> Cell {
        match self.state.as_str() {
            "active" => good(&self.state),
            "revoked" => bad(&self.state),
            other => doubtful(other),
        }
    }
}

impl SecretVersion {
    fn told(&self) -> String {
        let made = self.create_time.as_deref().unwrap_or_default();
        let used = match &self.first_use_time {
            Some(time) => Some(format!("first used {time}")),
            None => (self.version > 1).then(|| "never used".to_owned()),
        };
        let overlap = self.overlap.as_ref();
        let last = self.last_use_time.as_ref();
        let facts = [
            Some(format!("{} version {}, made {made}", self.hint, self.version)),
            used,
            last.map(|time| format!("last used {time}")),
            overlap.map(|overlap| format!("ends the one before {overlap} after its first use")),
            self.retire_time.as_ref().map(|time| format!("retires {time}")),
            self.reuse_time
                .as_ref()
                .map(|time| format!("used after that {time}")),
        ];
        facts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Namespace {
    pub(super) const HEADER: &[&str] = &["SLUG", "NAME", "PREFIX", "FORMAT", "CREATED"];

    pub(super) fn row(&self) -> Vec<Cell> {
        vec![
            text(&self.slug),
            text(&self.display_name),
            text(&self.format.prefix),
            text(&self.format.body),
            moment(self.create_time.as_deref()),
        ]
    }

    pub(super) fn facts(&self) -> Vec<(&'static str, Cell)> {
        let mut facts = vec![
            ("slug", text(&self.slug)),
            ("name", text(&self.display_name)),
            ("prefix", text(&self.format.prefix)),
            ("format", text(&self.format.body)),
        ];
        facts.extend(self.policy.facts());
        if let Some(not_before) = &self.not_before_time {
            facts.push(("revoked up to", bad(not_before)));
            facts.push(("because", text(&self.not_before_reason)));
        }
        facts.push(("created", moment(self.create_time.as_deref())));
        facts
    }
}

impl Entry {
    pub(super) const HEADER: &[&str] = &[
        "REVISION",
        "TIME",
        "KIND",
        "NAMESPACE",
        "TOKEN OR SUBJECT",
        "ACTOR",
    ];

    pub(super) fn row(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.revision),
            moment(self.time.as_deref()),
            text(&self.kind),
            text(&self.namespace),
            text(if self.subject.is_empty() {
                &self.token_id
            } else {
                &self.subject
            }),
            text(&self.actor),
        ]
    }
}

fn moment(time: Option<&str>) -> Cell {
    text(time.unwrap_or("never"))
}

/// RFC 3339, with as many digits as there are.
pub(super) fn time(time: Timestamp) -> String {
    match jiff::Timestamp::new(time.seconds, time.nanos) {
        Ok(instant) => instant.to_string(),
        // No server of ours sends one; what it did send is still worth seeing.
        Err(_) => format!("{} s", time.seconds),
    }
}

/// As a person writes it: `1h`.
pub(super) fn span(span: prost_types::Duration) -> String {
    match std::time::Duration::try_from(span) {
        Ok(span) => spelled(span),
        Err(_) => span.to_string(),
    }
}

pub(super) fn rate_limit(limit: v1::RateLimit) -> String {
    let period = span(limit.period.unwrap_or_default());
    format!("{}/{}", limit.requests, period.replace(' ', ""))
}

fn state(state: v1::TokenState) -> String {
    worded(state.as_str_name(), "TOKEN_STATE_")
}

pub(super) fn verdict(verdict: v1::Verdict) -> String {
    worded(verdict.as_str_name(), "VERDICT_")
}

/// How a change came to be in force, as `acknowledged` or `waited_out`.
pub(super) fn propagation(propagation: v1::Propagation) -> String {
    worded(propagation.as_str_name(), "PROPAGATION_")
}

/// As the journal itself names it: `token.revoked`.
fn kind(kind: v1::EntryKind) -> String {
    worded(kind.as_str_name(), "ENTRY_KIND_").replacen('_', ".", 1)
}

/// The name of an enum value without what all values of the enum begin with.
fn worded(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
