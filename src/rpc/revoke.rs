//! TokenService.Revoke.

use super::decode::Fields;
use super::{Api, Problem, ask, convert};
use crate::proto::v1;
use crate::token::caller::Caller;
use crate::token::text::Reason;

pub(super) async fn revoke(
    api: &Api,
    caller: &Caller,
    request: v1::RevokeRequest,
) -> Result<v1::RevokeResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let token_id = fields.token_id(&request.token_id);
    let reason = fields.take("reason", Reason::try_from(request.reason));
    let (Some(token_id), Some(reason)) = (token_id, reason) else {
        return Err(fields.problem());
    };
    fields.check()?;
    let revoked = api.authority.revoke(&ask, token_id, reason).await?;
    // Also when it was revoked before: whoever did so may have died before it was in force.
    let reached = api.in_force(revoked.cursor).await?;
    Ok(v1::RevokeResponse {
        token: Some(convert::token(&revoked.record, &*api.clock)),
        cursor: revoked.cursor.to_string(),
        propagation: convert::propagation(reached).into(),
    })
}
