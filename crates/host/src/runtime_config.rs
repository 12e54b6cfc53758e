//! `runtime-config.toml`: where variables come from, and how outbound connections are pooled and bounded.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    error::{ErrorKind, HostError, Result},
    manifest::Section,
    network::BlockedNetworks,
};

/// What the file decides; the defaults are Spin's without the file.
#[derive(Default)]
pub(crate) struct RuntimeConfig {
    pub providers: Vec<Provider>,
    pub http: HttpConfig,
    /// Connections to Postgres at once, over all components; unlimited when `None`.
    pub pg_connections: Option<usize>,
    /// Connections to Redis at once, over all components; unlimited when `None`.
    pub redis_connections: Option<usize>,
    pub blocked: BlockedNetworks,
}

/// `[outbound_http]`.
pub(crate) struct HttpConfig {
    pub pooling: bool,
    /// Connections at once, over all components; unlimited when `None`.
    pub connections: Option<usize>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            pooling: true,
            connections: None,
        }
    }
}

const ROOT_REFUSED: &[(&str, &str)] = &[
    (
        "key_value_store",
        "the host offers no key-value store; remove the table",
    ),
    ("sqlite_database", "the host offers no SQLite; remove the table"),
    ("llm_compute", "the host offers no inference; remove the table"),
    (
        "client_tls",
        "the host trusts the web's certificate authorities; remove the table",
    ),
    ("outbound_mysql", "the host offers no MySQL; remove the table"),
    ("outbound_mqtt", "the host offers no MQTT; remove the table"),
    ("config_provider", "renamed by Spin; use [[variables_provider]]"),
];

impl RuntimeConfig {
    /// Reads `path`; relative paths in it are relative to its folder.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            HostError::new(
                ErrorKind::Unreadable,
                path.display().to_string(),
                format!("cannot be read: {e}"),
            )
        })?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")))
    }

    fn parse(text: &str, folder: &Path) -> Result<Self> {
        let mut root = Section::parse("runtime-config.toml", text)?;
        let providers = root
            .array("variables_provider")?
            .into_iter()
            .map(|s| provider(s, folder))
            .collect::<Result<_>>()?;
        let http = match root.section("outbound_http")? {
            Some(s) => http(s)?,
            None => HttpConfig::default(),
        };
        let pg_connections = max_connections(root.section("outbound_pg")?)?;
        let redis_connections = max_connections(root.section("outbound_redis")?)?;
        let mut blocked = BlockedNetworks::default();
        if let Some(mut s) = root.section("outbound_networking")? {
            for network in s.strings("block_networks")? {
                blocked
                    .add(&network)
                    .map_err(|cause| s.invalid("block_networks", cause))?;
            }
            s.finish(&[
                (
                    "max_socket_connections",
                    "bound the single kinds: [outbound_http], [outbound_pg], [outbound_redis]",
                ),
                (
                    "max_total_connections",
                    "bound the single kinds: [outbound_http], [outbound_pg], [outbound_redis]",
                ),
            ])?;
        }
        // Where Spin keeps its own state and logs; the embedder decides that here.
        root.take("state_dir");
        root.take("log_dir");
        root.finish(ROOT_REFUSED)?;
        Ok(Self {
            providers,
            http,
            pg_connections,
            redis_connections,
            blocked,
        })
    }
}

fn http(mut s: Section) -> Result<HttpConfig> {
    // As in Spin, the table without the key turns pooling off.
    let pooling = s.boolean("connection_pooling")?.unwrap_or(false);
    let connections = match (s.count("max_connections")?, s.count("max_concurrent_requests")?) {
        (Some(_), Some(_)) => {
            return Err(s.invalid("max_concurrent_requests", "cannot stand beside max_connections"));
        }
        (Some(n), None) => Some(n),
        // The older key let one connection more through.
        (None, Some(n)) => Some(n + 1),
        (None, None) => None,
    };
    s.finish(&[])?;
    Ok(HttpConfig { pooling, connections })
}

