//! The identities file: what callers may do who are known by the name in their certificate.

use std::collections::hash_map::Entry;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::rpc::{Identity, IdentityTable};
use crate::token::id::Slug;
use crate::token::permission::{Permission, Role};
use crate::token::scope::{Scope, Scopes};
use crate::token::text::Actor;

/// Where the file says something that cannot be, and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{path}, line {line}: {wrong}", path = path.display())]
pub struct IdentitiesError {
    path: PathBuf,
    line: usize,
    wrong: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    identity: Vec<Spanned<Row>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    san: Spanned<String>,
    role: Option<Spanned<String>>,
    namespaces: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    permissions: Vec<Spanned<String>>,
}

/// What is wrong, and with which bytes of the file.
type Wrong = (Range<usize>, String);

/// Reads the text of the file at `path`.
pub(super) fn parse(path: &Path, text: &str) -> Result<IdentityTable, IdentitiesError> {
    table(text).map_err(|(bytes, wrong)| IdentitiesError {
        path: path.to_owned(),
        line: 1 + text.bytes().take(bytes.start).filter(|b| *b == b'\n').count(),
        wrong,
    })
}

fn table(text: &str) -> Result<IdentityTable, Wrong> {
    let file: File = toml::from_str(text)
        .map_err(|error| (error.span().unwrap_or_default(), error.message().to_owned()))?;
    let mut table = IdentityTable::new();
    for row in file.identity {
        let at = row.span();
        let row = row.into_inner();
        let name = name(&row.san)?;
        let identity = Identity {
            actor: Actor::try_from(name.clone()).map_err(|error| wrong(&row.san, "san", error))?,
            permissions: Arc::new(permissions(&at, &row)?),
        };
        match table.entry(name) {
            Entry::Vacant(place) => drop(place.insert(Arc::new(identity))),
            Entry::Occupied(_) => return Err(wrong(&row.san, "san", "is there twice: keep one")),
        }
    }
    Ok(table)
}

fn wrong(value: &Spanned<String>, field: &str, what: impl fmt::Display) -> Wrong {
    (value.span(), format!("{field} {:?} {what}", value.get_ref()))
}

/// The name as a certificate is searched for it.
fn name(san: &Spanned<String>) -> Result<String, Wrong> {
    let text = san.get_ref();
    if text.starts_with("spiffe://") {
        return is_spiffe_id(text).then(|| text.clone()).ok_or_else(|| {
            let wanted = "must be a SPIFFE ID such as spiffe://example.org/ns/prod/sa/gateway";
            wrong(san, "san", wanted)
        });
    }
    is_dns_name(text)
        .then(|| text.to_ascii_lowercase())
        .ok_or_else(|| {
            let wanted = "must be a SPIFFE ID such as spiffe://example.org/ns/prod/sa/gateway, or a DNS name \
                      such as gateway.example.org";
            wrong(san, "san", wanted)
        })
}

fn is_spiffe_id(text: &str) -> bool {
    let Some(id) = text.strip_prefix("spiffe://") else {
        return false;
    };
    let mut parts = id.split('/');
    let domain = parts.next().unwrap_or_default();
    let in_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let in_path = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let well_formed = |part: &str| !["", ".", ".."].contains(&part) && part.bytes().all(in_path);
    !domain.is_empty() && domain.bytes().all(in_domain) && parts.all(well_formed)
}

/// One host's: a wildcard would say nothing about who is there.
fn is_dns_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    // A single label would be nobody's, or this program's own name in the journal.
    text.contains('.')
        && text
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(allowed))
}

fn permissions(at: &Range<usize>, row: &Row) -> Result<Scopes, Wrong> {
    let mut scopes = of_role(row)?;
    for permission in &row.permissions {
        Permission::parse(permission.get_ref()).map_err(|error| wrong(permission, "permissions:", error))?;
        let scope = Scope::try_from(permission.get_ref().clone());
        scopes.push(scope.map_err(|error| wrong(permission, "permissions:", error))?);
    }
    if scopes.is_empty() {
        let nothing = "it may do nothing: give it role and namespaces, or permissions";
        return Err((at.clone(), nothing.to_owned()));
    }
    let permissions = Scopes::try_from(scopes);
    permissions.map_err(|error| {
        (
            at.clone(),
            format!("permissions, with those of its role: {error}"),
        )
    })
}

fn of_role(row: &Row) -> Result<Vec<Scope>, Wrong> {
    let (role, namespaces) = match (&row.role, &row.namespaces) {
        (None, None) => return Ok(Vec::new()),
        (None, Some(namespaces)) => {
            let alone = "namespaces say where it has its role: give it one";
            return Err((namespaces.span(), alone.to_owned()));
        }
        (Some(role), namespaces) => {
            let known: Role = role
                .get_ref()
                .parse()
                .map_err(|error| wrong(role, "role", error))?;
            (known, namespaces)
        }
    };
    let reaches: Vec<&Spanned<String>> = namespaces.iter().flat_map(Spanned::get_ref).collect();
    if let (Role::Admin, Some(namespaces)) = (role, namespaces) {
        let everywhere = "an admin is one everywhere: leave namespaces out";
        return Err((namespaces.span(), everywhere.to_owned()));
    }
    if let (Some(text), true) = (&row.role, reaches.is_empty() && role != Role::Admin) {
        return Err(wrong(text, "role", "needs namespaces; [\"*\"] is every one"));
    }
    let mut scopes = Vec::new();
    if role == Role::Admin {
        scopes.extend(role.permissions("*"));
    }
    for reach in reaches {
        if reach.get_ref() != "*" && !Slug::is_slug(reach.get_ref()) {
            return Err(wrong(
                reach,
                "namespaces:",
                "must be the slug of a namespace, or \"*\"",
            ));
        }
        scopes.extend(role.permissions(reach.get_ref()));
    }
    let scopes = scopes.into_iter().map(Scope::try_from);
    scopes
        .collect::<Result<_, _>>()
        .map_err(|error| (row.san.span(), format!("its role: {error}")))
}

#[cfg(test)]
mod tests;
