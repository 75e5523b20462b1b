//! `tokenward namespace`: create, list, get.

use std::process::ExitCode;

use super::connect::Wire;
use super::failure::Outcome;
use super::output::{self, Output};
use super::{Caller, spelling, view};
use crate::proto::v1::namespace_service_client::NamespaceServiceClient;
use crate::proto::v1::{self, secret_format};
use crate::token::format::{Body, Prefix};

#[derive(clap::Subcommand, Debug)]
pub(super) enum NamespaceCommand {
    /// Create a namespace
    Create(CreateArgs),
    /// Change what people call a namespace, and its rules; what is not given stays
    Update(UpdateArgs),
    /// List all namespaces
    List,
    /// Show one namespace
    Get {
        /// Its slug
        slug: String,
    },
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
    /// Whether its tokens may manage tokens
    #[arg(long, value_enum, default_value_t = SelfManagement::Off)]
    self_management: SelfManagement,
    /// Makes a retry safe: a UUID, version 4 or 7
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct ChangeArgs {
    /// What people call it
    #[arg(long)]
    display_name: Option<String>,
    /// Whether its tokens may manage tokens
    #[arg(long, value_enum)]
    self_management: Option<SelfManagement>,
}

#[derive(clap::Args, Debug)]
pub(super) struct UpdateArgs {
    /// Its slug
    slug: String,
    #[command(flatten)]
    change: ChangeArgs,
    /// Makes a retry safe: a UUID, version 4 or 7
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SelfManagement {
    /// They can call nothing
    Off,
    /// Each may get and revoke itself
    Own,
    /// And those with the scopes tokenward:list, tokenward:revoke and tokenward:rotate may do so to others
    ByScope,
}

impl From<SelfManagement> for v1::NamespacePolicy {
    fn from(self_management: SelfManagement) -> v1::NamespacePolicy {
        let self_management = match self_management {
            SelfManagement::Off => v1::SelfManagement::Off,
            SelfManagement::Own => v1::SelfManagement::Own,
            SelfManagement::ByScope => v1::SelfManagement::ByScope,
        };
        v1::NamespacePolicy {
            self_management: self_management.into(),
        }
    }
}

pub(super) async fn run(command: NamespaceCommand, caller: &Caller) -> Outcome {
    let mut client = NamespaceServiceClient::new(caller.connect().await?);
    match command {
        NamespaceCommand::Create(args) => create(args, &mut client, caller).await,
        NamespaceCommand::Update(args) => update(args, &mut client, caller).await,
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
            policy: Some(args.self_management.into()),
            ..Default::default()
        }),
        request_id: request_id.clone(),
    };
    let answer = client.create_namespace(request).await;
    let answer = answer.map_err(|status| super::repeatable(status, &request_id))?;
    show(answer.into_inner().namespace, caller.output)
}

async fn update(args: UpdateArgs, client: &mut Client, caller: &Caller) -> Outcome {
    let request_id = super::request_id(args.request_id);
    let ChangeArgs {
        display_name,
        self_management,
    } = args.change;
    let paths = [
        display_name.as_ref().map(|_| "display_name"),
        self_management.map(|_| "policy"),
    ];
    let request = v1::UpdateNamespaceRequest {
        namespace: Some(v1::Namespace {
            slug: args.slug,
            display_name: display_name.unwrap_or_default(),
            policy: self_management.map(Into::into),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.into_iter().flatten().map(str::to_owned).collect(),
        }),
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
