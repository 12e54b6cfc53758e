//! Where the fleet may be sent by others: an address that an agent or a caller gave is looked at here before anybody
//! goes there (server-side request forgery).
//!
//! Names are looked up by the runtime, not here, so what a name resolves to is the runtime's to check
//! (`[outbound_networking] block_networks`). Two things make a name that points inwards useless even without that:
//! https alone is spoken, to a server that must prove the name by a certificate, and to ports 443 and 8443 alone.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most characters of an address.
const MAX_URL: usize = 2000;
/// Ports that may be reached anywhere.
const PORTS: [u16; 2] = [443, 8443];
/// Suffixes of names that mean something only here.
const INTERNAL: [&str; 8] = [
    "spin.internal",
    "internal",
    "local",
    "localhost",
    "localdomain",
    "home.arpa",
    "alt",
    "onion",
];

/// Why an address may not be visited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One word for programs.
    pub reason: &'static str,
    /// The reason in words.
    pub detail: String,
}

fn refuse<T>(reason: &'static str, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        reason,
        detail: detail.into(),
    })
}

/// What a deployer allows on top: `egress_allow`, a comma list of `host:port` and networks in CIDR notation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    hosts: Vec<(String, u16)>,
    networks: Vec<(IpAddr, u8)>,
}

impl Allowed {
    /// Reads the list; an error names the entry that is neither.
    pub fn parse(list: &str) -> Result<Allowed, String> {
        let mut allowed = Allowed::default();
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let bad =
                || format!("`{entry}` in egress_allow is neither host:port nor a network such as 10.0.0.0/8");
            if let Some((address, prefix)) = entry.split_once('/') {
                let address: IpAddr = address.parse().map_err(|_| bad())?;
                let most = if address.is_ipv4() { 32 } else { 128 };
                let prefix = prefix
                    .parse()
                    .ok()
                    .filter(|prefix| *prefix <= most)
                    .ok_or_else(bad)?;
                allowed.networks.push((address, prefix));
            } else {
                let (host, port) = entry.rsplit_once(':').ok_or_else(bad)?;
                if host.is_empty() {
                    return Err(bad());
                }
                allowed
                    .hosts
                    .push((host.to_ascii_lowercase(), port.parse().map_err(|_| bad())?));
            }
        }
        Ok(allowed)
    }

    fn host(&self, host: &str, port: u16) -> bool {
        self.hosts
            .iter()
            .any(|(name, number)| name == host && *number == port)
    }

    fn address(&self, ip: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|(network, prefix)| contains(*network, *prefix, ip))
    }
}

fn contains(network: IpAddr, prefix: u8, ip: IpAddr) -> bool {
    let (network, ip, width) = match (network, ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    prefix == 0 || (network ^ ip) >> (width - prefix) == 0
}

/// Whether `url` may be visited.
pub fn check(url: &str, allowed: &Allowed) -> Result<(), Refusal> {
    if url.len() > MAX_URL || !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains('\\') {
        return refuse(
            "malformed",
            "the address is too long, or has characters that a URL does not",
        );
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return refuse("malformed", "the address has no scheme");
    };
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => {
            return refuse(
                "scheme_not_allowed",
                format!("`{scheme}` is not spoken here, only https"),
            );
        }
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return refuse(
            "credentials_in_url",
            "an address that carries credentials is not visited",
        );
    }
    if rest.contains('#') {
        return refuse("malformed", "an address to visit has no fragment");
    }
    let (host, port) = split(authority, default_port)?;
    // Percent-encoding in a host is one more way to spell an address that a look at the text misses.
    let host = host.to_ascii_lowercase();
    let listed = allowed.host(&host, port);
    let ip = address(&host)?;
    let listed = listed || ip.is_some_and(|ip| allowed.address(ip));
    if listed {
        return Ok(());
    }
    if scheme != "https" {
        return refuse(
            "scheme_not_allowed",
            "only https is spoken to addresses that egress_allow does not list",
        );
    }
    if !PORTS.contains(&port) {
        return refuse(
            "port_not_allowed",
            format!("port {port} is not one of 443 and 8443"),
        );
    }
    match ip {
        Some(ip) if !is_public(ip) => refuse(
            "address_not_allowed",
            format!("{ip} is not an address of the public internet"),
        ),
        Some(_) => Ok(()),
        None => name(&host),
    }
}