fn max_connections(section: Option<Section>) -> Result<Option<usize>> {
    let Some(mut s) = section else { return Ok(None) };
    let count = s.count("max_connections")?;
    s.finish(&[])?;
    Ok(count)
}

/// A source of variable values.
pub(crate) enum Provider {
    /// Values written down.
    Static(HashMap<String, String>),
    /// `PREFIX_NAME` in the environment, then in a dotenv file.
    Environment {
        prefix: String,
        dotenv: HashMap<String, String>,
    },
}

impl Provider {
    /// The environment under `prefix` (`SPIN_VARIABLE` when `None`) and the file `dotenv`, if it exists.
    pub fn environment(prefix: Option<String>, dotenv: Option<PathBuf>) -> Result<Self> {
        let mut values = HashMap::new();
        if let Some(path) = dotenv.filter(|path| path.exists()) {
            let unreadable = |cause: String| {
                HostError::new(ErrorKind::Unreadable, path.display().to_string(), cause)
                    .hint("write one NAME=VALUE a line, or remove the file")
            };
            for pair in
                dotenvy::from_path_iter(&path).map_err(|e| unreadable(format!("cannot be read: {e}")))?
            {
                // The parser's own message quotes the line, which may hold a secret.
                let (name, value) = pair.map_err(|_| unreadable("a line is not NAME=VALUE".into()))?;
                values.insert(name, value);
            }
        }
        Ok(Self::Environment {
            prefix: prefix.unwrap_or_else(|| "SPIN_VARIABLE".into()),
            dotenv: values,
        })
    }

    /// The value of the variable `name`, if this source has one.
    pub fn get(&self, name: &str) -> Option<String> {
        match self {
            Self::Static(values) => values.get(name).cloned(),
            Self::Environment { prefix, dotenv } => {
                let key = format!("{prefix}_{}", name.to_ascii_uppercase());
                std::env::var(&key).ok().or_else(|| dotenv.get(&key).cloned())
            }
        }
    }
}

fn provider(mut s: Section, folder: &Path) -> Result<Provider> {
    let kind = s.required_string("type")?;
    let provider = match kind.as_str() {
        "static" => Provider::Static(s.string_map("values")?.into_iter().collect()),
        "env" => {
            let prefix = s.string("prefix")?;
            let dotenv = s.string("dotenv_path")?.map(|path| folder.join(path));
            Provider::environment(prefix, dotenv)?
        }
        other => {
            return Err(HostError::new(
                ErrorKind::Unsupported,
                s.place("type"),
                format!("the provider {other:?} is not supported"),
            )
            .hint("use \"static\" or \"env\""));
        }
    };
    s.finish(&[])?;
    Ok(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_without_the_key_turns_pooling_off_as_in_spin() {
        let config = |text| RuntimeConfig::parse(text, Path::new("")).unwrap().http.pooling;
        assert!(config(""));
        assert!(!config("[outbound_http]\n"));
        assert!(config("[outbound_http]\nconnection_pooling = true\n"));
    }

    #[test]
    fn providers_are_asked_in_order() {
        let text = "[[variables_provider]]\ntype = \"static\"\nvalues = { a = \"1\" }\n\
                    [[variables_provider]]\ntype = \"static\"\nvalues = { a = \"2\", b = \"3\" }\n";
        let config = RuntimeConfig::parse(text, Path::new("")).unwrap();
        let get = |name| config.providers.iter().find_map(|p| p.get(name));
        assert_eq!(
            (get("a"), get("b"), get("c")),
            (Some("1".into()), Some("3".into()), None)
        );
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let error = |text| {
            RuntimeConfig::parse(text, Path::new(""))
                .err()
                .expect("refused")
                .to_string()
        };
        assert!(error("[llm_compute]\n").starts_with("runtime-config.toml llm_compute: "));
        assert!(error("[[variables_provider]]\ntype = \"vault\"\n").contains("\"vault\""));
        assert!(
            error("[outbound_pg]\nmax_connection = 1\n")
                .contains("[outbound_pg] max_connection: unknown key")
        );
        assert!(error("[outbound_networking]\nblock_networks = [\"nonsense\"]\n").contains("nonsense"));
    }
}
