//! `tokenward update`, `suspend` and `resume`: what can be taken back.

use std::process::ExitCode;

use prost_types::FieldMask;
use serde::Serialize;

use super::super::failure::{Failure, Outcome};
use super::super::output::{self, text};
use super::super::{Caller, repeatable, request_id, spelling, view};
use super::issue::labels;
use crate::proto::v1;

#[expect(clippy::struct_excessive_bools, reason = "each empties a field of its own")]
#[derive(clap::Args, Debug)]
pub(crate) struct UpdateArgs {
    /// Id of the token
    token_id: String,
    /// What people call it from now on
    #[arg(long)]
    name: Option<String>,
    /// What it may do from now on, all of it; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Leave it no scope
    #[arg(long, conflicts_with = "scopes")]
    no_scopes: bool,
    /// A note of your own, in place of all there are; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = spelling::label)]
    labels: Vec<(String, String)>,
    /// Leave it no label
    #[arg(long, conflicts_with = "labels")]
    no_labels: bool,
    /// The instant it ends, in RFC 3339, or `never`
    #[arg(long, value_name = "TIME", value_parser = spelling::end)]
    expires: Option<spelling::End>,
    /// A network it may be used from, such as 192.0.2.0/24, in place of all there are; may be repeated
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// Let it be used from anywhere
    #[arg(long, conflicts_with = "networks")]
    no_networks: bool,
    /// How often it may be used, such as 100/1m
    #[arg(long, value_name = "N/DURATION", value_parser = spelling::rate_limit)]
    rate_limit: Option<v1::RateLimit>,
    /// As often as its namespace says
    #[arg(long, conflicts_with = "rate_limit")]
    no_rate_limit: bool,
    /// Only if nobody has changed it since `get` showed this
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Makes a retry safe: a UUID, version 4 or 7
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct SuspendArgs {
    /// Id of the token
    token_id: String,
    /// Why; kept with the token and told to all who watch
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Makes a retry safe: a UUID, version 4 or 7
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ResumeArgs {
    /// Id of the token
    token_id: String,
    /// Makes a retry safe: a UUID, version 4 or 7
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

pub(crate) async fn update(args: UpdateArgs, caller: &Caller) -> Outcome {
    let request_id = request_id(args.request_id.clone());
    let request = request(args, &request_id)?;
    let mut client = super::client(caller).await?;
    let answer = client.update(request).await;
    let answer = answer
        .map_err(|status| repeatable(status, &request_id))?
        .into_inner();
    let propagation = answer.propagation();
    show(answer.token, answer.cursor, propagation, caller)
}

pub(crate) async fn suspend(args: SuspendArgs, caller: &Caller) -> Outcome {
    let request_id = request_id(args.request_id);
    let request = v1::SuspendRequest {
        token_id: args.token_id,
        reason: args.reason,
        request_id: request_id.clone(),
    };
    let mut client = super::client(caller).await?;
    let answer = client.suspend(request).await;
    let answer = answer
        .map_err(|status| repeatable(status, &request_id))?
        .into_inner();
    let propagation = answer.propagation();
    show(answer.token, answer.cursor, propagation, caller)
}

pub(crate) async fn resume(args: ResumeArgs, caller: &Caller) -> Outcome {
    let request_id = request_id(args.request_id);
    let request = v1::ResumeRequest {
        token_id: args.token_id,
        request_id: request_id.clone(),
    };
    let mut client = super::client(caller).await?;
    let answer = client.resume(request).await;
    let answer = answer
        .map_err(|status| repeatable(status, &request_id))?
        .into_inner();
    let propagation = answer.propagation();
    show(answer.token, answer.cursor, propagation, caller)
}

/// The fields that were given, and the mask that names them.
fn request(args: UpdateArgs, request_id: &str) -> Result<v1::UpdateRequest, Failure> {
    let given = [
        ("name", args.name.is_some()),
        ("scopes", args.no_scopes || !args.scopes.is_empty()),
        ("labels", args.no_labels || !args.labels.is_empty()),
        ("expire_time", args.expires.is_some()),
        ("networks", args.no_networks || !args.networks.is_empty()),
        ("rate_limit", args.no_rate_limit || args.rate_limit.is_some()),
    ];
    let given = given.into_iter().filter(|(_, is_given)| *is_given);
    let paths: Vec<_> = given.map(|(path, _)| path.to_owned()).collect();
    if paths.is_empty() {
        return Err(
            Failure::usage("nothing is to be changed").but("give it a --name, a --scope or another option")
        );
    }
    let token = v1::Token {
        id: args.token_id,
        name: args.name.unwrap_or_default(),
        scopes: args.scopes,
        labels: labels(args.labels)?,
        expire_time: args.expires.and_then(spelling::End::to_proto),
        networks: args.networks,
        rate_limit: args.rate_limit,
        etag: args.etag,
        ..Default::default()
    };
    Ok(v1::UpdateRequest {
        token: Some(token),
        update_mask: Some(FieldMask { paths }),
        request_id: request_id.to_owned(),
    })
}

fn show(token: Option<v1::Token>, cursor: String, propagation: v1::Propagation, caller: &Caller) -> Outcome {
    let changed = Changed {
        token: view::Token::from(token.unwrap_or_default()),
        cursor,
        propagation: view::propagation(propagation),
    };
    caller.output.print(&changed, || {
        let mut facts = changed.token.facts();
        facts.push(("propagation", text(&changed.propagation)));
        output::facts(facts)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The token as changed, and how that became true everywhere.
#[derive(Serialize, Debug)]
struct Changed {
    #[serde(flatten)]
    token: view::Token,
    cursor: String,
    propagation: String,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser, Debug)]
    struct Line {
        #[command(flatten)]
        args: UpdateArgs,
    }

    fn asked(line: &[&str]) -> Result<v1::UpdateRequest, String> {
        let line = Line::try_parse_from([&["update", "an id"], line].concat());
        let line = line.map_err(|error| error.to_string())?;
        request(line.args, "a request").map_err(|failure| failure.line().unwrap_or_default())
    }

    #[test]
    fn what_is_given_is_in_the_mask_and_nothing_else() -> Result<(), String> {
        for (line, paths) in [
            (vec!["--name", ""], vec!["name"]),
            (vec!["--scope", "a", "--scope", "b"], vec!["scopes"]),
            (vec!["--no-scopes", "--no-labels"], vec!["scopes", "labels"]),
            (vec!["--expires", "never"], vec!["expire_time"]),
            (
                vec!["--no-networks", "--no-rate-limit"],
                vec!["networks", "rate_limit"],
            ),
            (
                vec!["--network", "::1", "--rate-limit", "100/1m"],
                vec!["networks", "rate_limit"],
            ),
        ] {
            let asked = asked(&line)?;
            assert_eq!(asked.update_mask.unwrap_or_default().paths, paths, "{line:?}");
        }
        let ends = asked(&["--expires", "2030-01-31T12:00:00Z"])?
            .token
            .unwrap_or_default();
        assert_eq!(ends.expire_time.map(|end| end.seconds), Some(1_896_091_200));
        assert_eq!(
            asked(&["--expires", "never"])?
                .token
                .unwrap_or_default()
                .expire_time,
            None
        );
        assert!(asked(&[]).is_err_and(|line| line.contains("nothing is to be changed")));
        assert!(asked(&["--scope", "a", "--no-scopes"]).is_err());
        Ok(())
    }
}
