//! Options of the server: what endpoints of webhooks may be, and when they are tried again.

use std::path::PathBuf;

use ipnet::IpNet;

use super::limits;
use crate::serve::WebhookOptions;
use crate::token::webhook::pace::Pace;

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Webhooks")]
pub(super) struct WebhookArgs {
    /// A network that events may be sent to although it is not public, such as 10.1.0.0/16; may be repeated
    #[arg(long = "webhook-allow", value_name = "CIDR")]
    allow: Vec<IpNet>,
    /// Send events over http, unencrypted, to these networks
    #[arg(long = "webhook-allow-http", requires = "allow")]
    http: bool,
    /// CAs in PEM that endpoints are trusted by, besides those of the system
    #[arg(long = "webhook-ca", env = "TOKENWARD_WEBHOOK_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long after the first failure an event is sent again, at the latest; it doubles with each further one
    #[arg(long = "webhook-retry-min", value_name = "SPAN", default_value_t = Pace::default().retry_min.into(), value_parser = limits::span)]
    retry_min: humantime::Duration,
    /// And up to which span it doubles
    #[arg(long = "webhook-retry-max", value_name = "SPAN", default_value_t = Pace::default().retry_max.into(), value_parser = limits::span)]
    retry_max: humantime::Duration,
    /// An endpoint that took nothing for this long is paused
    #[arg(long = "webhook-pause-after", value_name = "SPAN", default_value_t = Pace::default().pause_after.into(), value_parser = limits::span)]
    pause_after: humantime::Duration,
    /// How long one sending may take, up to the end of the answer
    #[arg(long = "webhook-send-max", value_name = "SPAN", default_value_t = Pace::default().send_max.into(), value_parser = limits::span)]
    send_max: humantime::Duration,
}

impl WebhookArgs {
    pub(super) fn set(&self, options: &mut WebhookOptions) {
        options.reach.allow.clone_from(&self.allow);
        options.reach.http = self.http;
        options.ca.clone_from(&self.ca);
        options.pace = Pace {
            retry_min: self.retry_min.into(),
            retry_max: self.retry_max.into(),
            pause_after: self.pause_after.into(),
            send_max: self.send_max.into(),
        };
    }
}
