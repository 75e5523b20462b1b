//! `tokenward credential`: what others call this service with.

use std::time::Duration;

use super::super::failure::{Failure, Outcome};
use super::super::{Caller, spelling};
use super::issue::{ShowArgs, issue_as_asked};
use crate::proto::v1;
use crate::proto::v1::issue_request::Expiration;
use crate::token::id::Slug;
use crate::token::permission::Role;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum CredentialCommand {
    /// Issue a credential and show its secret, once
    Issue(CredentialArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct CredentialArgs {
    /// Whom it is for
    subject: String,
    /// What it is to do: verifier, issuer, watcher, auditor or admin
    #[arg(long, value_parser = str::parse::<Role>)]
    role: Option<Role>,
    /// Where it is to do that; may be repeated [default: in every namespace]
    #[arg(long = "namespace", value_name = "SLUG", requires = "role")]
    namespaces: Vec<String>,
    /// A further permission, such as tokens.verify.reason:notes; may be repeated
    #[arg(long = "permission", value_name = "PERMISSION")]
    permissions: Vec<String>,
    /// What people call it
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// How long it lives, such as 90d; without it, for ever
    #[arg(long, value_name = "DURATION", value_parser = spelling::span)]
    ttl: Option<Duration>,
    #[command(flatten)]
    show: ShowArgs,
}

pub(crate) async fn credential(command: CredentialCommand, caller: &Caller) -> Outcome {
    let CredentialCommand::Issue(args) = command;
    let mut scopes = args.permissions;
    match (args.role, args.namespaces.as_slice()) {
        (None, _) => {}
        (Some(Role::Admin), [_, ..]) => {
            return Err(Failure::usage(
                "an admin is one in every namespace: leave --namespace out",
            ));
        }
        (Some(role), []) => scopes.extend(role.permissions("*")),
        (Some(role), namespaces) => scopes.extend(namespaces.iter().flat_map(|slug| role.permissions(slug))),
    }
    if scopes.is_empty() {
        return Err(Failure::usage("it could do nothing").but("give it a --role or a --permission"));
    }
    let request = v1::IssueRequest {
        namespace: Slug::SYSTEM.to_owned(),
        name: args.name,
        subject: args.subject,
        scopes,
        expiration: args.ttl.map(spelling::to_proto_duration).map(Expiration::Ttl),
        ..Default::default()
    };
    issue_as_asked(request, args.show, caller).await
}
