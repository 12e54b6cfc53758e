//! Throw-away Postgres servers and databases.

use crate::janitor::Janitor;
use anyhow::Context;
use guildhall_provision::PostgresOptions;
use std::sync::Mutex;
pub use tokio_postgres::Client;
use tokio_postgres::{Config, NoTls};

/// Names a server to use instead of starting one per test process: a superuser's connection URL.
pub const GIVEN_SERVER: &str = "GUILDHALL_TEST_POSTGRES";

/// A Postgres server for tests: private, on a free port; it ends with the test process.
pub struct Postgres {
    config: Config,
    own: Option<Own>,
}

struct Own {
    // Fields drop in this order: first the server ends, then its directory goes.
    instance: Mutex<Option<guildhall_provision::Postgres>>,
    janitor: Janitor,
    durable: bool,
}

impl Own {
    fn options(&self) -> PostgresOptions {
        PostgresOptions {
            durable: self.durable,
            ..PostgresOptions::new(self.janitor.dir())
        }
    }
}

impl Postgres {
    /// Starts a server of its own, for tests that stop or crash it. Nothing is forced to disk.
    pub async fn start() -> anyhow::Result<Postgres> {
        Postgres::start_own(false).await
    }

    /// The same with everything as durable as in operation.
    pub async fn start_durable() -> anyhow::Result<Postgres> {
        Postgres::start_own(true).await
    }

    async fn start_own(durable: bool) -> anyhow::Result<Postgres> {
        tokio::task::spawn_blocking(move || {
            let own = Own {
                instance: Mutex::new(None),
                janitor: Janitor::new("guildhall-pg-")?,
                durable,
            };
            let instance = guildhall_provision::Postgres::start(&own.options())
                .context("cannot start a throw-away Postgres")?;
            let config = instance
                .url("postgres")
                .parse()
                .context("the server's own URL is valid")?;
            *own.instance.lock().unwrap() = Some(instance);
            Ok(Postgres {
                config,
                own: Some(own),
            })
        })
        .await?
    }

