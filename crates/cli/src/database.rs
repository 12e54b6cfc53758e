//! How this program and the components reach Postgres.

use crate::error::{CliError, Result};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Limits that every session of a component gets. They survive a connection's return to the pool because they are part
/// of its start. A component's statement takes milliseconds; one that takes seconds waits for something lost.
const SESSION_OPTIONS: &str =
    "-c statement_timeout=5000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=3000";

/// Reads a `postgres://` URL or libpq key=value words.
pub fn parse(text: &str) -> Result<Config> {
    let invalid = |why: String| {
        CliError::new("cannot use the database URL")
            .because(why)
            .hint("give postgres://USER:PASSWORD@HOST:PORT/DATABASE, or libpq key=value words")
    };
    let config: Config = text
        .parse()
        .map_err(|error: tokio_postgres::Error| invalid(error.to_string()))?;
    if !matches!(config.get_hosts(), [Host::Tcp(_)]) {
        return Err(invalid(
            "exactly one TCP host is needed; components cannot use Unix sockets".into(),
        ));
    }
    if config.get_user().is_none() {
        return Err(invalid("it names no user".into()));
    }
    Ok(config)
}

/// Host and port of a configuration that [`parse`] accepted.
pub fn address(config: &Config) -> (String, u16) {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        _ => "127.0.0.1".into(),
    };
    (host, config.get_ports().first().copied().unwrap_or(5432))
}

/// The key=value words that components connect with.
pub fn component_words(config: &Config) -> String {
    let (host, port) = address(config);
    let mut words = vec![format!("host={}", quoted(&host)), format!("port={port}")];
    let mut add = |name: &str, value: Option<&str>| {
        words.extend(value.map(|value| format!("{name}={}", quoted(value))));
    };
    add("user", config.get_user());
    add(
        "password",
        config.get_password().map(String::from_utf8_lossy).as_deref(),
    );
    add("dbname", config.get_dbname());
    add(
        "application_name",
        Some(config.get_application_name().unwrap_or("guildhall")),
    );
    add(
        "sslmode",
        match config.get_ssl_mode() {
            SslMode::Disable => Some("disable"),
            SslMode::Require => Some("require"),
            _ => None,
        },
    );
    let options = match config.get_options() {
        Some(own) => format!("{own} {SESSION_OPTIONS}"),
        None => SESSION_OPTIONS.to_string(),
    };
    add("options", Some(&options));
    let timeout_s = config
        .get_connect_timeout()
        .map_or(3, |timeout| timeout.as_secs().max(1));
    words.push(format!("connect_timeout={timeout_s}"));
    words.join(" ")
}

/// A value of key=value words: quoted when it has to be.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/@%+".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_string();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_way_there_and_back() {
        let text = "postgres://ada:it%27s%20a%5Cpass@db.example:6543/hall?sslmode=require&options=-c%20work_mem%3D8MB";
        let config = parse(text).unwrap();
        assert_eq!(address(&config), ("db.example".into(), 6543));
        let again: Config = component_words(&config).parse().unwrap();
        assert_eq!(again.get_password(), Some(b"it's a\\pass".as_slice()));
        assert_eq!(again.get_user(), Some("ada"));
        assert_eq!(again.get_dbname(), Some("hall"));
        assert_eq!(again.get_ssl_mode(), SslMode::Require);
        let options = again.get_options().unwrap();
        assert!(
            options.starts_with("-c work_mem=8MB -c statement_timeout=5000"),
            "{options}"
        );
    }

    #[test]
    fn what_components_could_not_use_is_refused() {
        for wrong in [
            "",
            "nonsense",
            "postgres:///hall",
            "host=/var/run/postgresql user=x",
            "host=a,b user=x",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
