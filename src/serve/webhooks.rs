//! What sends webhooks, put together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::options::WebhookOptions;
use crate::authority::Authority;
use crate::clock::{Clock, Entropy};
use crate::journal::cursor::Epoch;
use crate::store::Store;
use crate::store::lease::Duty;
use crate::token::secret::Peppers;
use crate::webhook::{Client, Courier, DUTY, Sender, SystemResolver, Tally, client_config};

/// Why no endpoint could be trusted.
#[derive(Debug, thiserror::Error)]
pub enum WebhookCaError {
    #[error("{path} has no certificates in PEM: {why}")]
    Unreadable { path: PathBuf, why: String },
    #[error("there is no TLS to endpoints of webhooks: {0}")]
    Tls(#[from] rustls::Error),
}

/// What sends webhooks, and what is told of it.
#[derive(Debug)]
pub(super) struct Webhooks {
    pub(super) sender: Arc<Sender>,
    pub(super) tally: Arc<Tally>,
    /// This server, as it wants to deliver for all.
    pub(super) duty: Duty,
}

impl Webhooks {
    pub(super) fn new(
        options: &WebhookOptions,
        store: &Arc<dyn Store>,
        peppers: &Arc<Peppers>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Webhooks, WebhookCaError> {
        let own = options.ca.as_deref().map_or(Ok(Vec::new()), certificates)?;
        let tls = client_config(own)?;
        let client = Client::new(
            Arc::new(SystemResolver),
            tls,
            options.reach.clone(),
            options.pace.send_max,
        );
        let sender = Sender::new(
            Arc::clone(store),
            Arc::clone(peppers),
            Arc::clone(clock),
            Arc::clone(entropy),
            client,
        );
        Ok(Webhooks {
            sender: Arc::new(sender),
            tally: Arc::default(),
            duty: Duty::new(DUTY, &**entropy),
        })
    }

    pub(super) fn courier(
        &self,
        options: &WebhookOptions,
        store: &Arc<dyn Store>,
        authority: &Arc<Authority>,
        epoch: Epoch,
    ) -> Courier {
        Courier::new(
            Arc::clone(store),
            Arc::clone(authority),
            Arc::clone(&self.sender),
            self.duty,
            (options.pace, epoch, Arc::clone(&self.tally)),
        )
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, WebhookCaError> {
    let unreadable = |why: String| WebhookCaError::Unreadable {
        path: path.to_owned(),
        why,
    };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
    let found: Result<Vec<_>, _> = found.collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unreadable("it has none".to_owned())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}
