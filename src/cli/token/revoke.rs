//! `tokenward revoke`: for ever, so it asks first.

use std::process::ExitCode;

use comfy_table::Cell;
use serde::Serialize;

use super::super::failure::{Failure, Outcome};
use super::super::output::{self, text};
use super::super::{Caller, confirm, view};
use crate::clock::{Clock, SystemClock};
use crate::proto::v1;

#[derive(clap::Args, Debug)]
pub(crate) struct RevokeArgs {
    /// Id of the token
    token_id: String,
    /// Why; kept with the token and told to all who watch
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Makes a retry safe: a UUID, version 4 or 7
    #[arg(long, value_name = "UUID", default_value = "", hide_default_value = true)]
    request_id: String,
}

pub(crate) async fn revoke(args: RevokeArgs, caller: &Caller) -> Outcome {
    if !args.yes {
        confirm::can_be_asked("revoking is for ever")?;
    }
    let mut client = super::client(caller).await?;
    if !args.yes {
        let token = super::read(&mut client, args.token_id.clone()).await?;
        let question = question(&token, SystemClock.now().micros());
        output::note_table(output::facts(view::Token::from(token).facts()))?;
        if !confirm::confirmed(&question)? {
            return Err(Failure::new("nothing was revoked"));
        }
    }
    let request = v1::RevokeRequest {
        token_id: args.token_id,
        reason: args.reason,
        request_id: args.request_id,
    };
    let answer = client.revoke(request).await?.into_inner();
    let revoked = Revoked {
        propagation: view::propagation(answer.propagation()),
        cursor: answer.cursor,
        token: view::Token::from(answer.token.unwrap_or_default()),
    };
    caller.output.print(&revoked, || output::facts(revoked.facts()))?;
    Ok(ExitCode::SUCCESS)
}

/// What is asked before `token` is revoked. Whoever uses the older secret of a token has not taken up the newer one.
fn question(token: &v1::Token, now: i64) -> String {
    let is_good = |secret: &v1::SecretVersion| {
        let end = secret.retire_time;
        end.is_none_or(|end| end.seconds * 1_000_000 + i64::from(end.nanos) / 1000 > now)
    };
    let (newest, older) = token.secrets.split_last().unzip();
    let is_unused = newest.is_some_and(|newest| newest.version > 1 && newest.first_use_time.is_none());
    let older = older.unwrap_or_default().iter().rfind(|older| is_good(older));
    let Some(older) = older.filter(|_| is_unused) else {
        return "Revoke this token, for ever?".to_owned();
    };
    let used = match older.last_use_time {
        Some(time) => format!("and was last used {}", view::time(time)),
        None => "though it is not known to have been used".to_owned(),
    };
    format!(
        "Its newest secret was never used. Version {} still works, {used}: whoever uses it is cut off. Revoke this \
         token, for ever?",
        older.version
    )
}

/// The token as revoked, and how that became true everywhere.
#[derive(Serialize, Debug)]
struct Revoked {
    #[serde(flatten)]
    token: view::Token,
    cursor: String,
    propagation: String,
}

impl Revoked {
    fn facts(&self) -> Vec<(&'static str, Cell)> {
        let mut facts = self.token.facts();
        facts.push(("propagation", text(&self.propagation)));
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_revokes_amid_a_rotation_is_told_so() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let secret = |version, retire_time, first_use_time| v1::SecretVersion {
            version,
            retire_time,
            first_use_time,
            ..Default::default()
        };
        let asked = |secrets: &[v1::SecretVersion]| {
            let token = v1::Token {
                secrets: secrets.to_vec(),
                ..Default::default()
            };
            question(&token, 5_000_000)
        };
        let unused = secret(2, None, None);
        for older in [secret(1, None, None), secret(1, at(6), None)] {
            assert!(asked(&[older.clone(), unused.clone()]).contains("cut off"));
            assert!(!asked(&[older.clone(), secret(2, None, at(4))]).contains("cut off"));
            assert!(!asked(&[older]).contains("cut off"));
        }
        let used = v1::SecretVersion {
            last_use_time: at(0),
            ..secret(1, at(6), None)
        };
        let told = asked(&[used, unused.clone()]);
        assert!(
            told.contains("Version 1 still works, and was last used 1970-01-01T00:00:00Z"),
            "{told}"
        );
        assert!(!asked(&[secret(1, at(5), None), unused]).contains("cut off"));
        assert!(!asked(&[]).contains("cut off"));
    }
}
