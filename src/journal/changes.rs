//! What an entry changed, field by field, told from its body.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Change;
use crate::token::change::TokenChange;
use crate::token::lifecycle::Notice;
use crate::token::namespace::Namespace;
use crate::token::standing::SubjectChange;
use crate::token::update::Updated;
use crate::token::webhook::WebhookChange;
use crate::token::{Token, Withdrawal};

/// What became of one field; `None`: it was or is not set, or the entry does not say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldChange {
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// What a token has that people care for; of its secrets only what the entry is about.
const OF_A_TOKEN: [&str; 7] = [
    "name",
    "subject",
    "scopes",
    "labels",
    "expire_time",
    "networks",
    "rate_limit",
];

/// The same of an endpoint of webhooks.
const OF_AN_ENDPOINT: [&str; 4] = ["url", "events", "description", "pause"];

/// Whether what it changed can only be told with the state before.
pub fn needs_before(change: &Change) -> bool {
    matches!(
        change,
        Change::NamespaceUpdated(_) | Change::NamespaceIssuedRevoked(_)
    )
}

/// What `change` changed; `before`: what the namespace was, for a change to one.
pub fn of(change: &Change, before: Option<&Namespace>) -> Vec<FieldChange> {
    match change {
        Change::NamespaceCreated(namespace) => of_namespace(None, namespace),
        Change::NamespaceUpdated(namespace) | Change::NamespaceIssuedRevoked(namespace) => {
            before.map_or_else(Vec::new, |before| of_namespace(Some(before), namespace))
        }
        Change::Token { change, .. } => of_token(change),
        Change::Subject { change, .. } => match change {
            SubjectChange::PlanSet(plan) => vec![to("plan", plan)],
            SubjectChange::Suspended(withdrawal) => suspended(withdrawal),
            SubjectChange::Resumed => vec![resumed()],
            SubjectChange::IssuedRevoked(withdrawal) => vec![to("not_before", withdrawal)],
            SubjectChange::RateLimitSet(from_to) => vec![FieldChange {
                before: from_to.from.map(|limit| json!(limit)),
                after: from_to.to.map(|limit| json!(limit)),
                path: "rate_limit".to_owned(),
            }],
        },
        Change::Webhook(change) => of_endpoint(change),
    }
}

fn of_token(change: &TokenChange) -> Vec<FieldChange> {
    match change {
        TokenChange::Issued(token) | TokenChange::Imported(token) => of_new(token),
        TokenChange::Updated(updated) => of_update(updated),
        TokenChange::Rotated {
            secret,
            retire_time,
            beside,
            ..
        } => {
            let mut changes = vec![to("secrets.version", &secret.version)];
            changes.extend(retire_time.map(|end| to("secrets.retire_time", &end)));
            changes.extend(beside.map(|version| to("secrets.beside", &version)));
            changes
        }
        TokenChange::Revoked(withdrawal) => {
            vec![to("state", &"revoked"), to("revoke_reason", &withdrawal.reason)]
        }
        TokenChange::Suspended(withdrawal) => suspended(withdrawal),
        TokenChange::Resumed => vec![resumed()],
        TokenChange::Redigested { version, pepper, .. } => {
            vec![to("secrets.version", version), to("secrets.pepper", &pepper.0)]
        }
        TokenChange::FirstUsed {
            version,
            time,
            retires,
        } => {
            let mut changes = vec![to("secrets.version", version), to("secrets.first_use_time", time)];
            changes.extend(retires.map(|retires| to("secrets.retire_time", &retires.retire_time)));
            changes
        }
        TokenChange::RetiredSecretUsed {
            version,
            time,
            suspension,
        } => {
            let mut changes = vec![to("secrets.version", version), to("secrets.reuse_time", time)];
            changes.extend(suspension.iter().flat_map(suspended));
            changes
        }
        TokenChange::Told(notice) => match notice {
            Notice::Expiring { lead, expire_time } => {
                vec![to("expiring.lead", lead), to("expiring.expire_time", expire_time)]
            }
            Notice::RotationDue {
                version,
                after,
                since,
            } => vec![
                to("rotation_due.version", version),
                to("rotation_due.after", after),
                to("rotation_due.since", since),
            ],
            Notice::Unused { after, since } => vec![to("unused.after", after), to("unused.since", since)],
        },
    }
}

/// What the endpoint became: the entry does not say what it was.
fn of_endpoint(change: &WebhookChange) -> Vec<FieldChange> {
    match change {
        WebhookChange::Created(endpoint)
        | WebhookChange::Updated(endpoint)
        | WebhookChange::Paused(endpoint) => said(&OF_AN_ENDPOINT, &object(endpoint)),
        WebhookChange::SecretRotated(endpoint) => vec![to("secrets", &endpoint.secrets)],
        WebhookChange::Deleted(endpoint) => vec![FieldChange {
            path: "url".to_owned(),
            before: Some(json!(endpoint.url)),
            after: None,
        }],
    }
}

fn of_new(token: &Token) -> Vec<FieldChange> {
    said(&OF_A_TOKEN, &object(token))
}

