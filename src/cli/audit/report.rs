//! `tokenward audit report`: the story of a token, for the incident file.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;

use super::super::failure::{Failure, Outcome};
use super::super::output::{self, Output};
use super::super::{Caller, view};
use super::found::Report as Verified;
use super::kept::KeptArgs;
use super::list::ListArgs;
use super::proof::ProofArgs;
use super::refused::{RefusedArgs, RefusedCall};
use super::{list, live, refused};
use crate::proto::v1;
use crate::proto::v1::token_service_client::TokenServiceClient;

#[derive(clap::Args, Debug)]
pub(crate) struct ReportArgs {
    /// Id of the token
    token_id: String,
    #[command(flatten)]
    proof: ProofArgs,
    /// Do not check the journal, which reads it from end to end
    #[arg(long, conflicts_with_all = ["checkpoint", "key"])]
    no_verify: bool,
}

/// All there is to say.
#[derive(Serialize, Debug)]
struct Story {
    token: view::Token,
    entries: Vec<view::Entry>,
    refused_calls: Vec<RefusedCall>,
    journal: Option<Verified>,
    /// Why the journal was not checked.
    journal_not_checked: Option<String>,
}

pub(super) async fn run(args: ReportArgs, caller: &Caller) -> Outcome {
    let mut client = TokenServiceClient::new(caller.connect().await?);
    let token_id = args.token_id.clone();
    let answer = client.get(v1::GetRequest { token_id }).await?.into_inner();
    let token = answer
        .token
        .ok_or_else(|| Failure::new("the server answered without a token"))?;
    let token = view::Token::from(token);
    let about = ListArgs::of_token(&token.namespace, &token.id);
    let mut entries = Vec::new();
    list::each_page(&about, caller, |page| {
        entries.extend(page);
        Ok(())
    })
    .await?;
    let about = RefusedArgs::of_token(&token.namespace, &token.id);
    let mut refused_calls = Vec::new();
    refused::each_page(&about, caller, |page| {
        refused_calls.extend(page);
        Ok(())
    })
    .await?;
    let (journal, journal_not_checked) = if args.no_verify {
        (None, Some("it was not asked for".to_owned()))
    } else {
        match live::report(&KeptArgs::of(args.proof.clone()), caller).await {
            Ok(verified) => (Some(verified), None),
            // Who may read one namespace may not read them all.
            Err(failure) => (None, Some(failure.wrong().to_owned())),
        }
    };
    let story = Story {
        token,
        entries,
        refused_calls,
        journal,
        journal_not_checked,
    };
    match caller.output {
        Output::Json => output::json(&story)?,
        Output::Table => output::line(story.markdown().trim_end())?,
    }
    let tampered = story.journal.as_ref().is_some_and(|journal| !journal.intact);
    Ok(if tampered {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

impl Story {
    fn markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        let token = &self.token;
        writeln!(to, "# Token {}\n", token.id)?;
        for (name, value) in [
            ("namespace", token.namespace.as_str()),
            ("name", &token.name),
            ("subject", &token.subject),
            ("scopes", &token.scopes.join(" ")),
            ("state", &token.state),
            ("created", token.create_time.as_deref().unwrap_or_default()),
            ("expires", token.expire_time.as_deref().unwrap_or("never")),
            ("suspended", token.suspend_time.as_deref().unwrap_or_default()),
            ("suspended because", &token.suspend_reason),
            ("revoked", token.revoke_time.as_deref().unwrap_or_default()),
            ("revoked because", &token.revoke_reason),
        ] {
            if !value.is_empty() {
                writeln!(to, "- {name}: {}", plain(value))?;
            }
        }
        writeln!(to, "\n## What happened\n")?;
        for entry in &self.entries {
            let time = entry.time.as_deref().unwrap_or_default();
            writeln!(
                to,
                "- {time} **{}** by {} (revision {}, request {})",
                entry.kind,
                plain(&entry.actor),
                entry.revision,
                entry.request_id
            )?;
            for change in &entry.changes {
                writeln!(to, "  - {}", plain(&change.told()))?;
            }
        }
        writeln!(to, "\n## What was refused\n")?;
        for call in &self.refused_calls {
            let time = call.time.as_deref().unwrap_or_default();
            writeln!(
                to,
                "- {time} {} by {}: {}",
                call.method,
                plain(&call.actor),
                call.reason
            )?;
            if call.unrecorded > 0 {
                writeln!(
                    to,
                    "  - before it, {} more of its calls are not listed",
                    call.unrecorded
                )?;
            }
        }
        if self.refused_calls.is_empty() {
            writeln!(to, "No call on record that named it.")?;
        }
        self.write_journal(to)
    }

    fn write_journal(&self, to: &mut String) -> std::fmt::Result {
        writeln!(to, "\n## The journal\n")?;
        let Some(journal) = &self.journal else {
            let why = self.journal_not_checked.as_deref().unwrap_or_default();
            return writeln!(to, "Not checked: {}.", plain(why));
        };
        match &journal.finding {
            None => writeln!(to, "- intact: the links of {} entries hold", journal.entries)?,
            Some(finding) => writeln!(to, "- **tampered with**: {}", plain(finding))?,
        }
        writeln!(to, "- head: {}:{}", journal.revision, journal.link)?;
        match journal.checkpoint {
            Some(revision) => writeln!(to, "- agrees with the checkpoint signed at revision {revision}"),
            None => writeln!(
                to,
                "- checked against no checkpoint: had it been rewritten as a whole, this would not show"
            ),
        }
    }
}

/// Text that somebody else wrote, as text: neither a terminal nor Markdown obeys it.
fn plain(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => told.push('\u{fffd}'),
            '*' | '_' | '`' | '<' | '[' | ']' | '#' | '|' | '\\' => told.extend(['\\', c]),
            c => told.push(c),
        }
    }
    told
}