fn split(authority: &str, default_port: u16) -> Result<(&str, u16), Refusal> {
    let (host, port) = if authority.starts_with('[') {
        match authority.split_once(']') {
            Some((host, rest)) => (
                &authority[..=host.len()],
                rest.strip_prefix(':').or((!rest.is_empty()).then_some("x")),
            ),
            None => return refuse("malformed", "the address opens a bracket and does not close it"),
        }
    } else {
        match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let port = match port {
        None => default_port,
        Some(text) => match text.parse() {
            Ok(port) if port != 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => port,
            _ => return refuse("malformed", format!("`{text}` is no port")),
        },
    };
    if host.is_empty() {
        return refuse("malformed", "the address has no host");
    }
    Ok((host, port))
}

/// The host as an IP address, if it is one. Spellings of addresses other than the canonical one are refused: `127.1`,
/// `0x7f000001`, `2130706433`, `0177.0.0.1`.
fn address(host: &str) -> Result<Option<IpAddr>, Refusal> {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.trim_end_matches(']');
        return match inner.parse::<Ipv6Addr>() {
            Ok(ip) => Ok(Some(IpAddr::V6(ip))),
            Err(_) => refuse("malformed", format!("`{inner}` is no IPv6 address")),
        };
    }
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with(|c: char| c.is_ascii_digit())
        && (last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x"));
    if !numeric {
        return Ok(None);
    }
    match host.parse::<Ipv4Addr>() {
        Ok(ip) => Ok(Some(IpAddr::V4(ip))),
        Err(_) => refuse(
            "odd_address",
            format!("`{host}` is an odd way to spell an address"),
        ),
    }
}

fn name(host: &str) -> Result<(), Refusal> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let plain = host.strip_suffix('.').unwrap_or(host);
    if plain.len() > 253 || !plain.split('.').all(label) {
        return refuse("malformed", format!("`{host}` is no host name"));
    }
    if !plain.contains('.') {
        return refuse(
            "name_not_allowed",
            format!("`{host}` is a name of the local network"),
        );
    }
    let inside = |suffix: &&str| plain == *suffix || plain.ends_with(&format!(".{suffix}"));
    if let Some(suffix) = INTERNAL.iter().find(|suffix| inside(suffix)) {
        return refuse(
            "name_not_allowed",
            format!("names under `{suffix}` mean something only here"),
        );
    }
    Ok(())
}

