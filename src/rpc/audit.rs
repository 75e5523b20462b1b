//! AuditService: the journal, read.

use super::decode::Fields;
use super::page::{self, ListKey};
use super::{Api, Problem, convert, guard};
use crate::journal::{Change, Entry, Kind, Revision, changes};
use crate::proto::v1;
use crate::store::history::{Place, Search, Wanted};
use crate::token::caller::Caller;
use crate::token::id::{RequestDigest, RequestId, Slug, TokenId};
use crate::token::permission::Right;
use crate::token::text::{Actor, Subject};

/// Kinds that one request may name.
const KINDS_MAX: usize = 32;

pub(super) async fn list_entries(
    api: &Api,
    caller: &Caller,
    request: v1::ListEntriesRequest,
) -> Result<v1::ListEntriesResponse, Problem> {
    let mut fields = Fields::default();
    let arguments = arguments(&request);
    let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
    let list = ListKey::of(api.authority.opaque_key(), &arguments);
    let limit = page::size(&mut fields, request.page_size);
    let request_id = fields.request_id(&request.request_id);
    let page_token = request.page_token.clone();
    let start = start(&mut fields, &request);
    let wanted = wanted(&mut fields, request);
    fields.check()?;
    match &wanted.namespace {
        Some(namespace) => guard::named(caller, Right::AuditRead, namespace)?,
        None => guard::everywhere(caller, Right::AuditRead)?,
    }
    let after = list.position(&page_token, place)?.unwrap_or(start);
    if let Some(request_id) = request_id {
        let entry = of_request(api, request_id, &wanted).await?;
        return answer(api, Vec::from_iter(entry), String::new()).await;
    }
    let search = Search { wanted, after, limit };
    let found = api.store.search(search).await?;
    let next = found.next.map(|place| list.token(&bytes(place)));
    answer(api, found.entries, next.unwrap_or_default()).await
}

/// Where a listing begins.
fn start(fields: &mut Fields, request: &v1::ListEntriesRequest) -> Place {
    let Ok(revision) = u64::try_from(request.after_revision) else {
        fields.wrong("after_revision", "must not be negative");
        return Place::START;
    };
    if revision > 0 && (request.time_after.is_some() || request.time_before.is_some()) {
        fields.wrong("after_revision", "must not be set together with a time");
    }
    Place {
        revision: Revision::new(revision),
        ..Place::START
    }
}

/// The entry that was written for this request, if it is wanted otherwise, too.
async fn of_request(api: &Api, request_id: RequestId, wanted: &Wanted) -> Result<Option<Entry>, Problem> {
    let Some(entry) = api.store.entry_of_request(RequestDigest::of(&request_id)).await? else {
        return Ok(None);
    };
    let token = match entry.change.token_id() {
        Some(id) if wanted.subject.is_some() => api.store.token(id).await?,
        _ => None,
    };
    let subject = token.as_ref().map(|token| &token.record.subject);
    Ok(wanted.matches(&entry, subject).then_some(entry))
}

async fn answer(
    api: &Api,
    entries: Vec<Entry>,
    next_page_token: String,
) -> Result<v1::ListEntriesResponse, Problem> {
    let mut answered = Vec::with_capacity(entries.len());
    for entry in entries {
        let before = match &entry.change {
            change if changes::needs_before(change) => {
                let namespace = change.namespace().clone();
                api.store
                    .namespace_entry_before(namespace, entry.revision)
                    .await?
            }
            _ => None,
        };
        let before = before.as_ref().and_then(|entry| match &entry.change {
            Change::NamespaceCreated(namespace)
            | Change::NamespaceUpdated(namespace)
            | Change::NamespaceIssuedRevoked(namespace) => Some(namespace),
            Change::Token { .. } | Change::Subject { .. } | Change::Webhook(_) => None,
        });
        let changes = changes::of(&entry.change, before);
        answered.push(v1::Entry {
            changes: changes.into_iter().map(convert::field_change).collect(),
            ..convert::entry(entry)
        });
    }
    Ok(v1::ListEntriesResponse {
        entries: answered,
        next_page_token,
    })
}

fn wanted(fields: &mut Fields, request: v1::ListEntriesRequest) -> Wanted {
    let kinds = kinds(fields, &request.kinds);
    let namespace = fields.optional("namespace", request.namespace, Slug::try_from);
    let subject = fields.optional("subject", request.subject, Subject::try_from);
    if subject.is_some() && namespace.is_none() {
        fields.wrong(
            "namespace",
            "must be set where a subject is: a subject is one of a namespace",
        );
    }
    Wanted {
        namespace,
        subject,
        token_id: fields.optional("token_id", request.token_id.as_str(), TokenId::parse),
        actor: fields.optional("actor", request.actor, Actor::try_from),
        kinds,
        from: request
            .time_after
            .and_then(|instant| fields.timestamp("time_after", instant)),
        before: request
            .time_before
            .and_then(|instant| fields.timestamp("time_before", instant)),
    }
}

fn kinds(fields: &mut Fields, asked: &[i32]) -> Vec<Kind> {
    let known = |asked: i32| {
        Kind::ALL
            .into_iter()
            .find(|kind| convert::kind(*kind) as i32 == asked)
    };
    fields.known("kinds", (asked, KINDS_MAX), known, "is no kind of entry")
}

/// What tells a list with these filters from others.
fn arguments(request: &v1::ListEntriesRequest) -> Vec<Vec<u8>> {
    let kinds: Vec<_> = request.kinds.iter().map(i32::to_string).collect();
    vec![
        b"ListEntries".to_vec(),
        request.namespace.clone().into_bytes(),
        request.token_id.clone().into_bytes(),
        request.subject.clone().into_bytes(),
        request.actor.clone().into_bytes(),
        kinds.join(" ").into_bytes(),
        page::instant(request.time_after),
        page::instant(request.time_before),
        request.request_id.clone().into_bytes(),
        request.after_revision.to_be_bytes().to_vec(),
    ]
}

fn bytes(place: Place) -> Vec<u8> {
    [place.time.to_be_bytes(), place.revision.get().to_be_bytes()].concat()
}

fn place(bytes: &[u8]) -> Result<Place, std::array::TryFromSliceError> {
    let (time, revision) = bytes.split_at(bytes.len().min(8));
    Ok(Place {
        time: i64::from_be_bytes(time.try_into()?),
        revision: Revision::new(u64::from_be_bytes(revision.try_into()?)),
    })
}

pub(super) async fn get_head(api: &Api) -> Result<v1::GetHeadResponse, Problem> {
    let head = api.store.head().await?;
    Ok(v1::GetHeadResponse {
        epoch: head.epoch.to_string(),
        revision: convert::revision(head.revision),
        link: head.link.as_bytes().to_vec(),
        oldest_revision: convert::revision(head.oldest),
        cursor: head.cursor().to_string(),
    })
}
