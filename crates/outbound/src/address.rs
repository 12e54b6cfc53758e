//! Addresses that calls go to: http and https URIs, made safe to send.

use crate::problems::{Outcome, configuration};
use std::fmt;

/// Most characters.
const MAX_LENGTH: usize = 8_000;
/// Characters besides letters and digits that a path or query may hold as they are.
const PLAIN: &[u8] = b"-._~!$&'()*+,;=:@/?%";

/// Where to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    tls: bool,
    host: String,
    port: Option<u16>,
    path: String,
    query: Option<String>,
}

impl Address {
    /// Reads an absolute URI. Characters that a URI does not have become percent-encoded; a fragment is dropped.
    pub fn parse(text: &str) -> Outcome<Address> {
        let wrong =
            |why: &str| configuration(format!("The address `{}` cannot be called: {why}.", bare(text)));
        if text.len() > MAX_LENGTH {
            return Err(wrong("it is longer than 8,000 characters"));
        }
        if text.contains('\\') {
            return Err(wrong("a backslash is no part of an address"));
        }
        let (scheme, rest) = text
            .trim()
            .split_once("://")
            .ok_or_else(|| wrong("it is not absolute"))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("only http and https are spoken")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains('@') {
            let why = "it carries credentials; give them in `authentication`, where they are not recorded";
            return Err(wrong(why));
        }
        let (host, port) =
            authority_parts(authority).ok_or_else(|| wrong("its host or port is malformed"))?;
        if internal(&host) {
            return Err(wrong("the fleet's own components are not called by workflows"));
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(escape(query))),
            None => (rest, None),
        };
        let path = if path.is_empty() {
            "/".to_owned()
        } else {
            escape(path)
        };
        Ok(Address {
            tls,
            host,
            port: port.filter(|port| *port != default_port(tls)),
            path,
            query,
        })
    }

    /// The address that `reference`, absolute or relative, names in a document at this one.
    pub fn join(&self, reference: &str) -> Outcome<Address> {
        if reference.contains("://") {
            return Address::parse(reference);
        }
        let origin = self.origin();
        if let Some(rest) = reference.strip_prefix("//") {
            let scheme = if self.tls { "https" } else { "http" };
            return Address::parse(&format!("{scheme}://{rest}"));
        }
        if reference.starts_with('/') {
            return Address::parse(&format!("{origin}{reference}"));
        }
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut segments: Vec<&str> = folder.split('/').filter(|segment| !segment.is_empty()).collect();
        for segment in reference.split('/') {
            match segment {
                "." | "" => {}
                ".." => {
                    segments.pop();
                }
                segment => segments.push(segment),
            }
        }
        Address::parse(&format!("{origin}/{}", segments.join("/")))
    }

    /// The address with more path.
    pub fn below(&self, path: &str) -> Outcome<Address> {
        let base = self.path.trim_end_matches('/');
        Address::parse(&format!(
            "{}{base}/{}",
            self.origin(),
            path.trim_start_matches('/')
        ))
    }

    /// Adds a parameter, both parts percent-encoded.
    pub fn add_query(&mut self, name: &str, value: &str) {
        self.add_raw_query(&format!("{}={}", encode(name), encode(value)));
    }

    /// Adds a piece of query that is encoded already.
    pub fn add_raw_query(&mut self, piece: &str) {
        match &mut self.query {
            Some(query) if !query.is_empty() => {
                query.push('&');
                query.push_str(piece);
            }
            query => *query = Some(piece.to_owned()),
        }
    }

    /// `scheme://host`, with the port unless it is the scheme's own.
    pub fn origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        match self.port {
            Some(port) => format!("{scheme}://{}:{port}", self.host),
            None => format!("{scheme}://{}", self.host),
        }
    }

    /// Whether requests there are encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Host, with the port unless it is the scheme's own.
    pub fn authority(&self) -> String {
        let origin = self.origin();
        origin
            .split_once("://")
            .map_or("", |(_, authority)| authority)
            .to_owned()
    }

    /// Path and query.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// Without the query, which may hold what is not for logs.
    pub fn shown(&self) -> String {
        format!("{}{}", self.origin(), self.path)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.target())
    }
}

