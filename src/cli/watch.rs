//! `tokenward watch`: the stream of revocations, taken up again wherever it breaks.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tonic::{Status, Streaming};

use super::failure::{self, Failure, Outcome};
use super::output::{self, Output};
use super::{Caller, view};
use crate::proto::v1::issued_revoked::Target;
use crate::proto::v1::revocation_service_client::RevocationServiceClient;
use crate::proto::v1::watch_revocations_response::Event;
use crate::proto::v1::{WatchRevocationsRequest, WatchRevocationsResponse};
use crate::token::time::spelled;

/// Heartbeats come every second; after this silence the stream is taken for dead.
const SILENCE_MAX: Duration = Duration::from_secs(10);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

#[derive(clap::Args, Debug)]
pub(super) struct WatchArgs {
    /// Begin after this position; without it, from now on
    // One in 64 begins with a hyphen.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    cursor: String,
    /// Slug of a namespace to watch; may be repeated; without it, all
    #[arg(long = "namespace", value_name = "SLUG")]
    namespaces: Vec<String>,
    /// Print heartbeats, too
    #[arg(long)]
    heartbeats: bool,
}

/// How one stream ended.
enum End {
    /// It may be taken up again from the last cursor.
    Broken(String),
    Failed(Failure),
}

/// A watch: where it stands, and whether it has ever stood.
struct Watch<'a> {
    args: WatchArgs,
    caller: &'a Caller,
    started: bool,
    backoff: Duration,
}

pub(super) async fn run(args: WatchArgs, caller: &Caller) -> Outcome {
    let watch = Watch {
        args,
        caller,
        started: false,
        backoff: BACKOFF_MIN,
    };
    tokio::select! {
        failure = watch.for_ever() => Err(failure),
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
    }
}

