//! AuditService: the journal, read.

use super::decode::Fields;
use super::page::{self, ListKey};
use super::{Api, Problem, convert, guard};
use crate::journal::Revision;
use crate::proto::v1;
use crate::store::EntryFilter;
use crate::token::caller::Caller;
use crate::token::permission::Right;

pub(super) async fn list_entries(
    api: &Api,
    caller: &Caller,
    request: v1::ListEntriesRequest,
) -> Result<v1::ListEntriesResponse, Problem> {
    let mut fields = Fields::default();
    let (asked_namespace, asked_id) = (request.namespace.clone(), request.token_id.clone());
    let arguments = [
        &b"ListEntries"[..],
        asked_namespace.as_bytes(),
        asked_id.as_bytes(),
    ];
    let list = ListKey::of(api.authority.opaque_key(), &arguments);
    let size = page::size(&mut fields, request.page_size);
    let token_id = match request.token_id.as_str() {
        "" => None,
        text => fields.token_id(text),
    };
    let namespace = match request.namespace {
        text if text.is_empty() => None,
        text => fields.slug("namespace", text),
    };
    fields.check()?;
    match &namespace {
        Some(namespace) => guard::named(caller, Right::AuditRead, namespace)?,
        None => guard::everywhere(caller, Right::AuditRead)?,
    }
    let revision = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).map(Revision::new);
    let after = list.position(&request.page_token, revision)?.unwrap_or_default();
    // One more than wanted tells whether there is a next page.
    let mut entries = api
        .store
        .entries(after, EntryFilter { namespace, token_id }, size + 1)
        .await?;
    let more = entries.len() > size as usize;
    entries.truncate(size as usize);
    let next = entries
        .last()
        .filter(|_| more)
        .map(|last| list.token(&last.revision.get().to_be_bytes()));
    Ok(v1::ListEntriesResponse {
        entries: entries.into_iter().map(convert::entry).collect(),
        next_page_token: next.unwrap_or_default(),
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
