//! Pools of Postgres connections.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{Config, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    options::{Limits, Mode},
    outbound::chain,
};

/// Connections per pool in strict mode; Spin's figure.
const STRICT_CONNECTIONS: usize = 64;

/// Connection strings for which pools are kept; beyond it the one made first goes.
const POOLS: usize = 16;

/// What hardened mode runs on a connection before it is given out again. `BEGIN` comes first only so
/// that `ROLLBACK`, which ends whatever transaction a trapped guest left open, does not warn on every
/// clean connection; in a transaction that failed it is refused, and the connection is thrown away. The
/// rest is what Spin runs.
const HARDENED_RECYCLE: &str = "BEGIN; ROLLBACK; CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; \
     UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

/// The pools that a set of components shares: one component's own in strict mode, everyone's in
/// hardened mode.
#[derive(Clone)]
pub(crate) struct Pools(Arc<Inner>);

struct Inner {
    mode: Mode,
    limits: Limits,
    /// Connections in use at once over all pools of the application; unlimited when `None`.
    permits: Option<Arc<Semaphore>>,
    pools: Mutex<Vec<(Key, Pool)>>,
}

#[derive(Clone, PartialEq)]
struct Key {
    address: String,
    root: Option<RootCertificate>,
}

/// A certificate authority a guest trusts for its connection, beyond the web's.
#[derive(Clone, PartialEq)]
pub(super) struct RootCertificate(CertificateDer<'static>);

impl RootCertificate {
    /// Reads the first certificate in `pem`.
    pub fn parse(pem: &str) -> Result<Self, String> {
        CertificateDer::from_pem_slice(pem.as_bytes())
            .map(Self)
            .map_err(|e| format!("invalid root certificate: {e}"))
    }
}

/// A connection out of a pool, and the permit to have it.
pub(super) struct Leased {
    pub object: Object,
    pub permit: Option<OwnedSemaphorePermit>,
}

impl Pools {
    pub fn new(mode: Mode, limits: Limits, permits: Option<Arc<Semaphore>>) -> Self {
        Self(Arc::new(Inner {
            mode,
            limits,
            permits,
            pools: Mutex::default(),
        }))
    }

    pub fn mode(&self) -> Mode {
        self.0.mode
    }

    /// A connection to `address`; the error says why there is none.
    pub(super) async fn lease(&self, address: &str, root: Option<RootCertificate>) -> Result<Leased, String> {
        let permit = match &self.0.permits {
            None => None,
            Some(permits) => Some(match self.0.mode {
                Mode::Strict => permits
                    .clone()
                    .acquire_owned()
                    .await
                    .map_err(|_| "too many connections")?,
                Mode::Hardened => {
                    let wait = self.0.limits.pg_wait;
                    tokio::time::timeout(wait, permits.clone().acquire_owned())
                        .await
                        .map_err(|_| format!("too many connections: none became free within {wait:?}"))?
                        .map_err(|_| "too many connections")?
                }
            }),
        };
        let pool = self.pool(Key {
            address: address.into(),
            root,
        })?;
        let object = pool.get().await.map_err(|e| chain(&e))?;
        Ok(Leased { object, permit })
    }

    fn pool(&self, key: Key) -> Result<Pool, String> {
        let mut pools = self.0.pools.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, pool)) = pools.iter().find(|(known, _)| *known == key) {
            return Ok(pool.clone());
        }
        let pool = self.create(&key)?;
        if pools.len() >= POOLS {
            pools.remove(0);
        }
        pools.push((key, pool.clone()));
        Ok(pool)
    }

    fn create(&self, key: &Key) -> Result<Pool, String> {
        let mut config: Config = key.address.parse().map_err(|e| chain(&e))?;
        let (size, recycling_method, timeouts) = match self.0.mode {
            Mode::Strict => (STRICT_CONNECTIONS, RecyclingMethod::Clean, Timeouts::new()),
            Mode::Hardened => {
                let limits = &self.0.limits;
                if config.get_connect_timeout().is_none() {
                    config.connect_timeout(limits.pg_connect);
                }
                let timeouts = Timeouts {
                    wait: Some(limits.pg_wait),
                    create: Some(limits.pg_connect + Duration::from_secs(1)),
                    recycle: Some(limits.pg_connect),
                };
                (
                    limits.pg_connections,
                    RecyclingMethod::Custom(HARDENED_RECYCLE.into()),
                    timeouts,
                )
            }
        };
        let manager_config = ManagerConfig { recycling_method };
        let manager = if config.get_ssl_mode() == SslMode::Disable {
            Manager::from_config(config, NoTls, manager_config)
        } else {
            Manager::from_config(config, tls(key.root.as_ref())?, manager_config)
        };
        Pool::builder(manager)
            .max_size(size)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| chain(&e))
    }
}

fn tls(root: Option<&RootCertificate>) -> Result<MakeRustlsConnect, String> {
    let mut roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.into(),
    };
    if let Some(RootCertificate(certificate)) = root {
        roots
            .add(certificate.clone())
            .map_err(|e| format!("invalid root certificate: {e}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| chain(&e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// The addresses a connection string leads to, as `host` or `host:port`; the error names one that is
/// never allowed.
pub(super) fn targets(address: &str) -> Result<Vec<String>, String> {
    let config: Config = address.parse().map_err(|e| chain(&e))?;
    let ports = config.get_ports();
    config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(i, host)| match host {
            tokio_postgres::config::Host::Tcp(name) => {
                let name = if name.contains(':') {
                    format!("[{name}]")
                } else {
                    name.clone()
                };
                // One port serves all hosts.
                match ports
                    .get(i)
                    .or(if ports.len() == 1 { ports.first() } else { None })
                {
                    Some(port) => Ok(format!("{name}:{port}")),
                    None => Ok(name),
                }
            }
            #[cfg(unix)]
            tokio_postgres::config::Host::Unix(path) => Err(format!(
                "{} is a Unix socket, which is not permitted",
                path.display()
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_connection_strings() {
        let ok = |address: &str, expected: &[&str]| {
            assert_eq!(targets(address).unwrap(), expected, "{address}");
        };
        ok("host=localhost user=a", &["localhost"]);
        ok("postgres://a:b@db.example.com:5433/x", &["db.example.com:5433"]);
        ok("host=a,b port=1,2 user=x", &["a:1", "b:2"]);
        ok("host=a,b port=1 user=x", &["a:1", "b:1"]);
        ok("postgres://u@[::1]:5432/x", &["[::1]:5432"]);
        assert!(targets("host=/var/run/postgresql user=a").is_err());
        assert!(targets("nonsense").is_err());
    }
}
