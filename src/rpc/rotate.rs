//! TokenService.Rotate.

use super::decode::Fields;
use super::{Api, Problem, ask, convert};
use crate::proto::v1;
use crate::proto::v1::rotate_request::OverlapMode;
use crate::token::caller::Caller;
use crate::token::overlap::Overlap;
use crate::token::time::Span;

pub(super) async fn rotate(
    api: &Api,
    caller: &Caller,
    request: v1::RotateRequest,
) -> Result<v1::RotateResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let token_id = fields.token_id(&request.token_id);
    let overlap = match request.overlap_mode {
        None => Some(None),
        Some(OverlapMode::Overlap(span)) => fields.overlap("overlap", span).map(|span| {
            // Zero is what was always said for none.
            Some(if span == Span::ZERO {
                Overlap::None
            } else {
                Overlap::For(span)
            })
        }),
        Some(OverlapMode::OverlapFromFirstUse(span)) => {
            let span = fields.overlap("overlap_from_first_use", span);
            span.map(|span| Some(Overlap::FromFirstUse(span)))
        }
    };
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
