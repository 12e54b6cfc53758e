//! `allowed_outbound_hosts`: its entries, and what they allow.

use std::{net::IpAddr, ops::Range};

use url::{Host, Url};

use super::{blocked::Network, chaining_target};

/// A component's `allowed_outbound_hosts`, templates filled in.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedHosts(Vec<AllowedHost>);

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AllowedHost {
    /// `None` allows any.
    scheme: Option<String>,
    host: HostPattern,
    /// `None` allows any; the end is exclusive.
    ports: Option<Range<u32>>,
}

#[derive(Clone, Debug, PartialEq)]
enum HostPattern {
    Any,
    /// Of the domain after `*`, dot included.
    Subdomain(String),
    Itself,
    Literal(Host),
    Network(Network),
}

impl AllowedHosts {
    /// Parses `entries`. `templated` tells which of them came out of a template: those may be empty,
    /// which allows nothing (an optional endpoint that is not configured).
    pub fn parse(entries: &[(String, bool)]) -> Result<Self, (usize, String)> {
        let mut hosts = Vec::new();
        for (i, (entry, templated)) in entries.iter().enumerate() {
            if *templated && matches!(entry.as_str(), "" | "http://" | "https://") {
                continue;
            }
            hosts.push(AllowedHost::parse(entry).map_err(|cause| (i, cause))?);
        }
        Ok(Self(hosts))
    }

    /// Whether `url` may be reached; `scheme` is taken when `url` has none.
    pub fn allows(&self, url: &str, scheme: &str) -> bool {
        let Some((scheme, host, port)) = target(url, scheme) else {
            return false;
        };
        self.0.iter().any(|allowed| allowed.allows(&scheme, &host, port))
    }

    /// Whether requests to the application's own listener are allowed.
    pub fn allows_self(&self) -> bool {
        self.0.iter().any(|allowed| {
            allowed
                .scheme
                .as_deref()
                .is_none_or(|s| s == "http" || s == "https")
                && matches!(allowed.host, HostPattern::Any | HostPattern::Itself)
        })
    }

    /// The components that are named one by one as service chaining targets.
    pub fn chained(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|allowed| match &allowed.host {
            HostPattern::Literal(Host::Domain(domain)) => chaining_target(domain),
            _ => None,
        })
    }
}

/// The scheme, host and explicit port of `url`.
fn target(url: &str, scheme: &str) -> Option<(String, Host, Option<u16>)> {
    let parsed = match Url::parse(url) {
        Ok(url) if url.has_host() => url,
        _ => Url::parse(&format!("{scheme}://{url}")).ok()?,
    };
    // A URL of a scheme the `url` crate does not know keeps an IPv4 address as a domain.
    let host = Host::parse(parsed.host_str()?).ok()?;
    Some((parsed.scheme().into(), host, parsed.port()))
}

impl AllowedHost {
    /// Parses `scheme://host[:port]`; the error says what is wrong with it.
    pub fn parse(entry: &str) -> Result<Self, String> {
        let text = entry.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!(
                "{text:?} has no scheme; write `scheme://host:port`, `*` standing for any"
            ));
        };
        let (host, port) = match rest.rsplit_once(':') {
            // The colon may belong to an IPv6 address.
            Some((host, tail)) if HostPattern::parse(rest).is_err() => {
                (host, tail.strip_suffix('/').unwrap_or(tail))
            }
            _ => (rest, ""),
        };
        if port.contains('/') {
            return Err(format!("{text:?} has a path; allowed hosts have none"));
        }
        let host = HostPattern::parse(host).map_err(|cause| format!("in {text:?}, the host {cause}"))?;
        let ports = ports(port, scheme).map_err(|cause| format!("in {text:?}, {cause}"))?;
        let scheme = match scheme {
            "*" => None,
            name if !name.is_empty() && name.chars().all(char::is_alphabetic) => Some(name.to_string()),
            _ => return Err(format!("in {text:?}, the scheme must be letters or `*`")),
        };
        Ok(Self { scheme, host, ports })
    }

    fn allows(&self, scheme: &str, host: &Host, port: Option<u16>) -> bool {
        self.scheme.as_deref().is_none_or(|s| s == scheme)
            && self.host.allows(host)
            && match &self.ports {
                None => true,
                Some(ports) => port
                    .or_else(|| well_known_port(scheme))
                    .is_some_and(|port| ports.contains(&u32::from(port))),
            }
    }
}

fn ports(port: &str, scheme: &str) -> Result<Option<Range<u32>>, String> {
    let number = |text: &str| {
        text.parse::<u16>()
            .map(u32::from)
            .map_err(|_| format!("the port {port:?} is no number"))
    };
    match port {
        "" => match well_known_port(scheme) {
            Some(port) => Ok(Some(u32::from(port)..u32::from(port) + 1)),
            None => Err(format!(
                "the scheme {scheme:?} has no usual port; write one, or `*`"
            )),
        },
        "*" => Ok(None),
        _ => match port.split_once("..") {
            Some((start, end)) => Ok(Some(number(start)?..number(end)?)),
            None => number(port).map(|n| Some(n..n + 1)),
        },
    }
}

fn well_known_port(scheme: &str) -> Option<u16> {
    Some(match scheme {
        "postgres" => 5432,
        "mysql" => 3306,
        "redis" => 6379,
        "mqtt" => 1883,
        "http" => 80,
        "https" => 443,
        _ => return None,
    })
}

