//! How connections are protected: plain to this machine, verified TLS to any other.

use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio_postgres::config::{Config, Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Whether every host of `config` is this machine, or the operator asked for no TLS.
pub(crate) fn is_plain(config: &Config) -> bool {
    let local = |host: &Host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    config.get_ssl_mode() == SslMode::Disable
        || (config.get_ssl_mode() == SslMode::Prefer && config.get_hosts().iter().all(local))
}

/// TLS that accepts only certificates of the public authorities for the host's name.
pub(crate) fn verified() -> Result<MakeRustlsConnect, rustls::Error> {
    let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_plain() {
        for (url, plain) in [
            ("host=127.0.0.1 user=x", true),
            ("host=localhost user=x", true),
            ("host=::1 user=x", true),
            ("host=db.example.com user=x", false),
            ("host=10.0.0.5 user=x", false),
            ("host=127.0.0.1,db.example.com user=x", false),
            ("host=10.0.0.5 user=x sslmode=disable", true),
            ("host=127.0.0.1 user=x sslmode=require", false),
        ] {
            assert_eq!(is_plain(&url.parse().unwrap()), plain, "{url}");
        }
    }
}
