//! `tokenward audit access`: who called with a token, from where, and what came of it.

use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;

use super::super::failure::Outcome;
use super::super::output::{self, text};
use super::super::{Caller, PAGE_SIZE, view};
use super::{instant, live};
use crate::proto::v1;

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct AccessArgs {
    #[command(subcommand)]
    command: Option<AccessCommand>,
    /// Slug of the namespace whose tokens the calls were about
    #[arg(long, value_name = "SLUG", required = true)]
    namespace: Option<String>,
    #[command(flatten)]
    whose: WhoseArgs,
    /// Only calls that this caller asked about, by the name that records have
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    caller: String,
    /// Only calls that came to this verdict, such as accepted or rate_limited; may be repeated
    #[arg(long, value_name = "VERDICT", value_parser = verdict)]
    verdict: Vec<v1::Verdict>,
    /// Only calls at this instant or later
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Only calls before this instant
    #[arg(long, value_name = "TIME")]
    before: Option<jiff::Timestamp>,
}

#[derive(clap::Args, Debug)]
struct WhoseArgs {
    /// Only calls with the token with this id
    #[arg(long, value_name = "TOKEN_ID", default_value = "", hide_default_value = true)]
    token: String,
    /// Only calls with tokens of this subject
    #[arg(long, default_value = "", hide_default_value = true)]
    subject: String,
}

#[derive(clap::Subcommand, Debug)]
enum AccessCommand {
    /// Forget calls of a token, of a subject, or up to an instant: name one of them at least
    Erase {
        /// Slug of the namespace whose tokens the calls were about
        #[arg(long, value_name = "SLUG")]
        namespace: String,
        #[command(flatten)]
        whose: WhoseArgs,
        /// Only calls before this instant
        #[arg(long, value_name = "TIME")]
        before: Option<jiff::Timestamp>,
    },
}

#[derive(Serialize, Debug)]
struct AccessRecord {
    id: String,
    time: Option<String>,
    namespace: String,
    token_id: String,
    subject: String,
    caller: String,
    verdict: String,
    client_address: String,
    method: String,
    path: String,
    user_agent: String,
}

#[derive(Serialize, Debug)]
struct Erased {
    erased_count: i64,
}

impl AccessRecord {
    const HEADER: &[&str] = &[
        "TIME", "TOKEN", "SUBJECT", "CALLER", "VERDICT", "ADDRESS", "METHOD", "PATH", "AGENT",
    ];

    fn row(&self) -> Vec<Cell> {
        vec![
            text(self.time.as_deref().unwrap_or_default()),
            text(&self.token_id),
            text(&self.subject),
            text(&self.caller),
            text(&self.verdict),
            text(&self.client_address),
            text(&self.method),
            text(&self.path),
            text(&self.user_agent),
        ]
    }
}

impl From<v1::AccessRecord> for AccessRecord {
    fn from(record: v1::AccessRecord) -> AccessRecord {
        AccessRecord {
            verdict: view::verdict(record.verdict()),
            id: record.id,
            time: record.time.map(view::time),
            namespace: record.namespace,
            token_id: record.token_id,
            subject: record.subject,
            caller: record.caller,
            client_address: record.client_address,
            method: record.method,
            path: record.path,
            user_agent: record.user_agent,
        }
    }
}

/// As they are shown, in whatever case.
fn verdict(spelt: &str) -> Result<v1::Verdict, &'static str> {
    let name = format!("VERDICT_{}", spelt.to_uppercase().replace('-', "_"));
    v1::Verdict::from_str_name(&name).ok_or("must be a verdict, such as accepted, revoked or rate_limited")
}

pub(super) async fn run(args: AccessArgs, caller: &Caller) -> Outcome {
    if let Some(AccessCommand::Erase {
        namespace,
        whose,
        before,
    }) = args.command
    {
        return erase(namespace, whose, before, caller).await;
    }
    let mut client = live::client(caller).await?;
    let mut listing = caller.output.list(AccessRecord::HEADER);
    let mut request = v1::ListAccessRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
        namespace: args.namespace.unwrap_or_default(),
        token_id: args.whose.token,
        subject: args.whose.subject,
        caller: args.caller,
        verdicts: args.verdict.into_iter().map(i32::from).collect(),
        time_after: instant(args.from),
        time_before: instant(args.before),
    };
    loop {
        let page = client.list_access(request.clone()).await?.into_inner();
        let records: Vec<_> = page.records.into_iter().map(AccessRecord::from).collect();
        listing.page(&records, AccessRecord::row)?;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    listing.end("records of calls")?;
    Ok(ExitCode::SUCCESS)
}

async fn erase(
    namespace: String,
    whose: WhoseArgs,
    before: Option<jiff::Timestamp>,
    caller: &Caller,
) -> Outcome {
    let mut client = live::client(caller).await?;
    let request = v1::EraseAccessRequest {
        namespace,
        token_id: whose.token,
        subject: whose.subject,
        time_before: instant(before),
    };
    let mut erased = Erased { erased_count: 0 };
    loop {
        let answer = client.erase_access(request.clone()).await?.into_inner();
        erased.erased_count += answer.erased_count;
        if answer.is_done {
            break;
        }
    }
    let count = erased.erased_count.to_string();
    caller
        .output
        .print(&erased, || output::facts(vec![("erased records", text(&count))]))?;
    Ok(ExitCode::SUCCESS)
}
