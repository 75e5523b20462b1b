//! CallerService.GetCaller.

use super::convert;
use crate::proto::v1;
use crate::token::caller::Caller;

pub(super) fn get_caller(caller: &Caller) -> v1::GetCallerResponse {
    let token = caller.presented().map(|(token, _)| token);
    v1::GetCallerResponse {
        actor: caller.actor().to_string(),
        permissions: convert::scopes(caller.permitted()),
        token_id: token.map(|token| token.id.to_string()).unwrap_or_default(),
        expire_time: token.and_then(|token| token.expire_time).map(convert::timestamp),
    }
}
