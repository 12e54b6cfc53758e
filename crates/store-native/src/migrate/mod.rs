//! Brings a database up to this binary.
//!
//! Numbered migrations are applied once, in order, each in a transaction of its own, and never changed afterwards: their
//! checksums are kept and compared. Function files hold the current truth (`create or replace`) and are applied again
//! whenever their checksum changes, all in one transaction. Migrators that start at the same time wait for each other.

mod error;
mod source;

pub use error::MigrateError;
pub use source::{FunctionFile, Migration, Source};

use crate::tls;
use std::collections::BTreeMap;
use tokio_postgres::{Client, Config, NoTls};

/// Any fixed number; migrators of the same database take the advisory lock of this key.
const ADVISORY_LOCK: i64 = 0x6775_696c_6468; // "guildh"

/// What [`run`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Migrations applied now, for example `0001_core`.
    pub applied: Vec<String>,
    /// Function files applied now.
    pub functions: Vec<String>,
    /// The newest migration in the database.
    pub version: i32,
}

/// Brings the database of `config` up to the migrations embedded in this binary. Does nothing when it is.
pub async fn run(config: &Config) -> Result<Report, MigrateError> {
    run_source(config, &Source::embedded()).await
}

/// The same with other migrations than the embedded ones; for tests of upgrades.
pub async fn run_source(config: &Config, source: &Source) -> Result<Report, MigrateError> {
    source.validate()?;
    let mut client = connect(config).await?;
    let cannot = |what: &'static str| move |error: tokio_postgres::Error| MigrateError::sql(what, &error);
    client
        .batch_execute("set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; set lock_timeout = '60s'")
        .await
        .map_err(cannot("prepare the session"))?;
    client
        .execute("select pg_advisory_lock($1)", &[&ADVISORY_LOCK])
        .await
        .map_err(|error| match error.code().map(|code| code.code()) {
            Some("55P03") => MigrateError::Busy,
            _ => MigrateError::sql("wait for other migrators", &error),
        })?;
    // The lock goes with the connection, so an early return releases it too.
    bootstrap(&client)
        .await
        .map_err(cannot("make schema guildhall"))?;
    let applied_before = applied(&client)
        .await
        .map_err(cannot("read the applied migrations"))?;
    check(source, &applied_before)?;

    let mut report = Report {
        version: source.version(),
        ..Report::default()
    };
    for migration in &source.migrations {
        if !applied_before.contains_key(&migration.version) {
            apply(&mut client, migration).await?;
            report.applied.push(migration.name.clone());
        }
    }
    report.functions = apply_functions(&mut client, &source.functions).await?;
    Ok(report)
}

async fn connect(config: &Config) -> Result<Client, MigrateError> {
    let mut config = config.clone();
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(std::time::Duration::from_secs(5));
    }
    config.application_name("guildhall-migrate");
    let unreachable = |error: tokio_postgres::Error| MigrateError::sql("connect to the database", &error);
    if tls::is_plain(&config) {
        let (client, connection) = config.connect(NoTls).await.map_err(unreachable)?;
        // The connection ends with the client; what it has to say comes back through the client's calls.
        tokio::spawn(connection);
        Ok(client)
    } else {
        let connector = tls::verified().map_err(|error| MigrateError::Tls(error.to_string()))?;
        let (client, connection) = config.connect(connector).await.map_err(unreachable)?;
        tokio::spawn(connection);
        Ok(client)
    }
}

async fn bootstrap(client: &Client) -> Result<(), tokio_postgres::Error> {
    client
        .batch_execute(
            "set client_min_messages = warning;
             create schema if not exists guildhall;
             create table if not exists guildhall.schema_migrations (
                 version integer primary key,
                 name text not null,
                 checksum text not null,
                 applied_at timestamptz not null
             );
             comment on table guildhall.schema_migrations is 'Migrations applied, with the checksum of their text.';
             create table if not exists guildhall.schema_functions (
                 name text primary key,
                 checksum text not null,
                 applied_at timestamptz not null
             );
             comment on table guildhall.schema_functions is 'Function files applied, with the checksum of their text.';",
        )
        .await
}

async fn applied(client: &Client) -> Result<BTreeMap<i32, (String, String)>, tokio_postgres::Error> {
    let rows = client
        .query(
            "select version, name, checksum from guildhall.schema_migrations",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), (row.get(1), row.get(2))))
        .collect())
}

/// Refuses a database that this binary's migrations did not make.
fn check(source: &Source, applied: &BTreeMap<i32, (String, String)>) -> Result<(), MigrateError> {
    for (version, (name, checksum)) in applied {
        let Some(migration) = source
            .migrations
            .iter()
            .find(|migration| migration.version == *version)
        else {
            return Err(MigrateError::Newer {
                database: name.clone(),
                binary: source.version(),
            });
        };
        if migration.checksum() != *checksum {
            return Err(MigrateError::Edited { name: name.clone() });
        }
    }
    Ok(())
}

async fn apply(client: &mut Client, migration: &Migration) -> Result<(), MigrateError> {
    let refused =
        |error: tokio_postgres::Error| MigrateError::refused(&migration.name, &migration.sql, &error);
    let transaction = client.transaction().await.map_err(refused)?;
    transaction
        .batch_execute("set local search_path = ''")
        .await
        .map_err(refused)?;
    transaction.batch_execute(&migration.sql).await.map_err(refused)?;
    transaction
        .execute(
            "insert into guildhall.schema_migrations (version, name, checksum, applied_at)
             values ($1, $2, $3, clock_timestamp())",
            &[&migration.version, &migration.name, &migration.checksum()],
        )
        .await
        .map_err(refused)?;
    transaction.commit().await.map_err(refused)
}

async fn apply_functions(client: &mut Client, files: &[FunctionFile]) -> Result<Vec<String>, MigrateError> {
    let cannot = |error: tokio_postgres::Error| MigrateError::sql("apply the function files", &error);
    let transaction = client.transaction().await.map_err(cannot)?;
    let known: BTreeMap<String, String> = transaction
        .query("select name, checksum from guildhall.schema_functions", &[])
        .await
        .map_err(cannot)?
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    // Files refer to each other in both directions; plpgsql_check looks at the bodies once all are there.
    transaction
        .batch_execute("set local search_path = ''; set local check_function_bodies = off")
        .await
        .map_err(cannot)?;
    let mut changed = Vec::new();
    for file in files {
        let checksum = file.checksum();
        if known.get(&file.name) == Some(&checksum) {
            continue;
        }
        let refused = |error: tokio_postgres::Error| MigrateError::refused(&file.name, &file.sql, &error);
        transaction.batch_execute(&file.sql).await.map_err(refused)?;
        transaction
            .execute(
                "insert into guildhall.schema_functions (name, checksum, applied_at)
                 values ($1, $2, clock_timestamp())
                 on conflict (name) do update set checksum = excluded.checksum, applied_at = excluded.applied_at",
                &[&file.name, &checksum],
            )
            .await
            .map_err(cannot)?;
        changed.push(file.name.clone());
    }
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    transaction
        .execute(
            "delete from guildhall.schema_functions where name <> all ($1)",
            &[&names],
        )
        .await
        .map_err(cannot)?;
    transaction.commit().await.map_err(cannot)?;
    Ok(changed)
}
