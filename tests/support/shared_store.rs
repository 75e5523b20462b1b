//! What several servers of one process share: a Postgres database that is migrated, and a pepper. Included by the
//! tests of the whole program and by the benchmarks; no part of either.

use std::error::Error;
use std::net::SocketAddr;

use tokenward::journal::cursor::Epoch;
use tokenward::serve::{Options, StoreAddress, bootstrap_store};
use tokenward::store::postgres;

use crate::admin::{self, FILES};
use crate::database::Database;

pub(crate) struct SharedStore {
    pub(crate) database: Database,
}

impl SharedStore {
    pub(crate) async fn new() -> Result<SharedStore, Box<dyn Error>> {
        let database = Database::new().await.map_err(|error| error.to_string())?;
        postgres::migrate(&database.url.parse()?, Epoch::new([1; 16])).await?;
        let store = SharedStore { database };
        bootstrap_store(&store.server()?, &FILES.admin, false).await?;
        Ok(store)
    }

    /// A server over it, on a free port.
    pub(crate) fn server(&self) -> Result<Options, Box<dyn Error>> {
        let store = StoreAddress::Postgres(self.database.url.parse()?);
        let mut options = Options::new(store, SocketAddr::from(([127, 0, 0, 1], 0)));
        admin::known_to(&mut options);
        Ok(options)
    }
}
