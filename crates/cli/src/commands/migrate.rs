//! `guildhall migrate`: brings a database up to this version's schema.

use crate::context::Context;
use crate::error::{CliError, Result};
use guildhall_store_native::migrate;
use serde_json::json;
use tokio_postgres::Config;

/// Which database.
#[derive(Clone, Debug, clap::Args)]
pub struct Migrate {
    /// The database, as postgres:// URL or libpq key=value words [default: that of the state directory's fleet]
    #[arg(
        long,
        env = "GUILDHALL_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    database_url: Option<String>,
}

/// Does it.
pub async fn run(context: &Context, command: Migrate) -> Result<()> {
    let known = || {
        context
            .credentials()
            .map(|known| known.database)
            .filter(|words| !words.is_empty())
    };
    let url = command.database_url.or_else(known).ok_or_else(|| {
        CliError::new("there is no database to migrate").hint(
            "give --database-url, or set GUILDHALL_DATABASE_URL; `guildhall up` migrates its own by itself",
        )
    })?;
    let report = apply(&crate::database::parse(&url)?).await?;
    if context.output.json {
        let document =
            json!({ "version": report.version, "applied": report.applied, "functions": report.functions });
        return context.output.document("guildhall.migrated.v1", document);
    }
    context.output.line(&describe(&report))
}

/// Applies what is missing.
pub async fn apply(config: &Config) -> Result<migrate::Report> {
    migrate::run(config).await.map_err(|error| {
        let (host, port) = crate::database::address(config);
        CliError::new(format!("cannot migrate the database at {host}:{port}"))
            .because(error.to_string())
            .hint(error.hint())
    })
}

/// What was done, in one line.
pub fn describe(report: &migrate::Report) -> String {
    match (report.applied.as_slice(), report.functions.as_slice()) {
        ([], []) => format!(
            "the schema is at version {:04}, nothing was to be done",
            report.version
        ),
        (applied, functions) => format!(
            "the schema is at version {:04}: {} migrations and {} function files applied",
            report.version,
            applied.len(),
            functions.len()
        ),
    }
}
