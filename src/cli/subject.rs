//! `tokenward subject`, and the red button of a namespace: what is said of many tokens at once.

use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;

use super::connect::{ANSWER_BYTES_MAX, Wire};
use super::failure::{Failure, Outcome};
use super::output::{self, doubtful, text};
use super::{Caller, PAGE_SIZE, confirm, repeatable, request_id, spelling, view};
use crate::proto::v1;
use crate::proto::v1::revoke_issued_request::Target;
use crate::proto::v1::subject_service_client::SubjectServiceClient;

#[derive(clap::Subcommand, Debug)]
pub(super) enum SubjectCommand {
    /// Show what is said of a subject
    Get(Name),
    /// List the subjects of a namespace of which something is said
    List {
        /// Slug of the namespace
        #[arg(long, value_name = "SLUG")]
        namespace: String,
    },
    /// Give a subject another plan, or none
    SetPlan {
        #[command(flatten)]
        name: Name,
        /// What it pays for; without it, nothing
        plan: Option<String>,
        /// Makes a retry safe: a UUID, version 4 or 7
        #[arg(long, value_name = "UUID")]
        request_id: Option<String>,
    },
    /// Set how often the tokens of a subject may be used, all together, or that it has no limit of its own
    SetRateLimit {
        #[command(flatten)]
        name: Name,
        /// Such as 1000/1m; without it, as its namespace says
        #[arg(value_name = "N/DURATION", value_parser = spelling::rate_limit)]
        rate_limit: Option<v1::RateLimit>,
    },
    /// Have no token of a subject accepted, until it is resumed
    Suspend {
        #[command(flatten)]
        name: Name,
        /// Why; kept with the subject and told to all who watch
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Makes a retry safe: a UUID, version 4 or 7
        #[arg(long, value_name = "UUID")]
        request_id: Option<String>,
    },
    /// Have its tokens accepted again
    Resume {
        #[command(flatten)]
        name: Name,
        /// Makes a retry safe: a UUID, version 4 or 7
        #[arg(long, value_name = "UUID")]
        request_id: Option<String>,
    },
    /// Revoke all that was issued to a subject up to now, for ever
    RevokeIssued {
        #[command(flatten)]
        name: Name,
        /// Why; kept, and told to all who watch
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// Makes a retry safe: a UUID, version 4 or 7
        #[arg(long, value_name = "UUID")]
        request_id: Option<String>,
    },
}

#[derive(clap::Args, Debug)]
pub(super) struct Name {
    /// Slug of its namespace
    #[arg(long, value_name = "SLUG")]
    namespace: String,
    /// The subject, as in its tokens
    subject: String,
}

