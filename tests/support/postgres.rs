//! A database of a test's own, on the server of `scripts/with-postgres`. Included by the unit tests and by
//! the tests of the whole program; no part of either.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

type Answer<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Where the server is.
const VARIABLE: &str = "TOKENWARD_TEST_POSTGRES_URL";

/// Set where the server is gone with the tests.
const THROWAWAY: &str = "TOKENWARD_TEST_POSTGRES_THROWAWAY";

/// Makes the template in one process at a time. Any number that nothing else on the server uses.
const TEMPLATE_LOCK: i64 = 0x746f_6b65_6e77_6172;

/// A database with the schema of this program and an empty journal table, gone with this value.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    pub(crate) url: String,
}

impl Database {
    /// A migrated database: the journal is begun by whoever migrates it again, under their epoch.
    pub(crate) async fn new() -> Answer<Database> {
        let mut server = server().await?;
        let template = template(&mut server).await?;
        Database::create(&mut server, &format!("TEMPLATE {template}")).await
    }

    /// A database with nothing in it.
    pub(crate) async fn empty() -> Answer<Database> {
        Database::create(&mut server().await?, "").await
    }

    async fn create(server: &mut PgConnection, with: &str) -> Answer<Database> {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let number = CREATED.fetch_add(1, Ordering::SeqCst);
        let name = format!("tokenward_test_{}_{number}", std::process::id());
        // One that is left over is of a process that was killed and had the same number.
        execute(server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        execute(server, format!("CREATE DATABASE {name} {with}")).await?;
        let url = server_url()?;
        let (before, query) = url.split_once('?').unwrap_or((&url, ""));
        let (scheme, rest) = before.split_once("://").ok_or("the URL has no scheme")?;
        let authority = rest.split('/').next().unwrap_or_default();
        let url = format!("{scheme}://{authority}/{name}?{query}");
        Ok(Database { name, url })
    }

    /// A connection past every check: what an operator, or a restored backup, could do.
    pub(crate) async fn connect(&self) -> Answer<PgConnection> {
        Ok(self.url.parse::<PgConnectOptions>()?.connect().await?)
    }
}

impl Drop for Database {
    /// On a server that is gone with the tests it stays: each drop waits for a checkpoint of the whole server.
    fn drop(&mut self) {
        if std::env::var_os(THROWAWAY).is_some() {
            return;
        }
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // Its own thread, since the test's runtime may be ending; waited for, so that no test outlives it.
        let dropping = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async { execute(&mut server().await?, drop).await })
        });
        // What is left goes with the server.
        let _ = dropping.join();
    }
}

fn server_url() -> Answer<String> {
    let missing = || format!("{VARIABLE} is not set: run this as `scripts/with-postgres cargo test …`");
    Ok(std::env::var(VARIABLE).map_err(|_| missing())?)
}

async fn server() -> Answer<PgConnection> {
    Ok(server_url()?.parse::<PgConnectOptions>()?.connect().await?)
}

/// The name of the database that all others are copied from, made by whoever needs it first.
async fn template(server: &mut PgConnection) -> Answer<String> {
    let migrator = sqlx::migrate!("migrations/postgres");
    let name = template_name(&migrator);
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *server)
        .await?;
    let made = make_template(server, &name, &migrator).await;
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *server)
        .await?;
    made.map(|()| name)
}

async fn make_template(server: &mut PgConnection, name: &str, migrator: &Migrator) -> Answer<()> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(&mut *server)
        .await?;
    if exists {
        return Ok(());
    }
    // Under another name until it is whole: a process may be killed on the way.
    let making = format!("{name}_making");
    execute(server, format!("DROP DATABASE IF EXISTS {making} WITH (FORCE)")).await?;
    execute(server, format!("CREATE DATABASE {making} TEMPLATE template0")).await?;
    let options: PgConnectOptions = server_url()?.parse()?;
    let mut connection = options.database(&making).connect().await?;
    migrator.run(&mut connection).await?;
    connection.close().await?;
    execute(server, format!("ALTER DATABASE {making} RENAME TO {name}")).await
}

/// Other migrations make another template.
fn template_name(migrator: &Migrator) -> String {
    let checksums = migrator.iter().flat_map(|migration| migration.checksum.iter());
    let mixed = checksums.fold(0_u64, |mixed, byte| {
        mixed
            .wrapping_mul(0x0100_0000_01b3)
            .wrapping_add(u64::from(*byte))
    });
    let mut name = "tokenward_template_".to_owned();
    let _ = write!(name, "{mixed:016x}");
    name
}

async fn execute(server: &mut PgConnection, statement: String) -> Answer<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(server).await?;
    Ok(())
}