/// A text without what stands before `@` or after `?`.
fn bare(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let text: String = text.chars().take(200).collect();
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        _ => text,
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

fn authority_parts(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (inner, after) = rest.split_once(']')?;
            inner.parse::<core::net::Ipv6Addr>().ok()?;
            let port = match after {
                "" => None,
                after => Some(after.strip_prefix(':')?),
            };
            (format!("[{inner}]"), port)
        }
        None => {
            let (host, port) = match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if host.is_empty() || !host.bytes().all(valid) {
                return None;
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    let port = match port {
        None | Some("") => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse().ok().filter(|port| *port != 0)?)
        }
        Some(_) => return None,
    };
    Some((host, port))
}

/// Names by which components of this application reach each other and the application itself.
fn internal(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    ["spin.internal", "self", "alt"]
        .iter()
        .any(|name| host == *name || host.ends_with(&format!(".{name}")))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Percent-encodes all but letters, digits and `-._~` (RFC 3986, section 2.3).
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(uri: &str) -> String {
        Address::parse(uri).map_or_else(
            |problem| problem.detail.unwrap_or_default(),
            |uri| uri.to_string(),
        )
    }

    #[test]
    fn addresses_are_made_safe() {
        for (uri, wanted) in [
            (
                "https://Host.Example/a/b?x=1#frag",
                "https://host.example/a/b?x=1",
            ),
            ("http://host", "http://host/"),
            ("https://host:443/", "https://host/"),
            ("https://host:8443", "https://host:8443/"),
            ("http://[::1]:80/a b", "http://[::1]/a%20b"),
            ("https://host/é\"<>?q=ü", "https://host/%C3%A9%22%3C%3E?q=%C3%BC"),
            ("https://host?x", "https://host/?x"),
            ("https://host/a%2Fb", "https://host/a%2Fb"),
        ] {
            assert_eq!(text(uri), wanted);
        }
        for (uri, reason) in [
            ("ftp://host/", "only http and https"),
            ("/relative", "not absolute"),
            ("https://user:secret@host/x?token=1", "credentials"),
            ("https://ho st/", "malformed"),
            ("https://host:x/", "malformed"),
            ("https://host:0/", "malformed"),
            ("https:///x", "malformed"),
            ("http://ops.spin.internal/internal/wake", "own components"),
            ("http://OPS.SPIN.INTERNAL./x", "own components"),
            ("http://self.alt/x", "own components"),
            ("http://self/x", "own components"),
            ("https://host\\@evil/", "backslash"),
        ] {
            let said = text(uri);
            assert!(said.contains(reason), "{uri}: {said}");
            assert!(!said.contains("secret") && !said.contains("token"), "{said}");
        }
    }

    #[test]
    fn references_are_resolved() {
        let base = Address::parse("https://host/v2/docs/api.json?x").expect("an address");
        for (reference, wanted) in [
            ("https://other/x", "https://other/x"),
            ("//other/x", "https://other/x"),
            ("/root", "https://host/root"),
            ("v3", "https://host/v2/docs/v3"),
            ("../v3/", "https://host/v2/v3"),
            ("../../../v3", "https://host/v3"),
        ] {
            assert_eq!(base.join(reference).expect("an address").to_string(), wanted);
        }
        let below = Address::parse("https://host/realm/").expect("an address");
        assert_eq!(
            below.below("/oauth2/token").expect("below").to_string(),
            "https://host/realm/oauth2/token"
        );
    }

    #[test]
    fn queries_grow() {
        let mut address = Address::parse("https://host/x?a=1").expect("an address");
        address.add_query("b c", "d&e");
        assert_eq!(address.to_string(), "https://host/x?a=1&b%20c=d%26e");
        let mut address = Address::parse("https://host/x").expect("an address");
        address.add_query("a", "");
        assert_eq!(
            (address.target().as_str(), address.shown().as_str()),
            ("/x?a=", "https://host/x")
        );
        assert_eq!(address.authority(), "host");
    }
}
