//! `tokenward revoke-matching`: many at once, for ever, so it shows what it is about to do and has the number typed.

use std::process::ExitCode;
use std::time::Duration;

use comfy_table::Cell;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::super::failure::{Failure, Outcome, outcome_unknown};
use super::super::output::{self, text};
use super::super::{Caller, confirm, view};
use super::Client;
use super::filter::FilterArgs;
use crate::proto::v1;
use crate::proto::v1::revoke_matching_response::Event;

#[derive(clap::Args, Debug)]
pub(crate) struct MatchingArgs {
    /// Slug of the namespace whose tokens to revoke; without it, those that --id names
    #[arg(long, value_name = "SLUG", default_value = "", hide_default_value = true)]
    namespace: String,
    #[command(flatten)]
    filter: FilterArgs,
    /// Every token of the namespace
    #[arg(long, requires = "namespace")]
    all_in_namespace: bool,
    /// Why; kept with each token and told to all who watch
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not ask, if there are as many as --expected-count says
    #[arg(long, short, requires = "expected_count")]
    yes: bool,
    /// How many tokens are to be revoked
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    expected_count: Option<i64>,
    /// Only show what would be revoked
    #[arg(long, conflicts_with_all = ["yes", "plan"])]
    preview: bool,
    /// Go on with what was begun before: the plan that was told then
    #[arg(
        long,
        value_name = "PLAN",
        requires = "expected_count",
        allow_hyphen_values = true
    )]
    plan: Option<String>,
}

/// What would be revoked.
#[derive(Serialize, Debug)]
struct Preview {
    count: i64,
    sample: Vec<view::Token>,
    plan: String,
}

/// What was revoked, and how that became true everywhere.
#[derive(Serialize, Debug)]
struct Done {
    revoked: i64,
    passed_over: i64,
    cursor: String,
    propagation: String,
}

pub(crate) async fn revoke_matching(args: MatchingArgs, caller: &Caller) -> Outcome {
    let asks = !args.yes && !args.preview && args.plan.is_none();
    if asks {
        confirm::can_be_asked("revoking is for ever").map_err(|failure| {
            Failure::usage(failure.wrong()).but("pass --preview to look, --yes and --expected-count to go on")
        })?;
    }
    let mut request = v1::RevokeMatchingRequest {
        selector: Some(v1::TokenSelector {
            namespace: args.namespace,
            filter: Some(args.filter.filter()?),
            all_in_namespace: args.all_in_namespace,
        }),
        reason: args.reason,
        ..Default::default()
    };
    let mut client = super::client(caller).await?;
    if let Some(plan) = args.plan {
        request.plan_token = plan;
        request.expected_count = args.expected_count.unwrap_or_default();
        return execute(&mut client, request, caller).await;
    }
    let preview = preview(&mut client, request.clone()).await?;
    if args.preview {
        caller.output.print(&preview, || output::facts(preview.facts()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if asks {
        output::note_table(output::table(
            view::Token::HEADER,
            preview.sample.iter().map(view::Token::row),
        ))?;
        let rest = preview.count - i64::try_from(preview.sample.len()).unwrap_or_default();
        if rest > 0 {
            output::note(&format!("and {rest} more"))?;
        }
    }
    let is_meant = match args.expected_count {
        Some(expected) if expected != preview.count => {
            let count = preview.count;
            return Err(Failure::new(format_args!(
                "{count} tokens would be revoked, not {expected}; nothing was revoked"
            )));
        }
        _ if preview.count == 0 => false,
        _ if args.yes => true,
        _ => confirm::typed(
            "How many tokens are to be revoked, for ever?",
            &preview.count.to_string(),
        )?,
    };
    if !is_meant && (preview.count > 0 || asks) {
        return Err(Failure::new("nothing was revoked"));
    }
    request.plan_token = preview.plan;
    request.expected_count = preview.count;
    execute(&mut client, request, caller).await
}

async fn preview(client: &mut Client, request: v1::RevokeMatchingRequest) -> Result<Preview, Failure> {
    let request = v1::RevokeMatchingRequest {
        validate_only: true,
        ..request
    };
    let mut events = client.revoke_matching(request).await?.into_inner();
    let event = events.message().await?.and_then(|message| message.event);
    let Some(Event::Preview(preview)) = event else {
        return Err(unheard_of());
    };
    Ok(Preview {
        count: preview.count,
        sample: preview.sample.into_iter().map(view::Token::from).collect(),
        plan: preview.plan_token,
    })
}

/// Carries a plan out, and shows how far that is. Where it is cut off, it says how to go on.
async fn execute(client: &mut Client, request: v1::RevokeMatchingRequest, caller: &Caller) -> Outcome {
    let resume = format!(
        "--plan {} --expected-count {}",
        request.plan_token, request.expected_count
    );
    let bar = bar(request.expected_count);
    let ended = follow(client, request, &bar).await;
    bar.finish_and_clear();
    let done = ended.map_err(|status| {
        let unfinished = outcome_unknown(&status);
        let failure = Failure::from(status);
        if unfinished {
            failure.but(format_args!(
                "some may be revoked: go on with the same command and {resume}"
            ))
        } else {
            failure
        }
    })?;
    let Some(done) = done else {
        return Err(unheard_of().but(format_args!("go on with the same command and {resume}")));
    };
    let done = Done {
        propagation: view::propagation(done.propagation()),
        revoked: done.revoked,
        passed_over: done.passed_over,
        cursor: done.cursor,
    };
    caller.output.print(&done, || output::facts(done.facts()))?;
    Ok(ExitCode::SUCCESS)
}

async fn follow(
    client: &mut Client,
    request: v1::RevokeMatchingRequest,
    bar: &ProgressBar,
) -> Result<Option<v1::MatchingDone>, tonic::Status> {
    let mut events = client.revoke_matching(request).await?.into_inner();
    while let Some(message) = events.message().await? {
        match message.event {
            Some(Event::Progress(progress)) => bar.set_position(progress.done.unsigned_abs()),
            Some(Event::Done(done)) => return Ok(Some(done)),
            Some(Event::Preview(_)) | None => {}
        }
    }
    Ok(None)
}

/// Shown on a terminal only, on stderr.
fn bar(total: i64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total.unsigned_abs()), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} revoked, {eta} left")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn unheard_of() -> Failure {
    Failure::new("the server ended the call without an answer")
}

impl Preview {
    fn facts(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("count", Cell::new(self.count)),
            ("plan", text(&self.plan)),
            (
                "sample",
                Cell::new(
                    self.sample
                        .iter()
                        .map(|token| token.id.clone())
                        .collect::<Vec<_>>()
                        .join("\n"),
                ),
            ),
        ]
    }
}

impl Done {
    fn facts(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("revoked", Cell::new(self.revoked)),
            ("passed_over", Cell::new(self.passed_over)),
            ("cursor", text(&self.cursor)),
            ("propagation", text(&self.propagation)),
        ]
    }
}
