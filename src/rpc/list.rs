//! TokenService.Get and TokenService.List.

use super::decode::Fields;
use super::page::{self, ListKey};
use super::{Api, Problem, convert, guard};
use crate::authority::TokenQuery;
use crate::proto::v1;
use crate::token::State;
use crate::token::caller::Caller;
use crate::token::id::TokenId;
use crate::token::permission::Right;

pub(super) async fn get(
    api: &Api,
    caller: &Caller,
    request: &v1::GetRequest,
) -> Result<v1::GetResponse, Problem> {
    let mut fields = Fields::default();
    let Some(token_id) = fields.token_id(&request.token_id) else {
        return Err(fields.problem());
    };
    let token = api.authority.token(caller, token_id).await?;
    Ok(v1::GetResponse {
        token: Some(convert::token(&token, &*api.clock)),
    })
}

pub(super) async fn list(
    api: &Api,
    caller: &Caller,
    request: v1::ListRequest,
) -> Result<v1::ListResponse, Problem> {
    let mut fields = Fields::default();
    let list = ListKey::of("List", &[&request.namespace, &request.state.to_string()]);
    let state = state(&mut fields, request.state);
    let size = page::size(&mut fields, request.page_size);
    let Some(namespace) = fields.slug("namespace", request.namespace) else {
        return Err(fields.problem());
    };
    fields.check()?;
    guard::named(caller, Right::TokensList, &namespace)?;
    let after = list.position(&request.page_token, TokenId::from_bytes)?;
    let page = api
        .authority
        .list(TokenQuery {
            namespace,
            state,
            after,
            size,
        })
        .await?;
    Ok(v1::ListResponse {
        tokens: page
            .tokens
            .iter()
            .map(|token| convert::token(token, &*api.clock))
            .collect(),
        next_page_token: page
            .next
            .map(|last| list.token(last.as_bytes()))
            .unwrap_or_default(),
    })
}

fn state(fields: &mut Fields, state: i32) -> Option<State> {
    match v1::TokenState::try_from(state) {
        Ok(v1::TokenState::Unspecified) => None,
        Ok(v1::TokenState::Active) => Some(State::Active),
        Ok(v1::TokenState::Suspended) => Some(State::Suspended),
        Ok(v1::TokenState::Revoked) => Some(State::Revoked),
        Ok(v1::TokenState::Expired) => Some(State::Expired),
        Err(_) => {
            fields.wrong("state", "must be a TokenState");
            None
        }
    }
}