#[derive(clap::Args, Debug)]
pub(super) struct RevokeAllArgs {
    /// Slug of the namespace
    slug: String,
    /// Why; kept, and told to all who watch
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not ask: the slug once more
    #[arg(long, value_name = "SLUG")]
    confirm: Option<String>,
    /// Makes a retry safe: a UUID, version 4 or 7
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

type Client = SubjectServiceClient<Wire>;

async fn client(caller: &Caller) -> Result<Client, Failure> {
    let client = SubjectServiceClient::new(caller.connect().await?);
    Ok(client.max_decoding_message_size(ANSWER_BYTES_MAX))
}

pub(super) async fn run(command: SubjectCommand, caller: &Caller) -> Outcome {
    match command {
        SubjectCommand::Get(name) => {
            let request = v1::GetSubjectRequest {
                namespace: name.namespace,
                subject: name.subject,
            };
            let answer = client(caller).await?.get_subject(request).await?.into_inner();
            show(answer.subject, None, caller)
        }
        SubjectCommand::List { namespace } => list(namespace, caller).await,
        SubjectCommand::SetPlan {
            name,
            plan,
            request_id: given,
        } => {
            let request_id = request_id(given);
            let request = v1::UpdateSubjectRequest {
                subject: Some(v1::Subject {
                    namespace: name.namespace,
                    subject: name.subject,
                    plan: plan.unwrap_or_default(),
                    ..Default::default()
                }),
                request_id: request_id.clone(),
                ..Default::default()
            };
            let answer = client(caller).await?.update_subject(request).await;
            let answer = answer.map_err(|status| repeatable(status, &request_id))?;
            show(answer.into_inner().subject, None, caller)
        }
        SubjectCommand::SetRateLimit { name, rate_limit } => {
            let request = v1::SetRateLimitRequest {
                namespace: name.namespace,
                subject: name.subject,
                rate_limit,
                ..Default::default()
            };
            let answer = client(caller).await?.set_rate_limit(request).await?.into_inner();
            let propagation = answer.propagation();
            show(answer.subject, Some(propagation), caller)
        }
        SubjectCommand::Suspend {
            name,
            reason,
            request_id: given,
        } => {
            let request_id = request_id(given);
            let request = v1::SuspendSubjectRequest {
                namespace: name.namespace,
                subject: name.subject,
                reason,
                request_id: request_id.clone(),
            };
            let answer = client(caller).await?.suspend_subject(request).await;
            let answer = answer
                .map_err(|status| repeatable(status, &request_id))?
                .into_inner();
            let propagation = answer.propagation();
            show(answer.subject, Some(propagation), caller)
        }
        SubjectCommand::Resume {
            name,
            request_id: given,
        } => {
            let request_id = request_id(given);
            let request = v1::ResumeSubjectRequest {
                namespace: name.namespace,
                subject: name.subject,
                request_id: request_id.clone(),
            };
            let answer = client(caller).await?.resume_subject(request).await;
            let answer = answer
                .map_err(|status| repeatable(status, &request_id))?
                .into_inner();
            let propagation = answer.propagation();
            show(answer.subject, Some(propagation), caller)
        }
        SubjectCommand::RevokeIssued {
            name,
            reason,
            yes,
            request_id,
        } => {
            if !yes {
                confirm::can_be_asked("revoking is for ever")?;
                let (subject, namespace) = (&name.subject, &name.namespace);
                let question = format!("Revoke all that was issued to {subject} in {namespace}, for ever?");
                if !confirm::confirmed(&question)? {
                    return Err(Failure::new("nothing was revoked"));
                }
            }
            let target = Target::Subject(name.subject);
            revoke(name.namespace, target, reason, request_id, caller).await
        }
    }
}

/// Revokes all tokens of a namespace: it is asked for twice.
pub(super) async fn revoke_all(args: RevokeAllArgs, caller: &Caller) -> Outcome {
    match &args.confirm {
        Some(confirmed) if *confirmed == args.slug => {}
        Some(_) => {
            return Err(
                Failure::usage("--confirm must name the namespace once more").but("nothing was revoked")
            );
        }
        None => {
            if !output::can_ask() {
                let what =
                    "this revokes every token of the namespace, for ever, and nobody can be asked here";
                return Err(Failure::usage(what).but("pass --confirm SLUG to go on without asking"));
            }
            let question = format!(
                "Revoke every token of {} that was ever issued, for ever?",
                args.slug
            );
            if !confirm::confirmed(&question)? || !confirm::typed("Type the slug to go on", &args.slug)? {
                return Err(Failure::new("nothing was revoked"));
            }
        }
    }
    revoke(
        args.slug,
        Target::WholeNamespace(true),
        args.reason,
        args.request_id,
        caller,
    )
    .await
}

async fn revoke(
    namespace: String,
    target: Target,
    reason: String,
    given: Option<String>,
    caller: &Caller,
) -> Outcome {
    let request_id = request_id(given);
    let request = v1::RevokeIssuedRequest {
        namespace,
        target: Some(target),
        reason,
        request_id: request_id.clone(),
    };
    let answer = client(caller).await?.revoke_issued(request).await;
    let answer = answer
        .map_err(|status| repeatable(status, &request_id))?
        .into_inner();
    let revoked = Revoked {
        propagation: view::propagation(answer.propagation()),
        not_before_time: answer.not_before_time.map(view::time),
        cursor: answer.cursor,
    };
    caller.output.print(&revoked, || {
        output::facts(vec![
            (
                "revoked up to",
                text(revoked.not_before_time.as_deref().unwrap_or_default()),
            ),
            ("propagation", text(&revoked.propagation)),
        ])
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn list(namespace: String, caller: &Caller) -> Outcome {
    let mut client = client(caller).await?;
    let mut listing = caller.output.list(Subject::HEADER);
    let mut page_token = String::new();
    loop {
        let request = v1::ListSubjectsRequest {
            namespace: namespace.clone(),
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = client.list_subjects(request).await?.into_inner();
        let subjects: Vec<_> = page.subjects.into_iter().map(Subject::from).collect();
        listing.page(&subjects, Subject::row)?;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    listing.end("subjects")?;
    Ok(ExitCode::SUCCESS)
}

fn show(subject: Option<v1::Subject>, propagation: Option<v1::Propagation>, caller: &Caller) -> Outcome {
    let subject = Subject {
        propagation: propagation.map(view::propagation),
        ..Subject::from(subject.unwrap_or_default())
    };
    caller.output.print(&subject, || output::facts(subject.facts()))?;
    Ok(ExitCode::SUCCESS)
}

/// How far a revocation went.
#[derive(Serialize, Debug)]
struct Revoked {
    not_before_time: Option<String>,
    cursor: String,
    propagation: String,
}

/// A subject as it is printed: the API's fields under the API's names.
#[derive(Serialize, Debug)]
#[expect(clippy::struct_field_names, reason = "they are the API's")]
struct Subject {
    namespace: String,
    subject: String,
    plan: String,
    rate_limit: Option<String>,
    suspend_time: Option<String>,
    suspend_reason: String,
    not_before_time: Option<String>,
    not_before_reason: String,
    create_time: Option<String>,
    update_time: Option<String>,
    etag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    propagation: Option<String>,
}

impl From<v1::Subject> for Subject {
    fn from(subject: v1::Subject) -> Subject {
        Subject {
            namespace: subject.namespace,
            subject: subject.subject,
            plan: subject.plan,
            rate_limit: subject.rate_limit.map(view::rate_limit),
            suspend_time: subject.suspend_time.map(view::time),
            suspend_reason: subject.suspend_reason,
            not_before_time: subject.not_before_time.map(view::time),
            not_before_reason: subject.not_before_reason,
            create_time: subject.create_time.map(view::time),
            update_time: subject.update_time.map(view::time),
            etag: subject.etag,
            propagation: None,
        }
    }
}

impl Subject {
    const HEADER: &[&str] = &["SUBJECT", "PLAN", "SUSPENDED", "REVOKED UP TO", "CHANGED"];

    fn row(&self) -> Vec<Cell> {
        let moment = |time: &Option<String>| text(time.as_deref().unwrap_or_default());
        vec![
            text(&self.subject),
            text(&self.plan),
            doubtful(self.suspend_time.as_deref().unwrap_or_default()),
            moment(&self.not_before_time),
            moment(&self.update_time),
        ]
    }

    /// What is not there is left out.
    fn facts(&self) -> Vec<(&'static str, Cell)> {
        let told = |time: &Option<String>| time.clone().unwrap_or_default();
        let facts = [
            ("subject", self.subject.clone()),
            ("namespace", self.namespace.clone()),
            ("plan", self.plan.clone()),
            ("rate limit", told(&self.rate_limit)),
            ("suspended", told(&self.suspend_time)),
            ("reason", self.suspend_reason.clone()),
            ("revoked up to", told(&self.not_before_time)),
            ("because", self.not_before_reason.clone()),
            ("changed", told(&self.update_time)),
            ("propagation", told(&self.propagation)),
        ];
        let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
        facts.map(|(name, value)| (name, text(&value))).collect()
    }
}