impl Watch<'_> {
    async fn for_ever(mut self) -> Failure {
        loop {
            let why = match self.once().await {
                End::Failed(failure) => return failure,
                End::Broken(why) => why,
            };
            let after = spelled(self.backoff);
            if let Err(error) = output::note(&format!("the stream broke ({why}); resuming in {after}")) {
                return error.into();
            }
            tokio::time::sleep(self.backoff).await;
            self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Watches until the stream ends, and moves the cursor along.
    async fn once(&mut self) -> End {
        let channel = match self.caller.connect().await {
            Ok(channel) => channel,
            // A server that was there comes back; one that never was is more likely misspelt.
            Err(failure) if self.started => return End::Broken(failure.wrong().to_owned()),
            Err(failure) => return End::Failed(failure),
        };
        let request = WatchRevocationsRequest {
            cursor: self.args.cursor.clone(),
            namespaces: self.args.namespaces.clone(),
            heartbeat_interval: None,
        };
        let mut client = RevocationServiceClient::new(channel);
        let mut stream = match client.watch_revocations(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return ended(status),
        };
        loop {
            match next(&mut stream).await {
                Err(end) => return end,
                Ok(message) => {
                    if let Err(failure) = self.take(message) {
                        return End::Failed(failure);
                    }
                }
            }
        }
    }

    fn take(&mut self, message: WatchRevocationsResponse) -> Result<(), Failure> {
        self.backoff = BACKOFF_MIN;
        let shown = match (&message.event, self.caller.output) {
            (Some(Event::Heartbeat(_)), _) => self.args.heartbeats,
            // To a person a start is a note; a program learns from it that its cache holds from here on.
            (Some(Event::Started(_)), Output::Table) => false,
            _ => true,
        };
        if let Some(Event::Started(_)) = message.event {
            let again = if self.started { "resumed" } else { "watching" };
            output::note(&format!("{again} from revision {}", message.revision))?;
            self.started = true;
        }
        if shown {
            match self.caller.output {
                Output::Json => output::json(&to_json(&message))?,
                Output::Table => output::line(&to_line(&message))?,
            }
        }
        // Only after it was printed: what was not printed must come again.
        self.args.cursor = message.cursor;
        Ok(())
    }
}

async fn next(stream: &mut Streaming<WatchRevocationsResponse>) -> Result<WatchRevocationsResponse, End> {
    match tokio::time::timeout(SILENCE_MAX, stream.message()).await {
        Err(_) => Err(End::Broken(format!("silent for {}", spelled(SILENCE_MAX)))),
        Ok(Err(status)) => Err(ended(status)),
        Ok(Ok(None)) => Err(End::Broken("the server ended it".to_owned())),
        Ok(Ok(Some(message))) => Ok(message),
    }
}

/// Whether to take the stream up again, or to stop and say why.
fn ended(status: Status) -> End {
    if !failure::resumable(&status) {
        return End::Failed(status.into());
    }
    let failure = Failure::from(status);
    End::Broken(failure.wrong().to_owned())
}

/// One line for people: when, at which revision, what, to which token or to whose, and why.
fn to_line(message: &WatchRevocationsResponse) -> String {
    let of = |time: Option<prost_types::Timestamp>| time.map_or(String::new(), view::time);
    let (what, time, namespace, token, told) = match message.event.clone() {
        Some(Event::Revoked(it)) => ("revoked", of(it.time), it.namespace, it.token_id, it.reason),
        Some(Event::Suspended(it)) => ("suspended", of(it.time), it.namespace, it.token_id, it.reason),
        Some(Event::Narrowed(it)) => ("narrowed", of(it.time), it.namespace, it.token_id, String::new()),
        Some(Event::SecretRetired(it)) => {
            let told = format!("version {}", it.version);
            (
                "secret_retired",
                of(it.retire_time),
                it.namespace,
                it.token_id,
                told,
            )
        }
        Some(Event::IssuedRevoked(it)) => {
            let whose = whose(it.target);
            (
                "issued_revoked",
                of(it.not_before_time),
                it.namespace,
                whose,
                it.reason,
            )
        }
        Some(Event::SubjectSuspended(it)) => (
            "subject_suspended",
            of(it.time),
            it.namespace,
            format!("all of {}", it.subject),
            it.reason,
        ),
        Some(Event::Started(_)) => (
            "started",
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ),
        Some(Event::Heartbeat(_)) => (
            "heartbeat",
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ),
        None => {
            let told = "an event this version does not know: drop all that is cached".to_owned();
            ("unknown", String::new(), String::new(), String::new(), told)
        }
    };
    let revision = message.revision;
    let line = format!("{revision:>8}  {what:<14}  {time:<27}  {namespace:<16}  {token:<36}  {told}");
    line.trim_end()
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Whose tokens they are.
fn whose(target: Option<Target>) -> String {
    match target {
        Some(Target::Subject(subject)) => format!("all of {subject}"),
        Some(Target::WholeNamespace(_)) => "all of the namespace".to_owned(),
        None => "unknown: drop all that is cached".to_owned(),
    }
}

/// One line for programs: the message as the API has it, its event under the event's name.
fn to_json(message: &WatchRevocationsResponse) -> Value {
    let withdrawn = |token_id, namespace, time: Option<_>, reason| {
        json!({
            "token_id": token_id, "namespace": namespace, "time": time.map(view::time), "reason": reason,
        })
    };
    let (name, event) = match message.event.clone() {
        Some(Event::Started(_)) => ("started", json!({})),
        Some(Event::Heartbeat(_)) => ("heartbeat", json!({})),
        Some(Event::Revoked(it)) => (
            "revoked",
            withdrawn(it.token_id, it.namespace, it.time, it.reason),
        ),
        Some(Event::Suspended(it)) => (
            "suspended",
            withdrawn(it.token_id, it.namespace, it.time, it.reason),
        ),
        Some(Event::Narrowed(it)) => (
            "narrowed",
            json!({
                "token_id": it.token_id, "namespace": it.namespace, "time": it.time.map(view::time),
            }),
        ),
        Some(Event::SecretRetired(it)) => (
            "secret_retired",
            json!({
                "token_id": it.token_id, "namespace": it.namespace, "version": it.version,
                "retire_time": it.retire_time.map(view::time),
            }),
        ),
        Some(Event::IssuedRevoked(it)) => {
            let (target, whose) = match it.target {
                Some(Target::Subject(subject)) => ("subject", json!(subject)),
                Some(Target::WholeNamespace(all)) => ("whole_namespace", json!(all)),
                None => ("unknown", json!({})),
            };
            (
                "issued_revoked",
                json!({
                    "namespace": it.namespace, target: whose,
                    "not_before_time": it.not_before_time.map(view::time), "reason": it.reason,
                }),
            )
        }
        Some(Event::SubjectSuspended(it)) => (
            "subject_suspended",
            json!({
                "namespace": it.namespace, "subject": it.subject, "time": it.time.map(view::time),
                "reason": it.reason,
            }),
        ),
        None => ("unknown", json!({})),
    };
    json!({ "cursor": message.cursor, "revision": message.revision, name: event })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_later_version_says_to_drop_the_cache() {
        let message = WatchRevocationsResponse {
            cursor: "c".to_owned(),
            event: None,
            revision: 7,
        };
        assert!(to_line(&message).contains("drop all that is cached"));
        assert_eq!(
            to_json(&message),
            json!({ "cursor": "c", "revision": 7, "unknown": {} })
        );
    }
}
