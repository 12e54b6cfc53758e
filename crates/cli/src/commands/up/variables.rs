//! The values of the application's variables.

use crate::database;
use crate::error::{CliError, Result};
use std::collections::BTreeMap;
use tokio_postgres::Config;

/// Everything that variables are made of.
pub struct Parts<'a> {
    /// The database.
    pub database: &'a Config,
    /// Redis, as URL.
    pub redis_url: &'a str,
    /// How others reach the fleet.
    pub public_url: &'a str,
    /// The components' secret among themselves.
    pub internal_token: &'a str,
    /// The workspace server's base URL and token, when there is one.
    pub workspace: Option<(&'a str, &'a str)>,
}

/// The variables by name. Those that are absent keep the application's default.
pub fn values(parts: &Parts<'_>) -> Result<BTreeMap<String, String>> {
    let redis = url::Url::parse(parts.redis_url)
        .ok()
        .filter(|url| matches!(url.scheme(), "redis" | "rediss"));
    let redis = redis.filter(|url| url.host_str().is_some()).ok_or_else(|| {
        CliError::new("cannot use the Redis URL")
            .hint("give redis://HOST:PORT, or redis://:PASSWORD@HOST:PORT")
    })?;
    let (database_host, database_port) = database::address(parts.database);
    let mut values = BTreeMap::from([
        ("database_url", database::component_words(parts.database)),
        ("database_host", database_host),
        ("database_port", database_port.to_string()),
        ("redis_url", parts.redis_url.to_string()),
        ("redis_host", redis.host_str().unwrap_or_default().to_string()),
        ("redis_port", redis.port().unwrap_or(6379).to_string()),
        ("public_url", parts.public_url.to_string()),
        ("internal_token", parts.internal_token.to_string()),
    ]);
    if let Some((url, token)) = parts.workspace {
        values.insert("workspace_url", url.to_string());
        values.insert("workspace_token", token.to_string());
    }
    Ok(values
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .collect())
}
