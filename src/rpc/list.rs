//! TokenService.Get and TokenService.List.

use super::decode::Fields;
use super::page::{self, ListKey};
use super::{Api, Problem, convert, filter, guard, usage};
use crate::authority::{TokenQuery, Total};
use crate::proto::v1;
use crate::token::caller::Caller;
use crate::token::order::{Order, Place};
use crate::token::permission::Right;
use crate::token::selector::States;

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
        token: usage::with_usage(api, [&token]).await?.pop(),
    })
}

pub(super) async fn list(
    api: &Api,
    caller: &Caller,
    request: v1::ListRequest,
) -> Result<v1::ListResponse, Problem> {
    let mut fields = Fields::default();
    let mut selector = filter::selector(&mut fields, "filter", request.filter.unwrap_or_default());
    if let Some(state) = filter::state(&mut fields, "state", request.state) {
        selector.states = selector.states.and(States::of([state]));
    }
    let order = fields.take("order_by", request.order_by.parse::<Order>());
    let size = page::size(&mut fields, request.page_size);
    let namespace = fields.slug("namespace", request.namespace);
    let (Some(namespace), Some(order)) = (namespace, order) else {
        return Err(fields.problem());
    };
    fields.check()?;
    guard::named(caller, Right::TokensList, &namespace)?;
    let asked = serde_json::json!([namespace, selector, order]).to_string();
    let arguments = [&b"List"[..], asked.as_bytes()];
    let list = ListKey::of(api.authority.opaque_key(), &arguments);
    let after = list.position(&request.page_token, |place| {
        serde_json::from_slice::<Place>(place)
    })?;
    let page = api
        .authority
        .list(TokenQuery {
            namespace,
            selector,
            order,
            after,
            size,
            with_total: request.with_total,
        })
        .await?;
    let (total, total_is_exact) = match page.total {
        None => (0, false),
        Some(Total::Exactly(total)) => (total, true),
        Some(Total::AtLeast(total)) => (total, false),
    };
    let next = page.next.map(|place| serde_json::json!(place).to_string());
    Ok(v1::ListResponse {
        tokens: usage::with_usage(api, &page.tokens).await?,
        next_page_token: next.map(|place| list.token(place.as_bytes())).unwrap_or_default(),
        total_estimate: convert::count(total),
        total_is_exact,
    })
}
