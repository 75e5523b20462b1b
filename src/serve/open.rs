//! The store and the pepper a server begins with.

use std::path::Path;
use std::sync::Arc;

use super::options::{Options, StoreAddress};
use super::writing::Writing;
use super::{ServeError, bootstrap, pepper, private_file};
use crate::clock::{Entropy, SystemClock, SystemEntropy, random};
use crate::journal::cursor::Epoch;
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite;
use crate::token::Token;
use crate::token::secret::Peppers;

pub(super) async fn open(
    options: &Options,
    entropy: &dyn Entropy,
) -> Result<(Arc<dyn Store>, Arc<Peppers>), ServeError> {
    let epoch = Epoch::new(random(entropy));
    match &options.store {
        StoreAddress::Sqlite(path) => {
            let opened = sqlite::Opened::open(path, epoch).await?;
            let file = options
                .pepper_file
                .clone()
                .unwrap_or_else(|| private_file::beside(path, ".pepper"));
            // A store that holds anything was written with a pepper; a new one would make all of it unknown.
            let peppers = pepper::load_or_create(&file, opened.is_fresh(), entropy)?;
            let store = opened.with(peppers.row_key());
            pepper::belongs(&file, store.recognise(&peppers).await?)?;
            Ok((Arc::new(store), Arc::new(peppers)))
        }
        StoreAddress::Postgres(database) => {
            let (file, peppers) = pepper::load_shared(options.pepper_file.as_deref())?;
            let store = PostgresStore::open(database, peppers.row_key()).await?;
            pepper::belongs(file, store.recognise(&peppers).await?)?;
            Ok((Arc::new(store), Arc::new(peppers)))
        }
        StoreAddress::Memory => {
            tracing::warn!("the store is in memory: nothing survives this process");
            let pepper = match &options.pepper_file {
                Some(file) => pepper::load_or_create(file, true, entropy)?,
                None => pepper::new(entropy),
            };
            Ok((Arc::new(MemoryStore::new(epoch)), Arc::new(pepper)))
        }
    }
}

/// Makes the first admin of a store without serving it, or with `force` a further one; its credential is put
/// in the file at `path`. Servers of a shared store hear of it as of any change.
pub async fn bootstrap_store(options: &Options, path: &Path, force: bool) -> Result<Token, ServeError> {
    let entropy = Arc::new(SystemEntropy);
    let (store, peppers) = open(options, &*entropy).await?;
    let head = store.head().await?;
    let writing = Writing::start(
        Arc::clone(&store),
        Arc::clone(&store),
        Arc::new(SystemClock),
        entropy,
        peppers,
        head.epoch,
    );
    let admin = bootstrap::bootstrap(&writing.authority, path, force).await;
    writing.end().await?;
    store.close().await;
    Ok(admin?)
}
