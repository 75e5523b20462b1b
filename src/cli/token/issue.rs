//! `tokenward issue` and `rotate`: the two commands that show a secret.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::super::failure::{Failure, Outcome};
use super::super::output::{self, Output};
use super::super::{Caller, repeatable, request_id, spelling, view};
use crate::proto::v1;
use crate::proto::v1::issue_request::Expiration;
use crate::proto::v1::rotate_request::OverlapMode;
use crate::serve::private_file;
use crate::token::secret::Secret;

/// Where only a secret is wanted, nothing else goes to stdout.
#[derive(clap::Args, Debug)]
pub(super) struct ShowArgs {
    /// Print nothing but the secret; so it is, too, whenever a table would not go to a terminal
    #[arg(long)]
    secret_only: bool,
    /// Write the secret to this new file, which only its owner can read, and print the rest
    #[arg(long, value_name = "PATH", conflicts_with = "secret_only")]
    secret_file: Option<PathBuf>,
    /// Makes a retry safe, which shows the same secret for 24 hours: a UUID, version 4 or 7, random, and as secret
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct IssueArgs {
    /// Slug of the namespace to issue in
    #[arg(long, value_name = "SLUG")]
    namespace: String,
    /// Whom the token speaks for
    #[arg(long)]
    subject: String,
    /// What people call the token
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// What the token may do; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A note of your own; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = spelling::label)]
    labels: Vec<(String, String)>,
    /// How long it lives, such as 90d; without --ttl and --expires, as the namespace has it
    #[arg(long, value_name = "DURATION", value_parser = spelling::span, conflicts_with = "expires")]
    ttl: Option<Duration>,
    /// The instant it ends, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = spelling::instant)]
    expires: Option<jiff::Timestamp>,
    /// A network it may be used from, such as 192.0.2.0/24; may be repeated
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// How often it may be used, such as 100/1m; without it, as its namespace says
    #[arg(long, value_name = "N/DURATION", value_parser = spelling::rate_limit)]
    rate_limit: Option<v1::RateLimit>,
    #[command(flatten)]
    show: ShowArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct RotateArgs {
    /// Id of the token
    token_id: String,
    /// How long the old secret lives on, such as 1h, or 0s after a leak; without it, as its namespace says
    #[arg(long, value_name = "DURATION", value_parser = spelling::span)]
    overlap: Option<Duration>,
    /// How long it lives on once the new one is used, such as 1h; until then both are good
    #[arg(long, value_name = "DURATION", value_parser = spelling::span, conflicts_with = "overlap")]
    overlap_from_first_use: Option<Duration>,
    #[command(flatten)]
    show: ShowArgs,
}

/// A token with the secret it was just given.
#[derive(Serialize)]
struct Shown<'a> {
    token: view::Token,
    secret: &'a str,
    cursor: String,
    /// What was done to the token, and by which request.
    #[serde(skip)]
    done: &'static str,
    #[serde(skip)]
    request_id: String,
}

pub(crate) async fn issue(args: IssueArgs, caller: &Caller) -> Outcome {
    let ttl = args.ttl.map(spelling::to_proto_duration).map(Expiration::Ttl);
    let expires = args.expires.map(spelling::to_proto_timestamp);
    let request = v1::IssueRequest {
        namespace: args.namespace,
        name: args.name,
        subject: args.subject,
        scopes: args.scopes,
        labels: labels(args.labels)?,
        expiration: ttl.or(expires.map(Expiration::ExpireTime)),
        networks: args.networks,
        rate_limit: args.rate_limit,
        request_id: String::new(),
    };
    issue_as_asked(request, args.show, caller).await
}

/// Sends the request, under a request id, and shows what was issued.
pub(super) async fn issue_as_asked(request: v1::IssueRequest, show: ShowArgs, caller: &Caller) -> Outcome {
    show.has_room()?;
    let mut client = super::client(caller).await?;
    let request_id = request_id(show.request_id.clone());
    let request = v1::IssueRequest {
        request_id: request_id.clone(),
        ..request
    };
    let answer = client.issue(request).await;
    let answer = answer
        .map_err(|status| repeatable(status, &request_id))?
        .into_inner();
    let secret = Secret::new(answer.secret);
    let shown = Shown::new("issued", answer.token, &secret, answer.cursor, request_id);
    show.show(&shown, caller.output)
}

pub(crate) async fn rotate(args: RotateArgs, caller: &Caller) -> Outcome {
    args.show.has_room()?;
    let mut client = super::client(caller).await?;
    let request_id = request_id(args.show.request_id.clone());
    let overlap = args.overlap.map(spelling::to_proto_duration);
    let from_first_use = args.overlap_from_first_use.map(spelling::to_proto_duration);
    let request = v1::RotateRequest {
        token_id: args.token_id,
        overlap_mode: overlap
            .map(OverlapMode::Overlap)
            .or(from_first_use.map(OverlapMode::OverlapFromFirstUse)),
        request_id: request_id.clone(),
    };
    let answer = client.rotate(request).await;
    let answer = answer
        .map_err(|status| repeatable(status, &request_id))?
        .into_inner();
    let secret = Secret::new(answer.secret);
    let shown = Shown::new("rotated", answer.token, &secret, answer.cursor, request_id);
    args.show.show(&shown, caller.output)
}

/// A key given twice is a mistake; which of its values was meant, nobody can tell.
pub(super) fn labels(
    pairs: Vec<(String, String)>,
) -> Result<std::collections::HashMap<String, String>, Failure> {
    let mut labels = std::collections::HashMap::with_capacity(pairs.len());
    for (key, value) in pairs {
        if labels.contains_key(&key) {
            return Err(
                Failure::usage(format_args!("--label {key}: is given twice")).but("give each key once")
            );
        }
        labels.insert(key, value);
    }
    Ok(labels)
}

impl ShowArgs {
    /// Sees beforehand that the secret can be put where it is wanted.
    fn has_room(&self) -> Result<(), Failure> {
        match &self.secret_file {
            Some(path) if path.exists() => {
                Err(Failure::usage(format_args!("{} exists already", path.display())).but("name a new file"))
            }
            _ => Ok(()),
        }
    }