/// Those of the fields that say something.
fn said(names: &[&str], fields: &Map<String, Value>) -> Vec<FieldChange> {
    let said = names.iter().filter_map(|name| Some((*name, fields.get(*name)?)));
    let said = said.filter(|(_, value)| !is_nothing(value));
    said.map(|(name, value)| to(name, value)).collect()
}

/// Of each field what it was and what it is; one that was so already did not change.
fn of_update(updated: &Updated) -> Vec<FieldChange> {
    let fields = object(updated).into_iter();
    let changed = fields.filter_map(|(path, mut from_to)| {
        let (before, after) = (from_to["from"].take(), from_to["to"].take());
        (before != after).then(|| FieldChange {
            path,
            before: Some(before).filter(|value| !value.is_null()),
            after: Some(after).filter(|value| !value.is_null()),
        })
    });
    changed.collect()
}

fn of_namespace(before: Option<&Namespace>, after: &Namespace) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let before = before.map(object).unwrap_or_default();
    compare("", &before, &object(after), &mut changes);
    // When it was said is the time of the entry.
    changes.retain(|change| !matches!(change.path.as_str(), "slug" | "create_time" | "update_time"));
    changes
}

/// Goes into the policy, whose rules change one by one.
fn compare(
    path: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    changes: &mut Vec<FieldChange>,
) {
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (before, after) = (before.get(name), after.get(name));
        let path = format!("{path}{name}");
        if name == "policy" {
            let rules = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
            compare("policy.", &rules(before), &rules(after), changes);
        } else if before != after {
            let set = |value: Option<&Value>| value.filter(|value| !is_nothing(value)).cloned();
            let (before, after) = (set(before), set(after));
            if before != after {
                changes.push(FieldChange { path, before, after });
            }
        }
    }
}

fn suspended(withdrawal: &Withdrawal) -> Vec<FieldChange> {
    vec![
        FieldChange {
            path: "state".to_owned(),
            before: Some(json!("active")),
            after: Some(json!("suspended")),
        },
        to("suspend_reason", &withdrawal.reason),
    ]
}

fn resumed() -> FieldChange {
    FieldChange {
        path: "state".to_owned(),
        before: Some(json!("suspended")),
        after: Some(json!("active")),
    }
}

fn to(path: &str, value: &impl Serialize) -> FieldChange {
    FieldChange {
        path: path.to_owned(),
        before: None,
        after: Some(json!(value)).filter(|value| !value.is_null()),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn object(record: &impl Serialize) -> Map<String, Value> {
    match json!(record) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::from_to::FromTo;
    use crate::token::id::TokenId;
    use crate::token::policy::Policy;
    use crate::token::samples::{instant, namespace, slug, token, withdrawal};

    fn told(change: &Change, before: Option<&Namespace>) -> Vec<(String, Option<Value>, Option<Value>)> {
        let changes = of(change, before).into_iter();
        changes
            .map(|change| (change.path, change.before, change.after))
            .collect()
    }

    fn of_one(change: TokenChange) -> Vec<(String, Option<Value>, Option<Value>)> {
        let (token_id, namespace): (TokenId, _) = (token(1).id, slug("notes"));
        told(
            &Change::Token {
                token_id,
                namespace,
                change,
            },
            None,
        )
    }

    #[test]
    fn an_update_says_what_was_and_what_is() {
        let updated = Updated {
            name: Some(FromTo {
                from: token(1).name,
                to: token(1).name,
            }),
            expire_time: Some(FromTo {
                from: None,
                to: Some(instant(7)),
            }),
            ..Updated::default()
        };
        let end = Some(json!(instant(7)));
        assert_eq!(
            of_one(TokenChange::Updated(Box::new(updated))),
            [("expire_time".to_owned(), None, end)]
        );
    }

    #[test]
    fn a_namespace_is_compared_rule_by_rule() {
        let before = namespace("notes", "kn_");
        let mut after = before.clone();
        after.policy = Policy {
            name_required: !before.policy.name_required,
            ..before.policy.clone()
        };
        after.update_time = instant(9);
        let change = Change::NamespaceUpdated(after);
        assert!(needs_before(&change));
        let changes = told(&change, Some(&before));
        let paths: Vec<_> = changes.iter().map(|(path, ..)| path.as_str()).collect();
        assert_eq!(paths, ["policy.name_required"]);
        assert_eq!(told(&change, None), []);
        let created = told(&Change::NamespaceCreated(before), None);
        assert!(created.iter().any(|(path, ..)| path == "format"), "{created:?}");
    }

    #[test]
    fn nothing_that_is_told_of_a_new_token_is_of_its_secret() {
        let issued = of_one(TokenChange::Issued(Box::new(token(1))));
        let paths: Vec<_> = issued.iter().map(|(path, ..)| path.as_str()).collect();
        assert!(paths.contains(&"subject") && paths.contains(&"name"), "{paths:?}");
        assert!(paths.iter().all(|path| OF_A_TOKEN.contains(path)), "{paths:?}");
        let revoked = of_one(TokenChange::Revoked(withdrawal(instant(1))));
        assert_eq!(revoked[0], ("state".to_owned(), None, Some(json!("revoked"))));
    }
}
