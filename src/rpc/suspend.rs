//! TokenService.Suspend and TokenService.Resume.

use super::decode::Fields;
use super::{Api, Problem, ask, convert};
use crate::proto::v1;
use crate::token::caller::Caller;
use crate::token::text::Reason;

pub(super) async fn suspend(
    api: &Api,
    caller: &Caller,
    request: v1::SuspendRequest,
) -> Result<v1::SuspendResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let token_id = fields.token_id(&request.token_id);
    let reason = fields.take("reason", Reason::try_from(request.reason));
    let (Some(token_id), Some(reason)) = (token_id, reason) else {
        return Err(fields.problem());
    };
    fields.check()?;
    let suspended = api.authority.suspend(&ask, token_id, reason).await?;
    let reached = api.in_force(suspended.cursor).await?;
    Ok(v1::SuspendResponse {
        token: Some(convert::token(&suspended.record, &*api.clock)),
        cursor: suspended.cursor.to_string(),
        propagation: convert::propagation(reached).into(),
    })
}

pub(super) async fn resume(
    api: &Api,
    caller: &Caller,
    request: v1::ResumeRequest,
) -> Result<v1::ResumeResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let Some(token_id) = fields.token_id(&request.token_id) else {
        return Err(fields.problem());
    };
    fields.check()?;
    let resumed = api.authority.resume(&ask, token_id).await?;
    let reached = api.in_force(resumed.cursor).await?;
    Ok(v1::ResumeResponse {
        token: Some(convert::token(&resumed.record, &*api.clock)),
        cursor: resumed.cursor.to_string(),
        propagation: convert::propagation(reached).into(),
    })
}
