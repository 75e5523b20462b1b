//! Which tokens a command is about.

use super::super::failure::Failure;
use super::super::spelling;
use super::issue::labels;
use crate::proto::v1;

/// All of what is given must be true of a token.
#[derive(clap::Args, Debug)]
pub(super) struct FilterArgs {
    /// Only the token with this id; may be repeated
    #[arg(long = "id", value_name = "TOKEN_ID", help_heading = "Which tokens")]
    ids: Vec<String>,
    /// Only those whose name begins so
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Which tokens"
    )]
    name_prefix: String,
    /// Only those whose name has this in it
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Which tokens"
    )]
    name_contains: String,
    /// Only those with this scope
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        help_heading = "Which tokens"
    )]
    scope: String,
    /// Only those that speak for this subject
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        help_heading = "Which tokens"
    )]
    subject: String,
    /// Only those with this label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = spelling::label, help_heading = "Which tokens")]
    labels: Vec<(String, String)>,
    /// Only those that are shown in this state; may be repeated
    #[arg(long = "state", value_name = "STATE", help_heading = "Which tokens")]
    states: Vec<State>,
    /// Only those issued at this instant, in RFC 3339, or after it
    #[arg(long, value_name = "TIME", value_parser = spelling::instant, help_heading = "Which tokens")]
    created_after: Option<jiff::Timestamp>,
    /// Only those issued before this instant
    #[arg(long, value_name = "TIME", value_parser = spelling::instant, help_heading = "Which tokens")]
    created_before: Option<jiff::Timestamp>,
    /// Only those that end at this instant or after it
    #[arg(long, value_name = "TIME", value_parser = spelling::instant, help_heading = "Which tokens")]
    expires_after: Option<jiff::Timestamp>,
    /// Only those that end before this instant
    #[arg(long, value_name = "TIME", value_parser = spelling::instant, help_heading = "Which tokens")]
    expires_before: Option<jiff::Timestamp>,
    /// Only those that are due for rotation before this instant
    #[arg(long, value_name = "TIME", value_parser = spelling::instant, help_heading = "Which tokens")]
    rotation_due_before: Option<jiff::Timestamp>,
    /// Only those that were last used at this instant or after it
    #[arg(long, value_name = "TIME", value_parser = spelling::instant, help_heading = "Which tokens")]
    last_used_after: Option<jiff::Timestamp>,
    /// Only those that were used, and last before this instant
    #[arg(long, value_name = "TIME", value_parser = spelling::instant, help_heading = "Which tokens")]
    last_used_before: Option<jiff::Timestamp>,
    /// Only those that were not used since this instant, and not issued since
    #[arg(long, value_name = "TIME", value_parser = spelling::instant, help_heading = "Which tokens")]
    unused_since: Option<jiff::Timestamp>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum State {
    Active,
    Suspended,
    Revoked,
    Expired,
}

impl From<State> for v1::TokenState {
    fn from(state: State) -> v1::TokenState {
        match state {
            State::Active => v1::TokenState::Active,
            State::Suspended => v1::TokenState::Suspended,
            State::Revoked => v1::TokenState::Revoked,
            State::Expired => v1::TokenState::Expired,
        }
    }
}

impl FilterArgs {
    pub(super) fn filter(self) -> Result<v1::TokenFilter, Failure> {
        let instant = |at: Option<jiff::Timestamp>| at.map(spelling::to_proto_timestamp);
        let states = self.states.into_iter().map(v1::TokenState::from);
        Ok(v1::TokenFilter {
            token_ids: self.ids,
            name_prefix: self.name_prefix,
            name_contains: self.name_contains,
            scope: self.scope,
            subject: self.subject,
            labels: labels(self.labels)?,
            states: states.map(i32::from).collect(),
            created_after: instant(self.created_after),
            created_before: instant(self.created_before),
            expires_after: instant(self.expires_after),
            expires_before: instant(self.expires_before),
            rotation_due_before: instant(self.rotation_due_before),
            last_used_after: instant(self.last_used_after),
            last_used_before: instant(self.last_used_before),
            unused_since: instant(self.unused_since),
        })
    }
}
