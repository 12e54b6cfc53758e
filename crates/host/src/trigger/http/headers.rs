//! What a component is told about its request beyond the request: Spin's `spin-*` headers.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};

use crate::{network::chaining_target, routes::Matched};

/// Removes what concerns the connection only, and a `Host` that pretends to be a sibling component.
pub(super) fn strip_transport<B>(request: &mut Request<B>) {
    let headers = request.headers_mut();
    if let Some(host) = headers.get(header::HOST)
        && host.to_str().is_ok_and(|host| chaining_target(host).is_some())
    {
        headers.remove(header::HOST);
    }
    headers.remove(header::CONNECTION);
}

/// Removes every `spin-*` header: from outside they can only be lies.
pub(super) fn strip_spin(headers: &mut HeaderMap) {
    let lies: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("spin-"))
        .cloned()
        .collect();
    for name in lies {
        headers.remove(name);
    }
}

/// Makes the URI absolute from the `Host` header; the error says why that is not possible.
pub(super) fn make_absolute<B>(request: &mut Request<B>) -> Result<(), &'static str> {
    let from_header = match request.headers().get(header::HOST) {
        None => None,
        Some(host) => {
            let host = host.to_str().map_err(|_| "the Host header is not text")?;
            Some(host.parse().map_err(|_| "the Host header is not an authority")?)
        }
    };
    let mut parts = request.uri().clone().into_parts();
    let authority = match (from_header, parts.authority.take()) {
        (None, None) => return Err("the request has no Host header"),
        (Some(a), Some(b)) if a != b => return Err("the Host header does not match the request's URI"),
        (Some(authority), _) | (None, Some(authority)) => authority,
    };
    parts.authority = Some(authority);
    parts.scheme = Some(http::uri::Scheme::HTTP);
    if parts.path_and_query.is_none() {
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    }
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| "the request's URI is not valid")?;
    Ok(())
}

/// Appends the `spin-*` headers. They come after any the client sent, as in Spin.
pub(super) fn append_spin<B>(request: &mut Request<B>, matched: &Matched<'_>, client: SocketAddr) {
    let uri = request.uri();
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or("localhost");
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let full_url = format!("{}://{host}{path}", uri.scheme_str().unwrap_or("http"));
    let fixed = [
        ("spin-path-info", matched.trailing.as_str()),
        ("spin-full-url", full_url.as_str()),
        ("spin-matched-route", &matched.normal),
        ("spin-base-path", "/"),
        ("spin-raw-component-route", &matched.raw),
        ("spin-component-route", matched.prefix()),
    ];
    let headers = request.headers_mut();
    for (name, value) in fixed {
        append(headers, HeaderName::from_static(name), value);
    }
    append(
        headers,
        HeaderName::from_static("spin-client-addr"),
        &client.to_string(),
    );
    for (name, value) in &matched.named {
        let name = format!("spin-path-match-{}", name.replace('_', "-").to_ascii_lowercase());
        if let Ok(name) = name.parse() {
            append(headers, name, value);
        }
    }
}

/// Appends a header; a value that no header can carry is left out, as in Spin.
fn append(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.append(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        manifest::{HttpTrigger, Route},
        routes::Routes,
    };

    fn routes(pattern: &str) -> Routes {
        let trigger = HttpTrigger {
            place: String::new(),
            component: "c".into(),
            route: Route::Public(pattern.into()),
        };
        Routes::build([&trigger]).unwrap()
    }

    #[test]
    fn components_learn_how_they_were_reached() {
        let routes = routes("/foo/:user_id/...");
        let mut request = Request::get("http://example.com/foo/42/bar?a=b")
            .header("host", "example.com")
            .body(())
            .unwrap();
        append_spin(
            &mut request,
            &routes.find("/foo/42/bar").unwrap(),
            "127.0.0.1:8777".parse().unwrap(),
        );
        for (name, value) in [
            ("spin-full-url", "http://example.com/foo/42/bar?a=b"),
            ("spin-path-info", "/bar"),
            ("spin-matched-route", "/foo/:user_id/..."),
            ("spin-base-path", "/"),
            ("spin-raw-component-route", "/foo/:user_id/..."),
            ("spin-component-route", "/foo/:user_id"),
            ("spin-client-addr", "127.0.0.1:8777"),
            ("spin-path-match-user-id", "42"),
        ] {
            assert_eq!(request.headers()[name], value, "{name}");
        }
    }

    #[test]
    fn headers_from_outside_come_first_unless_stripped() {
        let routes = routes("/...");
        let lie = || {
            Request::get("/")
                .header("spin-client-addr", "6.6.6.6:6")
                .body(())
                .unwrap()
        };
        let addresses = |request: &Request<()>| {
            request
                .headers()
                .get_all("spin-client-addr")
                .iter()
                .map(|v| v.to_str().unwrap().to_string())
                .collect::<Vec<_>>()
        };
        let client = "127.0.0.1:1".parse().unwrap();

        let mut strict = lie();
        append_spin(&mut strict, &routes.find("/").unwrap(), client);
        assert_eq!(addresses(&strict), ["6.6.6.6:6", "127.0.0.1:1"]);

        let mut hardened = lie();
        strip_spin(hardened.headers_mut());
        append_spin(&mut hardened, &routes.find("/").unwrap(), client);
        assert_eq!(addresses(&hardened), ["127.0.0.1:1"]);
    }

    #[test]
    fn the_authority_must_be_certain() {
        let absolute = |uri: &str, host: Option<&str>| {
            let mut request = Request::get(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let mut request = request.body(()).unwrap();
            make_absolute(&mut request).map(|()| request.uri().to_string())
        };
        assert_eq!(absolute("/a?b", Some("x:1")).unwrap(), "http://x:1/a?b");
        assert_eq!(absolute("http://x/a", None).unwrap(), "http://x/a");
        assert_eq!(absolute("http://x/a", Some("x")).unwrap(), "http://x/a");
        assert!(absolute("http://x/a", Some("y")).is_err());
        assert!(absolute("/a", None).is_err());
        assert!(absolute("/a", Some("a b")).is_err());
    }

    #[test]
    fn a_host_cannot_pretend_to_be_a_sibling() {
        for (host, kept) in [
            ("b.spin.internal", false),
            ("b.spin.internal:80", false),
            ("example.com", true),
        ] {
            let mut request = Request::get("/")
                .header("host", host)
                .header("connection", "close")
                .body(())
                .unwrap();
            strip_transport(&mut request);
            assert_eq!(request.headers().contains_key("host"), kept, "{host}");
            assert!(!request.headers().contains_key("connection"));
        }
    }
}
