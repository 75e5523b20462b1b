//! TokenService.Rotate.

use std::time::Duration;

use super::decode::Fields;
use super::{Api, Problem, ask, convert};
use crate::proto::v1;
use crate::token::caller::Caller;

const OVERLAP_MAX: Duration = Duration::from_hours(30 * 24);

pub(super) async fn rotate(
    api: &Api,
    caller: &Caller,
    request: v1::RotateRequest,
) -> Result<v1::RotateResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let token_id = fields.token_id(&request.token_id);
    let overlap = request.overlap.unwrap_or_default();
    let overlap = fields.duration("overlap", overlap, Duration::ZERO, Some(OVERLAP_MAX));
    let (Some(token_id), Some(overlap)) = (token_id, overlap) else {
        return Err(fields.problem());
    };
    fields.check()?;
    let rotated = api.authority.rotate(&ask, token_id, overlap).await?;
    let reached = api.in_force(rotated.cursor).await?;
    Ok(v1::RotateResponse {
        token: Some(convert::token(&rotated.record.token, &*api.clock)),
        secret: rotated.record.secret.expose().to_owned(),
        cursor: rotated.cursor.to_string(),
        propagation: convert::propagation(reached).into(),
    })
}
