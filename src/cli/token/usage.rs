//! `tokenward usage`: what a token was used for.

use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;

use super::super::failure::Outcome;
use super::super::output::{self, text};
use super::super::{Caller, view};
use crate::proto::v1;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum UsageCommand {
    /// Show when, how often, by whom and from where a token was used
    Get {
        /// Id of the token
        token_id: String,
    },
    /// Forget from where a token, or all tokens of a subject, were used, and with what
    Erase {
        /// Id of the token
        #[arg(required_unless_present = "subject", conflicts_with = "subject")]
        token_id: Option<String>,
        /// All tokens of this subject
        #[arg(long, requires = "namespace")]
        subject: Option<String>,
        /// Slug of its namespace
        #[arg(long, value_name = "SLUG", requires = "subject")]
        namespace: Option<String>,
    },
}

#[derive(Serialize, Debug)]
struct Usage {
    token_id: String,
    first_use_time: Option<String>,
    last_use: Option<Use>,
    last_refusal: Option<Use>,
    counts: Vec<Count>,
    secrets: Vec<Secret>,
    recorded_since: Option<String>,
}

#[derive(Serialize, Debug)]
struct Use {
    time: Option<String>,
    verdict: String,
    secret_version: i32,
    caller: String,
    address_prefix: String,
    user_agent: String,
}

#[derive(Serialize, Debug)]
struct Count {
    verdict: String,
    count: i64,
}

#[derive(Serialize, Debug)]
struct Secret {
    version: i32,
    last_use_time: Option<String>,
}

#[derive(Serialize, Debug)]
struct Erased {
    erased_count: i64,
}

pub(crate) async fn usage(command: UsageCommand, caller: &Caller) -> Outcome {
    let mut client = super::client(caller).await?;
    match command {
        UsageCommand::Get { token_id } => {
            let request = v1::GetUsageRequest { token_id };
            let answer = client.get_usage(request).await?.into_inner();
            let usage = Usage::from(answer.usage.unwrap_or_default());
            caller.output.print(&usage, || output::facts(usage.facts()))?;
        }
        UsageCommand::Erase {
            token_id,
            subject,
            namespace,
        } => {
            let named = subject.zip(namespace);
            let request = v1::EraseUsageRequest {
                token_id: token_id.unwrap_or_default(),
                subject: named.map(|(subject, namespace)| v1::SubjectName { namespace, subject }),
            };
            let erased = client.erase_usage(request).await?.into_inner();
            let erased = Erased {
                erased_count: erased.erased_count,
            };
            let facts = || output::facts(vec![("erased of", text(&tokens(erased.erased_count)))]);
            caller.output.print(&erased, facts)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tokens(count: i64) -> String {
    match count {
        1 => "1 token".to_owned(),
        count => format!("{count} tokens"),
    }
}

impl From<v1::TokenUsage> for Usage {
    fn from(usage: v1::TokenUsage) -> Usage {
        let counts = usage.counts.into_iter().map(|count| Count {
            verdict: view::verdict(count.verdict()),
            count: count.count,
        });
        let secrets = usage.secrets.into_iter().map(|secret| Secret {
            version: secret.version,
            last_use_time: secret.last_use_time.map(view::time),
        });
        Usage {
            token_id: usage.token_id,
            first_use_time: usage.first_use_time.map(view::time),
            last_use: usage.last_use.map(Use::from),
            last_refusal: usage.last_refusal.map(Use::from),
            counts: counts.collect(),
            secrets: secrets.collect(),
            recorded_since: usage.recorded_since.map(view::time),
        }
    }
}

impl From<v1::TokenUse> for Use {
    fn from(seen: v1::TokenUse) -> Use {
        Use {
            verdict: view::verdict(seen.verdict()),
            time: seen.time.map(view::time),
            secret_version: seen.secret_version,
            caller: seen.caller,
            address_prefix: seen.address_prefix,
            user_agent: seen.user_agent,
        }
    }
}

impl Usage {
    fn facts(&self) -> Vec<(&'static str, Cell)> {
        let mut facts = vec![
            ("id", text(&self.token_id)),
            (
                "recorded",
                text(self.recorded_since.as_deref().unwrap_or("not now")),
            ),
            (
                "first used",
                text(self.first_use_time.as_deref().unwrap_or("never")),
            ),
            ("last used", text(&told(self.last_use.as_ref()))),
            ("last refused", text(&told(self.last_refusal.as_ref()))),
        ];
        for count in &self.counts {
            facts.push(("verdicts", text(&format!("{} {}", count.count, count.verdict))));
        }
        for secret in &self.secrets {
            let time = secret.last_use_time.as_deref().unwrap_or("never");
            facts.push((
                "secret",
                text(&format!("version {}, last used {time}", secret.version)),
            ));
        }
        facts
    }
}

/// One use in a line; what is not known is left out.
fn told(seen: Option<&Use>) -> String {
    let Some(seen) = seen else {
        return "never".to_owned();
    };
    let mut told = format!(
        "{} ({}, secret version {})",
        seen.time.as_deref().unwrap_or_default(),
        seen.verdict,
        seen.secret_version
    );
    for (name, value) in [
        (" by", &seen.caller),
        (" from", &seen.address_prefix),
        (" with", &seen.user_agent),
    ] {
        if !value.is_empty() {
            told.push_str(name);
            told.push(' ');
            told.push_str(value);
        }
    }
    told
}