    /// The server that all tests of this process share: the one that `GUILDHALL_TEST_POSTGRES` names, else one that
    /// is started at the first call.
    pub async fn shared() -> anyhow::Result<&'static Postgres> {
        static SHARED: tokio::sync::OnceCell<Postgres> = tokio::sync::OnceCell::const_new();
        SHARED
            .get_or_try_init(|| async {
                match std::env::var(GIVEN_SERVER) {
                    Ok(url) => {
                        let config = url
                            .parse()
                            .with_context(|| format!("{GIVEN_SERVER} is not a valid URL"))?;
                        Ok(Postgres { config, own: None })
                    }
                    Err(_) => Postgres::start().await,
                }
            })
            .await
    }

    /// How to connect to its database `postgres` as superuser.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(5432)
    }

    /// A fresh database with the migrations of this build.
    pub async fn database(&self) -> anyhow::Result<Database> {
        let prepare = |config| async move {
            guildhall_store_native::migrate::run(&config).await?;
            Ok(())
        };
        let checksum = guildhall_store_native::migrate::Source::embedded().checksum();
        self.database_from(&format!("template_{}", &checksum[..16]), prepare)
            .await
    }

    /// A fresh copy of the database `template`, which `prepare` fills when the server has none of that name yet. Give
    /// the template's name a checksum of what fills it.
    pub async fn database_from<F, W>(&self, template: &str, prepare: F) -> anyhow::Result<Database>
    where
        F: FnOnce(Config) -> W,
        W: Future<Output = anyhow::Result<()>>,
    {
        self.ensure_template(template, prepare).await?;
        self.create(Some(template)).await
    }

    /// A fresh database with nothing in it.
    pub async fn empty_database(&self) -> anyhow::Result<Database> {
        self.create(None).await
    }

    async fn ensure_template<F, W>(&self, template: &str, prepare: F) -> anyhow::Result<()>
    where
        F: FnOnce(Config) -> W,
        W: Future<Output = anyhow::Result<()>>,
    {
        let client = connect(&self.config).await?;
        // Test processes share a server: one of them makes the template while the others wait.
        client.execute("select pg_advisory_lock(7420)", &[]).await?;
        let ready = client
            .query_opt(
                "select 1 from pg_database where datname = $1 and datistemplate",
                &[&template],
            )
            .await?
            .is_some();
        if !ready {
            client
                .batch_execute(&format!("drop database if exists {template}"))
                .await?;
            client
                .batch_execute(&format!("create database {template}"))
                .await?;
            let mut config = self.config.clone();
            config.dbname(template);
            prepare(config)
                .await
                .with_context(|| format!("cannot prepare {template}"))?;
            client
                .batch_execute(&format!("alter database {template} with is_template true"))
                .await?;
        }
        client.execute("select pg_advisory_unlock(7420)", &[]).await?;
        Ok(())
    }

    async fn create(&self, template: Option<&str>) -> anyhow::Result<Database> {
        let name = format!("test_{}", hex::encode(rand::random::<[u8; 8]>()));
        let client = connect(&self.config).await?;
        let template = template.unwrap_or("template0");
        client
            .batch_execute(&format!("create database {name} template {template}"))
            .await
            .with_context(|| format!("cannot make the database {name}"))?;
        let mut config = self.config.clone();
        config.dbname(&name);
        Ok(Database {
            name,
            config,
            server: self.config.clone(),
        })
    }

    /// Ends the server as a crash would; commits survive. Only for a server of one's own.
    pub async fn crash(&self) -> anyhow::Result<()> {
        self.with_own(|own| {
            if let Some(mut instance) = own.instance.lock().unwrap().take() {
                instance.crash();
            }
            Ok(())
        })
    }

    /// Starts it again on the same port after [`crash`](Postgres::crash).
    pub async fn restart(&self) -> anyhow::Result<()> {
        let port = self.port();
        self.with_own(|own| {
            let mut slot = own.instance.lock().unwrap();
            *slot = None;
            let instance = guildhall_provision::Postgres::start(&own.options())?;
            anyhow::ensure!(
                instance.port() == port,
                "Postgres lost its port {port} to another program"
            );
            *slot = Some(instance);
            Ok(())
        })
    }

    /// Ends every session of one database, as a fail-over would.
    pub async fn disconnect_all(&self, database: &str) -> anyhow::Result<()> {
        let client = connect(&self.config).await?;
        client
            .execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1",
                &[&database],
            )
            .await?;
        Ok(())
    }

    fn with_own(&self, work: impl FnOnce(&Own) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let own = self
            .own
            .as_ref()
            .context("only a server of one's own can be crashed: use Postgres::start")?;
        tokio::task::block_in_place(|| work(own))
    }
}

/// A database of one test. Dropped, it is removed.
pub struct Database {
    name: String,
    config: Config,
    server: Config,
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to connect to it as its owner.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A connection.
    pub async fn client(&self) -> anyhow::Result<Client> {
        connect(&self.config).await
    }

    /// The connection URL.
    pub fn url(&self) -> String {
        let password = String::from_utf8_lossy(self.config.get_password().unwrap_or_default()).to_string();
        let user = self.config.get_user().unwrap_or("guildhall");
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{}", self.name)
    }

    /// The same as libpq key=value words, which is how components get it. `port` is that of a proxy, if one is between.
    pub fn keywords(&self, port: Option<u16>) -> String {
        let password = String::from_utf8_lossy(self.config.get_password().unwrap_or_default()).to_string();
        let user = self.config.get_user().unwrap_or("guildhall");
        let port = port.or(self.config.get_ports().first().copied()).unwrap_or(5432);
        format!(
            "host=127.0.0.1 port={port} user={user} password={password} dbname={}",
            self.name
        )
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A drop cannot await, and the test's runtime may be ending: a short-lived runtime of its own does it.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .ok()?;
            runtime.block_on(async {
                let client = connect(&server).await.ok()?;
                client
                    .batch_execute(&format!("drop database if exists {name} with (force)"))
                    .await
                    .ok()
            })
        });
        // A server that was crashed on purpose cannot drop it; its directory goes as a whole.
        let _ = removal.join();
    }
}

/// Connects, and drives the connection in the background.
pub async fn connect(config: &Config) -> anyhow::Result<Client> {
    let (client, connection) = config
        .connect(NoTls)
        .await
        .context("cannot connect to the test database")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("test database connection: {error}");
        }
    });
    Ok(client)
}