    fn show(&self, shown: &Shown<'_>, output: Output) -> Outcome {
        // A secret that was made and not shown is soon lost: unlike any other output, that is worth an error
        // even when nobody is there to read.
        self.print(shown, output).map_err(|error| {
            let (id, done) = (&shown.token.id, shown.done);
            Failure::new(format_args!(
                "token {id} was {done}, but its secret could not be written: {error}"
            ))
            .but(format_args!(
                "repeat the command with --request-id {} within 24 hours",
                shown.request_id
            ))
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, shown: &Shown<'_>, output: Output) -> io::Result<()> {
        if let Some(path) = &self.secret_file {
            return shown.to_file(path, output);
        }
        let token = &shown.token;
        if self.secret_only || (output == Output::Table && !io::stdout().is_terminal()) {
            output::line(shown.secret)?;
            return output::note(&format!("{} {} in {}", shown.done, token.id, token.namespace));
        }
        output.print(shown, || output::facts(token.facts()))?;
        if output == Output::Table {
            output::line(&format!(
                "\n{}\n\nThis is the secret. It cannot be looked up later: keep it now.",
                shown.secret
            ))?;
        }
        Ok(())
    }
}

impl<'a> Shown<'a> {
    fn new(
        done: &'static str,
        token: Option<v1::Token>,
        secret: &'a Secret,
        cursor: String,
        request_id: String,
    ) -> Shown<'a> {
        Shown {
            token: view::Token::from(token.unwrap_or_default()),
            secret: secret.expose(),
            cursor,
            done,
            request_id,
        }
    }

    fn to_file(&self, path: &Path, output: Output) -> io::Result<()> {
        private_file::create(path, self.secret).map_err(io::Error::other)?;
        output.print(&self.token, || output::facts(self.token.facts()))?;
        output::note(&format!(
            "{} {}; the secret is in {}",
            self.done,
            self.token.id,
            path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_given_twice_is_refused() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert!(labels(vec![pair("a", "1"), pair("b", "1")]).is_ok_and(|labels| labels.len() == 2));
        let refused = labels(vec![pair("a", "1"), pair("a", "2")]).err();
        assert_eq!(
            refused.and_then(|failure| failure.line()).as_deref(),
            Some("tokenward: --label a: is given twice; give each key once")
        );
    }
}
