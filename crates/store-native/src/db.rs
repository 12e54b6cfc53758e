//! The store's `Db` over a pool of tokio-postgres connections.

use crate::tls;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use guildhall_store::{Db, DbError, Param, catalogue};
use serde_json::Value;
use std::time::Duration;
use tokio_postgres::{Config, NoTls, types::ToSql};

/// How many connections, and how long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct NativeDbOptions {
    /// Most connections at once.
    pub max_connections: usize,
    /// Longest wait for a connection, free or new.
    pub connect_timeout: Duration,
    /// Longest run of one statement, in the server.
    pub statement_timeout: Duration,
    /// Longest wait for one row lock, in the server.
    pub lock_timeout: Duration,
}

impl Default for NativeDbOptions {
    fn default() -> Self {
        NativeDbOptions {
            max_connections: 8,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(2),
        }
    }
}

/// A pool of connections to one database. Cloning shares the pool.
#[derive(Clone)]
pub struct NativeDb {
    pool: Pool,
}

impl NativeDb {
    /// A pool for `config`; nothing is connected before the first statement. Other machines than this one are spoken
    /// to by verified TLS only, unless `config` says `sslmode=disable`.
    pub fn new(mut config: Config, options: NativeDbOptions) -> Result<Self, DbError> {
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(options.connect_timeout);
        }
        if config.get_application_name().is_none() {
            config.application_name("guildhall");
        }
        let manager_config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = if tls::is_plain(&config) {
            Manager::from_config(config, NoTls, manager_config)
        } else {
            let connector = tls::verified()
                .map_err(|error| DbError::unavailable(format!("cannot set up TLS: {error}")))?;
            Manager::from_config(config, connector, manager_config)
        };
        let setup = format!(
            "set statement_timeout = {}; set lock_timeout = {}; set idle_in_transaction_session_timeout = 3000; \
             set jit = off; set timezone = 'UTC'",
            options.statement_timeout.as_millis(),
            options.lock_timeout.as_millis(),
        );
        let pool = Pool::builder(manager)
            .max_size(options.max_connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(options.connect_timeout))
            .create_timeout(Some(options.connect_timeout))
            .recycle_timeout(Some(options.connect_timeout))
            .post_create(Hook::async_fn(move |client, _| {
                let setup = setup.clone();
                Box::pin(async move { client.batch_execute(&setup).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|error| DbError::unavailable(format!("cannot make a connection pool: {error}")))?;
        Ok(NativeDb { pool })
    }

    /// The same from libpq key=value words or a `postgres://` URL.
    pub fn from_url(url: &str, options: NativeDbOptions) -> Result<Self, DbError> {
        let config = url
            .parse::<Config>()
            .map_err(|error| DbError::unavailable(format!("the database URL is not valid: {error}")))?;
        Self::new(config, options)
    }

    /// Closes every connection; statements after this fail.
    pub fn close(&self) {
        self.pool.close();
    }

    async fn call_once(&self, sql: &'static str, params: &[Param]) -> Result<Vec<Value>, Failure> {
        let client: Object = self.pool.get().await.map_err(pool_failure)?;
        match query(&client, sql, params).await {
            Err(failed) if failed.connection_broke => {
                // A server that ended this connection ended the idle ones too; the next call gets a new one.
                drop(Object::take(client));
                self.pool.retain(|_, _| false);
                Err(failed)
            }
            answer => answer,
        }
    }
}

async fn query(client: &Object, sql: &'static str, params: &[Param]) -> Result<Vec<Value>, Failure> {
    let statement = client
        .prepare_cached(sql)
        .await
        .map_err(|error| failure(&error))?;
    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(as_sql).collect();
    let rows = client
        .query(&statement, &params)
        .await
        .map_err(|error| failure(&error))?;
    rows.iter()
        .map(|row| {
            // A scalar function that gives SQL null gives JSON null.
            row.try_get::<_, Option<Value>>(0)
                .map(Option::unwrap_or_default)
                .map_err(|error| Failure::final_(DbError::decode(error.to_string())))
        })
        .collect()
}

/// A failed call, and whether the connection broke under it.
struct Failure {
    error: DbError,
    connection_broke: bool,
}

impl Failure {
    fn final_(error: DbError) -> Self {
        Failure {
            error,
            connection_broke: false,
        }
    }
}

fn failure(error: &tokio_postgres::Error) -> Failure {
    match error.as_db_error() {
        Some(refusal) => {
            let message = match refusal.detail() {
                Some(detail) => format!("{}: {detail}", refusal.message()),
                None => refusal.message().to_owned(),
            };
            // Class 57P: the server is ending this connection; the statement did not happen.
            Failure {
                connection_broke: refusal.code().code().starts_with("57P"),
                error: DbError::sql(refusal.code().code(), message),
            }
        }
        None => Failure {
            error: DbError::unavailable(chain(error)),
            connection_broke: true,
        },
    }
}

fn pool_failure(error: PoolError) -> Failure {
    Failure::final_(match error {
        PoolError::Backend(error) => return failure(&error),
        PoolError::PostCreateHook(HookError::Backend(error)) => return failure(&error),
        PoolError::Timeout(TimeoutType::Wait) => DbError::sql(
            "53300",
            "every database connection is busy; the pool is too small for the load",
        ),
        PoolError::Timeout(_) => DbError::unavailable("no connection could be made in time"),
        other => DbError::unavailable(other.to_string()),
    })
}

/// An error with everything that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn as_sql(param: &Param) -> &(dyn ToSql + Sync) {
    match param {
        Param::Text(text) => text,
        Param::OptText(text) => text,
        Param::Int(number) => number,
        Param::OptInt(number) => number,
        Param::Bool(flag) => flag,
        Param::Json(value) => value,
        Param::OptJson(value) => value,
    }
}

impl Db for NativeDb {
    async fn call(&self, sql: &'static str, params: &[Param]) -> Result<Vec<Value>, DbError> {
        match self.call_once(sql, params).await {
            Err(failed) if failed.connection_broke && catalogue::is_replay_safe(sql) => {
                self.call_once(sql, params).await.map_err(|failed| failed.error)
            }
            answer => answer.map_err(|failed| failed.error),
        }
    }
}
