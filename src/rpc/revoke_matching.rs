//! TokenService.RevokeMatching.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::decode::Fields;
use super::{Api, Problem, convert, filter, guard, usage};
use crate::authority::{Matching, Run};
use crate::proto::v1;
use crate::proto::v1::revoke_matching_response::Event;
use crate::token::caller::Caller;
use crate::token::id::Slug;
use crate::token::permission::Right;
use crate::token::text::Reason;

/// How often it is said how far an execution is.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// The messages of one call.
pub(super) type Messages = ReceiverStream<Result<v1::RevokeMatchingResponse, Status>>;

/// What is asked for.
struct Asked {
    of: Matching,
    reason: Reason,
    /// The plan to carry out, and how many tokens it revokes; `None`: it is to be made.
    plan: Option<(String, u64)>,
}

pub(super) fn revoke_matching(
    api: &Api,
    caller: Arc<Caller>,
    request: v1::RevokeMatchingRequest,
) -> Result<Messages, Problem> {
    let asked = decode(request)?;
    if let Some(namespace) = &asked.of.namespace {
        for right in [Right::TokensRevoke, Right::TokensList] {
            guard::named(&caller, right, namespace)?;
        }
        if namespace.as_str() == Slug::SYSTEM {
            let mut fields = Fields::default();
            fields.wrong(
                "selector.namespace",
                "must not be system: credentials are revoked one at a time",
            );
            return Err(fields.problem());
        }
    }
    let (messages, receiver) = mpsc::channel(1);
    let api = api.clone();
    let runtime = api.authority.runtime().clone();
    runtime.spawn(async move {
        let last = match carry_out(&api, &caller, asked, &messages).await {
            Ok(event) => Ok(v1::RevokeMatchingResponse { event: Some(event) }),
            Err(problem) => Err(Status::from(problem)),
        };
        // Whoever asked may have left.
        let _ = messages.send(last).await;
    });
    Ok(ReceiverStream::new(receiver))
}

fn decode(request: v1::RevokeMatchingRequest) -> Result<Asked, Problem> {
    let mut fields = Fields::default();
    let v1::TokenSelector {
        namespace,
        filter,
        all_in_namespace,
    } = request.selector.unwrap_or_default();
    let selector = filter::selector(&mut fields, "selector.filter", filter.unwrap_or_default());
    let namespace = fields.optional("selector.namespace", namespace, Slug::try_from);
    let reason = fields.take("reason", Reason::try_from(request.reason));
    fields.check()?;
    let mut fields = Fields::default();
    if namespace.is_none() && selector.ids.is_empty() {
        fields.wrong("selector", "must name a namespace, or token_ids");
    }
    match (selector.narrows(), all_in_namespace) {
        (false, false) => fields.wrong(
            "selector.filter",
            "must say something, unless all_in_namespace is set",
        ),
        (true, true) => fields.wrong(
            "selector.all_in_namespace",
            "must not be set where filter says something",
        ),
        (true, false) | (false, true) => {}
    }
    let plan = if request.validate_only {
        if !request.plan_token.is_empty() || request.expected_count != 0 {
            fields.wrong(
                "validate_only",
                "must not be set together with plan_token or expected_count",
            );
        }
        None
    } else {
        if request.plan_token.is_empty() {
            fields.wrong("plan_token", "must be that of a preview");
        }
        let expected = u64::try_from(request.expected_count);
        let expected = expected.map_err(|_| "must not be negative");
        let expected = fields.take("expected_count", expected);
        expected.map(|expected| (request.plan_token, expected))
    };
    let Some(reason) = reason else {
        return Err(fields.problem());
    };
    fields.check()?;
    Ok(Asked {
        of: Matching { namespace, selector },
        reason,
        plan,
    })
}

async fn carry_out(
    api: &Api,
    caller: &Caller,
    Asked { of, reason, plan }: Asked,
    messages: &mpsc::Sender<Result<v1::RevokeMatchingResponse, Status>>,
) -> Result<Event, Problem> {
    let Some((plan, expected)) = plan else {
        let preview = api.authority.preview(caller, &of).await?;
        return Ok(Event::Preview(v1::MatchingPreview {
            count: convert::count(preview.tokens),
            sample: usage::with_usage(api, &preview.sample).await?,
            plan_token: preview.plan,
            expire_time: Some(convert::timestamp(preview.expire_time)),
        }));
    };
    let mut run = api.authority.begin(caller, &of, &plan, expected).await?;
    let mut told = api.clock.uptime();
    loop {
        // As with every other call, whoever was withdrawn meanwhile goes no further.
        guard::recognised_still(api, caller).await?;
        if !api.authority.go_on(caller, &mut run, &reason).await? {
            api.authority.settle(&mut run, &of).await?;
            break;
        }
        let now = api.clock.uptime();
        if now >= told + api.progress_interval {
            told = now;
            let progress = v1::RevokeMatchingResponse {
                event: Some(Event::Progress(progress(&run))),
            };
            // It also ends where nobody takes what is said: what is left waits for whoever asks again.
            if messages.send(Ok(progress)).await.is_err() {
                break;
            }
        } else if messages.is_closed() {
            break;
        }
    }
    // At or after everything that this run and those before it have done.
    let head = api.store.head().await?;
    let reached = api.in_force(head.cursor()).await?;
    Ok(Event::Done(v1::MatchingDone {
        revoked: convert::count(run.revoked),
        passed_over: convert::count(run.passed_over),
        cursor: head.cursor().to_string(),
        propagation: convert::propagation(reached).into(),
    }))
}

fn progress(run: &Run) -> v1::MatchingProgress {
    v1::MatchingProgress {
        done: convert::count(run.revoked + run.passed_over),
        total: convert::count(run.total),
    }
}
