//! What deliveries stand on.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Sender;
use super::tally::Tally;
use crate::authority::Authority;
use crate::clock::{Clock, Entropy};
use crate::journal::cursor::Epoch;
use crate::store::Store;
use crate::token::webhook::pace::Pace;

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) authority: Arc<Authority>,
    pub(super) sender: Arc<Sender>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) tally: Arc<Tally>,
    pub(super) pace: Pace,
    pub(super) epoch: Epoch,
    pub(super) places: Semaphore,
}
