//! TokenService.Update.

use super::decode::Fields;
use super::{Api, Problem, ask, convert};
use crate::proto::v1;
use crate::token::caller::Caller;
use crate::token::text::Name;
use crate::token::update::{To, Update};

const PATHS: [&str; 6] = [
    "name",
    "scopes",
    "labels",
    "expire_time",
    "networks",
    "rate_limit",
];

pub(super) async fn update(
    api: &Api,
    caller: &Caller,
    request: v1::UpdateRequest,
) -> Result<v1::UpdateResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let token = request.token.unwrap_or_default();
    let token_id = fields.token_id_at("token.id", &token.id);
    let etag = Some(token.etag.clone()).filter(|etag| !etag.is_empty());
    let wanted = format!("one of {}", PATHS.join(", "));
    let mask = fields.mask(request.update_mask, |path| PATHS.contains(&path), &wanted);
    let asked = asked(&mut fields, token, &mask);
    let Some(token_id) = token_id else {
        return Err(fields.problem());
    };
    fields.check()?;
    let updated = api.authority.update(&ask, token_id, etag, asked).await?;
    // What is given is there everywhere once this has answered, as what is taken is gone.
    let reached = api.in_force(updated.cursor).await?;
    Ok(v1::UpdateResponse {
        token: Some(convert::token(&updated.record, &*api.clock)),
        cursor: updated.cursor.to_string(),
        propagation: convert::propagation(reached).into(),
    })
}

fn asked(fields: &mut Fields, token: v1::Token, mask: &[String]) -> Update {
    // Without a mask, whatever is set.
    let wanted = |path: &str, is_set: bool| match mask {
        [] => is_set,
        mask => mask.iter().any(|masked| masked == path),
    };
    let mut update = Update::default();
    if wanted("name", !token.name.is_empty()) {
        update.name = fields.take("token.name", Name::try_from(token.name));
    }
    if wanted("scopes", !token.scopes.is_empty()) {
        update.scopes = fields.scopes("token.scopes", token.scopes);
    }
    if wanted("labels", !token.labels.is_empty()) {
        update.labels = fields.labels_at("token.labels", token.labels);
    }
    if wanted("expire_time", token.expire_time.is_some()) {
        update.expire_time = match token.expire_time {
            None => Some(To(None)),
            Some(end) => fields
                .timestamp("token.expire_time", end)
                .map(|end| To(Some(end))),
        };
    }
    if wanted("networks", !token.networks.is_empty()) {
        update.networks = fields.networks("token.networks", &token.networks);
    }
    if wanted("rate_limit", token.rate_limit.is_some()) {
        update.rate_limit = fields.rate_limit("token.rate_limit", token.rate_limit);
    }
    update
}
