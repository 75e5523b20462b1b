//! `tokenward audit refused`: who tried what, and was not let.

use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;

use super::super::failure::{Failure, Outcome};
use super::super::output::text;
use super::super::{Caller, PAGE_SIZE, view};
use super::{instant, live};
use crate::proto::v1;

#[derive(clap::Args, Default, Debug)]
pub(crate) struct RefusedArgs {
    /// Only calls that named the namespace with this slug, or one of its tokens
    #[arg(long, value_name = "SLUG", default_value = "", hide_default_value = true)]
    namespace: String,
    /// Only calls that named the token with this id
    #[arg(long, value_name = "TOKEN_ID", default_value = "", hide_default_value = true)]
    token: String,
    /// Only calls of this actor
    #[arg(long, value_name = "ACTOR", default_value = "", hide_default_value = true)]
    actor: String,
    /// Only calls at this instant or later
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Only calls before this instant
    #[arg(long, value_name = "TIME")]
    before: Option<jiff::Timestamp>,
}

impl RefusedArgs {
    /// Those of one token.
    pub(super) fn of_token(namespace: &str, token_id: &str) -> RefusedArgs {
        RefusedArgs {
            namespace: namespace.to_owned(),
            token: token_id.to_owned(),
            ..RefusedArgs::default()
        }
    }
}

#[derive(Serialize, Debug)]
pub(super) struct RefusedCall {
    pub(super) time: Option<String>,
    pub(super) actor: String,
    pub(super) method: String,
    pub(super) reason: String,
    pub(super) namespace: String,
    pub(super) token_id: String,
    pub(super) unrecorded: i64,
}

impl RefusedCall {
    const HEADER: &[&str] = &[
        "TIME",
        "ACTOR",
        "CALL",
        "REASON",
        "NAMESPACE",
        "TOKEN",
        "UNRECORDED",
    ];

    fn row(&self) -> Vec<Cell> {
        vec![
            text(self.time.as_deref().unwrap_or_default()),
            text(&self.actor),
            text(&self.method),
            text(&self.reason),
            text(&self.namespace),
            text(&self.token_id),
            Cell::new(self.unrecorded),
        ]
    }
}

impl From<v1::RefusedCall> for RefusedCall {
    fn from(call: v1::RefusedCall) -> RefusedCall {
        RefusedCall {
            time: call.time.map(view::time),
            actor: call.actor,
            method: call.method,
            reason: call.reason,
            namespace: call.namespace,
            token_id: call.token_id,
            unrecorded: call.unrecorded,
        }
    }
}

pub(super) async fn run(args: RefusedArgs, caller: &Caller) -> Outcome {
    let mut listing = caller.output.list(RefusedCall::HEADER);
    each_page(&args, caller, |calls| Ok(listing.page(&calls, RefusedCall::row)?)).await?;
    listing.end("refused calls")?;
    Ok(ExitCode::SUCCESS)
}

/// Hands over the calls that are meant, a page at a time.
pub(super) async fn each_page(
    args: &RefusedArgs,
    caller: &Caller,
    mut take: impl FnMut(Vec<RefusedCall>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut client = live::client(caller).await?;
    let mut page_token = String::new();
    loop {
        let request = v1::ListRefusedCallsRequest {
            page_size: PAGE_SIZE,
            page_token,
            namespace: args.namespace.clone(),
            token_id: args.token.clone(),
            actor: args.actor.clone(),
            time_after: instant(args.from),
            time_before: instant(args.before),
        };
        let page = client.list_refused_calls(request).await?.into_inner();
        take(page.refused_calls.into_iter().map(RefusedCall::from).collect())?;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}
