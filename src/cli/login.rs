//! `tokenward login`, `logout` and `whoami`: with which credential commands call, and what it permits.

use std::process::ExitCode;

use serde::Serialize;

use super::Caller;
use super::connect::Wire;
use super::credential::Bearer;
use super::failure::{Failure, Outcome};
use super::output::{self, Output};
use super::present::SecretArgs;
use super::profile::Profile;
use super::view;
use crate::proto::v1;
use crate::proto::v1::caller_service_client::CallerServiceClient;

/// How the credential is given to `login`: as a secret is to `verify`.
#[derive(clap::Args, Debug)]
pub(super) struct LoginArgs {
    #[command(flatten)]
    credential: SecretArgs,
}

#[derive(Serialize, Debug)]
struct Who {
    actor: String,
    permissions: Vec<String>,
    token_id: String,
    expire_time: Option<String>,
}

pub(super) async fn login(args: LoginArgs, caller: &Caller) -> Outcome {
    let secret = args.credential.read()?;
    let address = caller.address()?;
    caller.may_show_credential(&address)?;
    let who = ask(address.connect(Bearer::new(&secret)?).await?).await?;
    let profile = Profile {
        address: address.to_string(),
        credential: secret.expose().to_owned(),
    };
    let path = profile.save(caller.profile_name())?;
    output::note(&format!(
        "kept {address} and the credential in {}",
        path.display()
    ))?;
    show(&who, caller.output)
}

pub(super) fn logout(caller: &Caller) -> Outcome {
    let name = caller.profile_name();
    if !Profile::remove(name)? {
        return Err(Failure::new(format_args!("there is no profile {name}")));
    }
    output::note(&format!(
        "forgot profile {name}; its credential stays good until it is revoked"
    ))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn whoami(caller: &Caller) -> Outcome {
    let who = ask(caller.connect().await?).await?;
    show(&who, caller.output)
}

async fn ask(channel: Wire) -> Result<Who, Failure> {
    let answer = CallerServiceClient::new(channel)
        .get_caller(v1::GetCallerRequest {})
        .await?
        .into_inner();
    Ok(Who {
        actor: answer.actor,
        permissions: answer.permissions,
        token_id: answer.token_id,
        expire_time: answer.expire_time.map(view::time),
    })
}

fn show(who: &Who, output: Output) -> Outcome {
    output.print(who, || {
        output::facts(vec![
            ("actor", output::text(&who.actor)),
            ("permissions", output::text(&who.permissions.join(" "))),
            (
                "expire_time",
                output::text(who.expire_time.as_deref().unwrap_or("never")),
            ),
        ])
    })?;
    Ok(ExitCode::SUCCESS)
}
