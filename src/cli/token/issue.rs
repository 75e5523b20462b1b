//! `tokenward issue` and `rotate`: the two commands that show a secret, once.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::super::failure::{Failure, Outcome};
use super::super::output::{self, Output};
use super::super::{Caller, repeatable, request_id, spelling, view};
use crate::proto::v1;
use crate::proto::v1::issue_request::Expiration;
use crate::token::secret::Secret;

/// Where only a secret is wanted, nothing else goes to stdout.
#[derive(clap::Args, Debug)]
struct ShowArgs {
    /// Print nothing but the secret; so it is, too, whenever a table would not go to a terminal
    #[arg(long)]
    secret_only: bool,
    /// Makes a retry safe: a UUID, version 4 or 7
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
    /// How long it lives, such as 90d; without --ttl and --expires, for ever
    #[arg(long, value_name = "DURATION", value_parser = spelling::span, conflicts_with = "expires")]
    ttl: Option<Duration>,
    /// The instant it ends, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = spelling::instant)]
    expires: Option<jiff::Timestamp>,
    #[command(flatten)]
    show: ShowArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct RotateArgs {
    /// Id of the token
    token_id: String,
    /// How long the old secret lives on, such as 1h; without it, it ends at once
    #[arg(long, value_name = "DURATION", value_parser = spelling::span)]
    overlap: Option<Duration>,
    #[command(flatten)]
    show: ShowArgs,
}

/// A token with the secret it was just given.
#[derive(Serialize)]
struct Shown<'a> {
    token: view::Token,
    secret: &'a str,
    cursor: String,
}

pub(crate) async fn issue(args: IssueArgs, caller: &Caller) -> Outcome {
    let mut client = super::client(caller).await?;
    let request_id = request_id(args.show.request_id);
    let ttl = args.ttl.map(spelling::to_proto_duration).map(Expiration::Ttl);
    let expires = args.expires.map(spelling::to_proto_timestamp);
    let request = v1::IssueRequest {
        namespace: args.namespace,
        name: args.name,
        subject: args.subject,
        scopes: args.scopes,
        labels: labels(args.labels)?,
        expiration: ttl.or(expires.map(Expiration::ExpireTime)),
        request_id: request_id.clone(),
    };
    let answer = client.issue(request).await;
    let answer = answer
        .map_err(|status| repeatable(status, &request_id))?
        .into_inner();
    show(
        "issued",
        answer.token,
        &Secret::new(answer.secret),
        answer.cursor,
        args.show.secret_only,
        caller.output,
    )
}

pub(crate) async fn rotate(args: RotateArgs, caller: &Caller) -> Outcome {
    let mut client = super::client(caller).await?;
    let request_id = request_id(args.show.request_id);
    let request = v1::RotateRequest {
        token_id: args.token_id,
        overlap: args.overlap.map(spelling::to_proto_duration),
        request_id: request_id.clone(),
    };
    let answer = client.rotate(request).await;
    let answer = answer
        .map_err(|status| repeatable(status, &request_id))?
        .into_inner();
    show(
        "rotated",
        answer.token,
        &Secret::new(answer.secret),
        answer.cursor,
        args.show.secret_only,
        caller.output,
    )
}

/// A key given twice is a mistake; which of its values was meant, nobody can tell.
fn labels(pairs: Vec<(String, String)>) -> Result<std::collections::HashMap<String, String>, Failure> {
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

fn show(
    done: &str,
    token: Option<v1::Token>,
    secret: &Secret,
    cursor: String,
    secret_only: bool,
    output: Output,
) -> Outcome {
    let shown = Shown {
        token: view::Token::from(token.unwrap_or_default()),
        secret: secret.expose(),
        cursor,
    };
    // A secret that was made and not shown is lost: unlike any other output, that is worth an error
    // even when nobody is there to read.
    print(done, &shown, secret_only, output).map_err(|error| {
        let id = &shown.token.id;
        Failure::new(format_args!(
            "token {id} was {done}, but its secret could not be written: {error}"
        ))
        .but(format_args!("`tokenward rotate {id}` makes a new one"))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn print(done: &str, shown: &Shown<'_>, secret_only: bool, output: Output) -> io::Result<()> {
    let token = &shown.token;
    if secret_only || (output == Output::Table && !io::stdout().is_terminal()) {
        output::line(shown.secret)?;
        return output::note(&format!("{done} {} in {}", token.id, token.namespace));
    }
    output.print(shown, || output::facts(token.facts()))?;
    if output == Output::Table {
        output::line(&format!(
            "\n{}\n\nThis is the secret. It is shown this once and cannot be read again: keep it now.",
            shown.secret
        ))?;
    }
    Ok(())
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