/// Whether an address is one of the public internet. An IPv4 address inside an IPv6 one counts as itself.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            if let Some(v4) = v6.to_ipv4() {
                // ::a.b.c.d and ::ffff:a.b.c.d, the unspecified address and loopback among them.
                return v6.to_ipv4_mapped().is_some() && is_public(IpAddr::V4(v4));
            }
            // Only 2000::/3 is handed out; of that not: Teredo and other protocol assignments (2001::/23), 6to4,
            // documentation.
            (segments[0] & 0xe000) == 0x2000
                && !(segments[0] == 0x2001 && segments[1] < 0x200)
                && !(segments[0] == 0x2001 && segments[1] == 0xdb8)
                && segments[0] != 0x2002
                && !(segments[0] == 0x3fff && segments[1] < 0x1000)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(url: &str) -> &'static str {
        check(url, &Allowed::default()).map_or_else(|refusal| refusal.reason, |()| "ok")
    }

    #[test]
    fn the_public_internet_over_https_may_be_visited() {
        for url in [
            "https://agents.example.com",
            "https://agents.example.com/a/b?c=d",
            "https://agents.example.com:8443/x",
            "https://1.1.1.1/",
            "https://[2606:4700:4700::1111]/",
            "HTTPS://Agents.Example.COM./",
            "https://[::ffff:1.1.1.1]/",
        ] {
            assert_eq!(reason(url), "ok", "{url}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (url, wanted) in [
            ("http://agents.example.com/", "scheme_not_allowed"),
            ("ftp://agents.example.com/", "scheme_not_allowed"),
            ("file:///etc/passwd", "scheme_not_allowed"),
            ("gopher://127.0.0.1:6379/_", "scheme_not_allowed"),
            ("//agents.example.com", "malformed"),
            ("https://", "malformed"),
            ("https://:443/", "malformed"),
            ("https://user:pw@agents.example.com/", "credentials_in_url"),
            ("https://agents.example.com@127.0.0.1/", "credentials_in_url"),
            ("https://agents.example.com\\@127.0.0.1/", "malformed"),
            ("https://agents.example.com/#@127.0.0.1", "malformed"),
            ("https://agents.example.com:22/", "port_not_allowed"),
            ("https://agents.example.com:5432/", "port_not_allowed"),
            ("https://agents.example.com:0/", "malformed"),
            ("https://agents.example.com:+443/", "malformed"),
            ("https://agents.example.com:99999/", "malformed"),
            ("https://127.0.0.1/", "address_not_allowed"),
            ("https://127.8.8.8/", "address_not_allowed"),
            ("https://127.1/", "odd_address"),
            ("https://2130706433/", "odd_address"),
            ("https://0x7f000001/", "odd_address"),
            ("https://0x7f.1/", "odd_address"),
            ("https://0177.0.0.1/", "odd_address"),
            ("https://127.0.0.1./", "odd_address"),
            ("https://127.0.0.0x1/", "odd_address"),
            ("https://10.0.0.1/", "address_not_allowed"),
            ("https://172.16.0.1/", "address_not_allowed"),
            ("https://192.168.1.1/", "address_not_allowed"),
            ("https://169.254.169.254/latest/meta-data", "address_not_allowed"),
            ("https://100.100.100.200/", "address_not_allowed"),
            ("https://0.0.0.0/", "address_not_allowed"),
            ("https://224.0.0.1/", "address_not_allowed"),
            ("https://255.255.255.255/", "address_not_allowed"),
            ("https://198.18.0.1/", "address_not_allowed"),
            ("https://[::1]/", "address_not_allowed"),
            ("https://[::]/", "address_not_allowed"),
            ("https://[::ffff:127.0.0.1]/", "address_not_allowed"),
            ("https://[::ffff:a9fe:a9fe]/", "address_not_allowed"),
            ("https://[::127.0.0.1]/", "address_not_allowed"),
            ("https://[fe80::1]/", "address_not_allowed"),
            ("https://[fd00::1]/", "address_not_allowed"),
            ("https://[64:ff9b::7f00:1]/", "address_not_allowed"),
            ("https://[2002:7f00:1::]/", "address_not_allowed"),
            ("https://[2001::1]/", "address_not_allowed"),
            ("https://[fe80::1%25eth0]/", "malformed"),
            ("https://[::1/", "malformed"),
            ("https://[::1]x/", "malformed"),
            ("https://localhost/", "name_not_allowed"),
            ("https://redis/", "name_not_allowed"),
            ("https://ops.spin.internal/", "name_not_allowed"),
            ("https://metadata.google.internal/", "name_not_allowed"),
            ("https://printer.local/", "name_not_allowed"),
            ("https://self.alt/", "name_not_allowed"),
            ("https://a.localhost./", "name_not_allowed"),
            ("https://127%2e0%2e0%2e1/", "malformed"),
            ("https://exa mple.com/", "malformed"),
            ("https://ex\u{e4}mple.com/", "malformed"),
            ("https://a..b.com/", "malformed"),
        ] {
            assert_eq!(reason(url), wanted, "{url}");
        }
    }

    #[test]
    fn a_deployer_may_allow_more_by_host_or_network() {
        let allowed = Allowed::parse("127.0.0.1:7001, agent.corp:8080,10.1.0.0/16,[::1]:9").expect("a list");
        for (url, good) in [
            ("http://127.0.0.1:7001/x", true),
            ("http://127.0.0.1:7002/x", false),
            ("http://agent.corp:8080/", true),
            ("http://agent.corp:8081/", false),
            ("http://10.1.2.3:1234/", true),
            ("http://10.2.2.3:1234/", false),
            ("http://[::1]:9/", true),
            ("http://user@127.0.0.1:7001/", false),
            ("http://127.1:7001/", false),
        ] {
            assert_eq!(check(url, &allowed).is_ok(), good, "{url}");
        }
        for bad in ["x", "10.0.0.0/33", ":80", "a:b", "10.0.0/8"] {
            assert!(Allowed::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Allowed::parse(" , "), Ok(Allowed::default()));
    }
}
