//! AuditService: refused calls and checkpoints.

use super::decode::Fields;
use super::page::{self, ListKey};
use super::{Api, Problem, convert, guard};
use crate::journal::Revision;
use crate::proto::v1;
use crate::store::READ_MAX;
use crate::store::checkpoints::KeptCheckpoint;
use crate::store::refused_calls::RefusedCall;
use crate::token::caller::Caller;
use crate::token::id::{Slug, TokenId};
use crate::token::permission::Right;
use crate::token::text::Actor;
use crate::token::time::Timestamp;

/// Which refused calls are wanted.
struct Wanted {
    namespace: Option<Slug>,
    token_id: Option<TokenId>,
    actor: Option<Actor>,
    from: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Wanted {
    fn matches(&self, call: &RefusedCall) -> bool {
        (self.namespace.is_none() || self.namespace == call.namespace)
            && (self.token_id.is_none() || self.token_id == call.token_id)
            && self.actor.as_ref().is_none_or(|actor| *actor == call.actor)
            && self.from.is_none_or(|from| call.time >= from)
            && self.before.is_none_or(|before| call.time < before)
    }
}

pub(super) async fn list_refused_calls(
    api: &Api,
    caller: &Caller,
    request: v1::ListRefusedCallsRequest,
) -> Result<v1::ListRefusedCallsResponse, Problem> {
    let mut fields = Fields::default();
    let arguments = [
        b"ListRefusedCalls".to_vec(),
        request.namespace.clone().into_bytes(),
        request.token_id.clone().into_bytes(),
        request.actor.clone().into_bytes(),
        page::instant(request.time_after),
        page::instant(request.time_before),
    ];
    let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
    let list = ListKey::of(api.authority.opaque_key(), &arguments);
    let limit = page::size(&mut fields, request.page_size) as usize;
    let wanted = Wanted {
        namespace: fields.optional("namespace", request.namespace, Slug::try_from),
        token_id: fields.optional("token_id", request.token_id.as_str(), TokenId::parse),
        actor: fields.optional("actor", request.actor, Actor::try_from),
        from: request
            .time_after
            .and_then(|instant| fields.timestamp("time_after", instant)),
        before: request
            .time_before
            .and_then(|instant| fields.timestamp("time_before", instant)),
    };
    fields.check()?;
    match &wanted.namespace {
        Some(namespace) => guard::named(caller, Right::AuditRead, namespace)?,
        None => guard::everywhere(caller, Right::AuditRead)?,
    }
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes);
    let start = list.position(&request.page_token, number)?.unwrap_or_default();
    let read = |after| api.store.refused_calls(after, READ_MAX);
    let (calls, next) = page::filtered(limit, (start, READ_MAX), read, |call| wanted.matches(call)).await?;
    Ok(v1::ListRefusedCallsResponse {
        refused_calls: calls.into_iter().map(refused_call).collect(),
        next_page_token: next
            .map(|number| list.token(&number.to_be_bytes()))
            .unwrap_or_default(),
    })
}

pub(super) async fn get_checkpoint(api: &Api) -> Result<v1::GetCheckpointResponse, Problem> {
    let Some(notary) = &api.notary else {
        return Ok(v1::GetCheckpointResponse::default());
    };
    let kept = notary.checkpoint().await?;
    Ok(v1::GetCheckpointResponse {
        checkpoint: Some(checkpoint(kept)),
        verification_key: notary.verifying_key().to_string(),
    })
}

pub(super) async fn list_checkpoints(
    api: &Api,
    request: v1::ListCheckpointsRequest,
) -> Result<v1::ListCheckpointsResponse, Problem> {
    let mut fields = Fields::default();
    let list = ListKey::of(api.authority.opaque_key(), &[b"ListCheckpoints"]);
    let size = page::size(&mut fields, request.page_size);
    fields.check()?;
    let revision = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).map(Revision::new);
    let before = list.position(&request.page_token, revision)?;
    let kept = api.store.checkpoints(before, size).await?;
    let next = kept.last().filter(|_| kept.len() == size as usize);
    let next = next.map(|last| list.token(&last.revision.get().to_be_bytes()));
    Ok(v1::ListCheckpointsResponse {
        checkpoints: kept.into_iter().map(checkpoint).collect(),
        next_page_token: next.unwrap_or_default(),
    })
}

fn refused_call(call: RefusedCall) -> v1::RefusedCall {
    v1::RefusedCall {
        time: Some(convert::timestamp(call.time)),
        actor: call.actor.to_string(),
        method: call.method,
        reason: call.reason,
        namespace: call.namespace.map(|slug| slug.to_string()).unwrap_or_default(),
        token_id: call.token_id.map(|id| id.to_string()).unwrap_or_default(),
        unrecorded: convert::count(call.unrecorded),
    }
}

fn checkpoint(kept: KeptCheckpoint) -> v1::Checkpoint {
    v1::Checkpoint {
        revision: convert::revision(kept.revision),
        time: Some(convert::timestamp(kept.time)),
        note: kept.note,
    }
}
