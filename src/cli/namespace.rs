//! `tokenward namespace`: create, update, list, get, and the red button.

use std::process::ExitCode;

use super::connect::Wire;
use super::failure::{Failure, Outcome};
use super::output::{self, Output};
use super::policy::{PolicyArgs, Rule};
use super::subject::{self, RevokeAllArgs};
use super::{Caller, spelling, view};
use crate::proto::v1::namespace_service_client::NamespaceServiceClient;
use crate::proto::v1::{self, secret_format};
use crate::token::format::{Body, Prefix};

#[derive(clap::Subcommand, Debug)]
pub(super) enum NamespaceCommand {
    /// Create a namespace
    Create(Box<CreateArgs>),
    /// Change what people call a namespace, and its rules; what is not given stays
    Update(Box<UpdateArgs>),
    /// List all namespaces
    List,
    /// Show one namespace
    Get {
        /// Its slug
        slug: String,
    },
    /// Revoke every token that was issued in a namespace up to now, for ever
    RevokeIssued(RevokeAllArgs),
}

#[derive(clap::Args, Debug)]
pub(super) struct CreateArgs {
    /// Its name everywhere: a lower-case letter, then up to 62 of a-z, 0-9 and -
    slug: String,
    /// What its tokens begin with, such as kn_
    #[arg(long, value_parser = spelling::prefix)]
    prefix: Prefix,
    /// What follows the prefix: native, hex:<N>, base64url:<N> or base62:<N>
    #[arg(long, value_parser = spelling::body, default_value = "native")]
    format: Body,
    /// What people call it
    #[arg(long, default_value = "", hide_default_value = true)]
    display_name: String,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Makes a retry safe: a UUID, version 4 or 7
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

#[derive(clap::Args, Debug)]
pub(super) struct UpdateArgs {
    /// Its slug
    slug: String,
    /// What people call it
    #[arg(long)]
    display_name: Option<String>,
    #[command(flatten)]
    policy: PolicyArgs,
    /// A rule to take back, so that it is off; may be repeated
    #[arg(long, value_name = "RULE", value_enum, help_heading = "Rules")]
    unset: Vec<Rule>,
    /// Makes a retry safe: a UUID, version 4 or 7
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

impl UpdateArgs {
    /// What is to change. A rule that is given and taken back is off: what it is set to is sent all the same.
    fn paths(&self) -> Vec<String> {
        let name = self.display_name.as_ref().map(|_| "display_name".to_owned());
        let rules = self.policy.given().into_iter().chain(self.unset.iter().copied());
        name.into_iter().chain(rules.map(Rule::path)).collect()
    }
}

pub(super) async fn run(command: NamespaceCommand, caller: &Caller) -> Outcome {
    if let NamespaceCommand::Update(args) = &command
        && args.paths().is_empty()
    {
        return Err(Failure::usage("nothing is to change").but("--help shows what can"));
    }
    let mut client = NamespaceServiceClient::new(caller.connect().await?);
    match command {
        NamespaceCommand::Create(args) => create(*args, &mut client, caller).await,
        NamespaceCommand::Update(args) => update(*args, &mut client, caller).await,
        NamespaceCommand::RevokeIssued(args) => subject::revoke_all(args, caller).await,
        NamespaceCommand::List => list(&mut client, caller.output).await,
        NamespaceCommand::Get { slug } => {
            let request = v1::GetNamespaceRequest { namespace: slug };
            let answer = client.get_namespace(request).await?.into_inner();
            show(answer.namespace, caller.output)
        }
    }
}

type Client = NamespaceServiceClient<Wire>;

async fn create(args: CreateArgs, client: &mut Client, caller: &Caller) -> Outcome {
    let request_id = super::request_id(args.request_id);
    let format = v1::SecretFormat {
        prefix: String::from(args.prefix),
        body: Some(to_proto(args.format)),
    };
    let request = v1::CreateNamespaceRequest {
        namespace: Some(v1::Namespace {
            slug: args.slug,
            display_name: args.display_name,
            format: Some(format),
            policy: Some(args.policy.into()),
            ..Default::default()
        }),
        request_id: request_id.clone(),
    };
    let answer = client.create_namespace(request).await;
    let answer = answer.map_err(|status| super::repeatable(status, &request_id))?;
    show(answer.into_inner().namespace, caller.output)
}

async fn update(args: UpdateArgs, client: &mut Client, caller: &Caller) -> Outcome {
    let paths = args.paths();
    let request_id = super::request_id(args.request_id);
    let request = v1::UpdateNamespaceRequest {
        namespace: Some(v1::Namespace {
            slug: args.slug,
            display_name: args.display_name.unwrap_or_default(),
            policy: Some(args.policy.into()),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths }),
        request_id: request_id.clone(),
    };
    let answer = client.update_namespace(request).await;
    let answer = answer.map_err(|status| super::repeatable(status, &request_id))?;
    show(answer.into_inner().namespace, caller.output)
}

async fn list(client: &mut Client, output: Output) -> Outcome {
    let mut listing = output.list(view::Namespace::HEADER);
    let mut page_token = String::new();
    loop {
        let request = v1::ListNamespacesRequest {
            page_size: super::PAGE_SIZE,
            page_token,
        };
        let page = client.list_namespaces(request).await?.into_inner();
        let namespaces: Vec<_> = page.namespaces.into_iter().map(view::Namespace::from).collect();
        listing.page(&namespaces, view::Namespace::row)?;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    listing.end("namespaces")?;
    Ok(ExitCode::SUCCESS)
}

fn show(namespace: Option<v1::Namespace>, output: Output) -> Outcome {
    let namespace = view::Namespace::from(namespace.unwrap_or_default());
    output.print(&namespace, || output::facts(namespace.facts()))?;
    Ok(ExitCode::SUCCESS)
}

fn to_proto(body: Body) -> secret_format::Body {
    use secret_format::Body as Proto;
    match body {
        Body::Native => Proto::Native(v1::NativeBody {}),
        Body::Hex(length) => Proto::Hex(v1::HexBody {
            length: length.get().into(),
        }),
        Body::Base64Url(length) => Proto::Base64url(v1::Base64UrlBody {
            length: length.get().into(),
        }),
        Body::Base62(length) => Proto::Base62(v1::Base62Body {
            length: length.get().into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_shown_as_it_is_given() -> Result<(), String> {
        for spelt in ["native", "hex:40", "base64url:48", "base62:22"] {
            let format = v1::SecretFormat {
                prefix: "kn_".to_owned(),
                body: Some(to_proto(spelling::body(spelt)?)),
            };
            assert_eq!(view::Format::from(format).body, spelt);
        }
        Ok(())
    }
}