impl HostPattern {
    fn parse(host: &str) -> Result<Self, String> {
        let host = host.trim();
        match host {
            "*" => return Ok(Self::Any),
            "self" | "self.alt" => return Ok(Self::Itself),
            _ => {}
        }
        if let Ok(network) = Network::parse(host) {
            return Ok(Self::Network(network));
        }
        let host = host.strip_suffix('/').unwrap_or(host);
        if host.contains('/') {
            return Err("has a path; allowed hosts have none".into());
        }
        if let Some(domain) = host.strip_prefix("*.") {
            return match Host::parse(domain) {
                Ok(Host::Domain(domain)) if !domain.contains('*') => {
                    Ok(Self::Subdomain(format!(".{domain}")))
                }
                _ => Err(format!("{host:?} must be `*.` and a domain")),
            };
        }
        if host.contains('*') {
            return Err(format!("{host:?} has a wildcard that is not `*.` in front"));
        }
        Host::parse(host)
            .map(Self::Literal)
            .map_err(|e| format!("{host:?} is not valid: {e}"))
    }

    fn allows(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Subdomain(suffix), Host::Domain(domain)) => domain.ends_with(suffix),
            (Self::Literal(literal), host) => literal == host,
            (Self::Network(network), Host::Ipv4(ip)) => network.contains(IpAddr::V4(*ip)),
            (Self::Network(network), Host::Ipv6(ip)) => network.contains(IpAddr::V6(*ip)),
            (Self::Subdomain(_) | Self::Network(_) | Self::Itself, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allowed(entries: &[&str]) -> AllowedHosts {
        let entries: Vec<_> = entries.iter().map(|e| (e.to_string(), false)).collect();
        AllowedHosts::parse(&entries).unwrap()
    }

    #[test]
    fn urls_are_held_against_entries() {
        let cases: &[(&str, &str, &str, bool)] = &[
            ("http://example.com", "http://example.com/path", "https", true),
            ("http://example.com", "https://example.com/", "https", false),
            ("http://example.com", "http://example.com:8080/", "https", false),
            (
                "http://example.com:8080",
                "http://example.com:8080/",
                "https",
                true,
            ),
            ("http://example.com:80", "http://example.com/", "https", true),
            (
                "http://127.0.0.1:8000..8002",
                "http://127.0.0.1:8001",
                "https",
                true,
            ),
            (
                "http://127.0.0.1:8000..8002",
                "http://127.0.0.1:8002",
                "https",
                false,
            ),
            ("https://*.example.com", "https://a.b.example.com", "https", true),
            ("https://*.example.com", "https://example.com", "https", false),
            ("https://*.example.com", "https://badexample.com", "https", false),
            ("*://*:*", "redis://10.0.0.1:1", "redis", true),
            ("postgres://10.0.0.0/8", "10.1.2.3", "postgres", true),
            ("postgres://10.0.0.0/8:*", "10.1.2.3:7777", "postgres", true),
            ("postgres://10.0.0.0/8", "11.1.2.3", "postgres", false),
            ("postgres://localhost", "localhost", "postgres", true),
            ("postgres://localhost", "localhost:5433", "postgres", false),
            (
                "redis://127.0.0.1:6380",
                "redis://user:p%40ss@127.0.0.1:6380/1",
                "redis",
                true,
            ),
            ("*://127.0.0.1:6379", "127.0.0.1:6379", "tcp", true),
            ("*://127.0.0.1:6379", "127.0.0.2:6379", "tcp", false),
            ("http://[::1]:8080", "http://[::1]:8080/", "http", true),
            ("http://[::1]:8080", "http://[::2]:8080/", "http", false),
            ("http://self", "http://self/", "http", false),
            ("http://b.spin.internal", "http://b.spin.internal/x", "http", true),
            (
                "http://b.spin.internal",
                "http://c.spin.internal/x",
                "http",
                false,
            ),
            ("http://*.spin.internal", "http://c.spin.internal/x", "http", true),
        ];
        for (entry, url, scheme, expected) in cases {
            assert_eq!(allowed(&[entry]).allows(url, scheme), *expected, "{entry} {url}");
        }
        assert!(allowed(&["http://self"]).allows_self());
        assert!(allowed(&["http://self.alt"]).allows_self());
        assert!(allowed(&["*://*:*"]).allows_self());
        assert!(!allowed(&["redis://self:1"]).allows_self());
        assert!(!allowed(&["http://example.com"]).allows_self());
        assert!(!allowed(&[]).allows("http://example.com", "https"));
    }

    #[test]
    fn malformed_entries_are_refused() {
        for bad in [
            "example.com",
            "*",
            "",
            "http://",
            "http://a/b",
            "http://a:port",
            "http://*a.com",
            "ftp://a",
            "h2c2://a:1",
            "http://*.*.com",
            "http://a:1/b",
        ] {
            assert!(AllowedHost::parse(bad).is_err(), "{bad}");
        }
        for empty in ["", "http://", "https://"] {
            assert!(
                AllowedHosts::parse(&[(empty.into(), true)]).is_ok(),
                "{empty:?} out of a template"
            );
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(entry in ".*", url in ".*") {
            if let Ok(hosts) = AllowedHosts::parse(&[(entry, false)]) {
                hosts.allows(&url, "http");
            }
        }
    }
}
