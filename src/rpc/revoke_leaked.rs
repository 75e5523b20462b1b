//! TokenService.RevokeLeaked.

use super::decode::Fields;
use super::{Api, Problem};
use crate::authority::Ask;
use crate::proto::v1;
use crate::token::caller::Caller;
use crate::token::secret::Secret;
use crate::token::text::Reason;
use crate::token::verdict::{Need, Refusal, Verdict};
use crate::verify::Consistency;

pub(super) async fn revoke_leaked(
    api: &Api,
    caller: &Caller,
    request: v1::RevokeLeakedRequest,
) -> Result<v1::RevokeLeakedResponse, Problem> {
    let secret = Secret::new(request.secret);
    let mut fields = Fields::default();
    let reason = fields.take("reason", Reason::try_from(request.reason));
    if secret.expose().is_empty() {
        fields.wrong("secret", "must not be empty");
    }
    let Some(reason) = reason else {
        return Err(fields.problem());
    };
    fields.check()?;
    // Not from the cache: what that holds would be answered even where the budget is spent, and so be told apart.
    let judged = api
        .verifier
        .verify(secret, &Need::default(), Consistency::Strong, caller)
        .await?;
    // A secret that has ended can do no harm, and who finds it must not end the one that took its place.
    let has_ended = judged.verdict == Verdict::Refused(Refusal::SecretRetired);
    if let Some(token) = judged.token.filter(|_| !has_ended) {
        let ask = Ask {
            caller: caller.clone(),
            request_id: None,
        };
        api.authority.revoke_leaked(&ask, token.id, reason).await?;
    }
    // For all the same, also for what is revoked already: whoever did so may have died before it was in force.
    let head = api.store.head().await?;
    api.in_force(head.cursor()).await?;
    Ok(v1::RevokeLeakedResponse {})
}
