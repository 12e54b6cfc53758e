//! One kept-alive HTTP/1.1 connection, as a client that cares about speed uses it.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode, Uri,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Where a fleet answers, and as whom to ask.
#[derive(Clone, Debug)]
pub struct Target {
    authority: String,
    address: String,
    prefix: String,
    token: Option<String>,
}

impl Target {
    /// A target from a URL such as `http://127.0.0.1:3000`, with the API token to send. HTTPS is refused: the
    /// figure would be that of the encryption and of the network between.
    pub fn new(url: &str, token: Option<String>) -> Result<Self, String> {
        let uri: Uri = url
            .parse()
            .map_err(|error| format!("cannot read the URL {url:?}: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err(format!(
                "cannot measure {url:?}: only http:// is spoken; run the bench on the fleet's own machine"
            ));
        }
        let authority = uri
            .authority()
            .ok_or_else(|| format!("the URL {url:?} names no host"))?
            .to_string();
        let host = uri.host().unwrap_or_default();
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        let prefix = uri.path().trim_end_matches('/').to_string();
        Ok(Target {
            authority,
            address,
            prefix,
            token,
        })
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: hyper::HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; the error quotes what came instead.
    pub fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("not JSON ({error}): {}", self.excerpt()))
    }

    /// The beginning of the body, for people.
    pub fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }
}

/// A connection that is opened when needed and kept.
pub struct Connection {
    target: Arc<Target>,
    sender: Option<SendRequest<Full<Bytes>>>,
    opened: u64,
    without_length: u64,
    prefer: Option<String>,
}

impl Connection {
    /// A connection to `target`; nothing is opened yet.
    pub fn new(target: Arc<Target>) -> Self {
        Connection {
            target,
            sender: None,
            opened: 0,
            without_length: 0,
            prefer: None,
        }
    }

    /// How often the server closed the connection, so that another was opened.
    pub fn reopened(&self) -> u64 {
        self.opened.saturating_sub(1)
    }

    /// How many answers had a body without Content-Length: each can cost 40 ms of delayed acknowledgement.
    pub fn without_length(&self) -> u64 {
        self.without_length
    }

    /// Sends one request and gives the answer whatever its status; `body` is JSON. The error says why there is
    /// no answer.
    pub async fn send(&mut self, method: Method, path: &str, body: Option<Bytes>) -> Result<Answer, String> {
        let request = self.request(method, path, body)?;
        let mut sender = self.ready().await?;
        let failed = |error: hyper::Error| format!("no answer from {}: {error}", self.target.authority);
        let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
        let body = body.collect().await.map_err(failed)?.to_bytes();
        // A sender is given back only after a complete answer: after a failure the connection is not used again.
        self.sender = Some(sender);
        if !head.headers.contains_key(header::CONTENT_LENGTH) && !body.is_empty() {
            self.without_length += 1;
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    /// As [`Connection::send`], and any status but 2xx is an error that quotes the answer.
    pub async fn send_ok(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, String> {
        let asked = format!("{method} {path}");
        let answer = self.send(method, path, body).await?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(format!(
                "{asked} was answered {}: {}",
                answer.status,
                answer.excerpt()
            ))
        }
    }

    /// As [`Connection::send_ok`], for a request whose answer the server is asked to wait for.
    pub async fn send_ok_waiting(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        wait_s: u64,
    ) -> Result<Answer, String> {
        self.prefer = Some(format!("wait={wait_s}"));
        let answer = self.send_ok(method, path, body).await;
        self.prefer = None;
        answer
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.target.prefix))
            .header(header::HOST, &self.target.authority);
        if let Some(token) = &self.target.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(prefer) = &self.prefer {
            request = request.header("prefer", prefer);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| format!("cannot make a request of {path:?}: {error}"))
    }

    async fn ready(&mut self) -> Result<SendRequest<Full<Bytes>>, String> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let failed =
            |error: &dyn std::fmt::Display| format!("cannot connect to {}: {error}", self.target.address);
        let stream = TcpStream::connect(&self.target.address)
            .await
            .map_err(|error| failed(&error))?;
        stream.set_nodelay(true).map_err(|error| failed(&error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(&error))?;
        // Its error also reaches whoever waits for an answer.
        tokio::spawn(connection);
        self.opened += 1;
        Ok(sender)
    }
}

#[cfg(test)]
mod tests {
    use super::super::floor_http::FloorServer;
    use super::*;

    #[test]
    fn urls_are_taken_apart_or_refused_with_a_reason() {
        let target = Target::new("http://localhost:8080/guildhall/", None).unwrap();
        assert_eq!(
            (&*target.authority, &*target.prefix),
            ("localhost:8080", "/guildhall")
        );
        assert_eq!(Target::new("http://hall", None).unwrap().address, "hall:80");
        assert_eq!(Target::new("http://[::1]:9", None).unwrap().address, "[::1]:9");
        for (url, expected) in [
            ("https://hall", "only http://"),
            ("hall:80", "only http://"),
            ("http://", "URL"),
        ] {
            let error = Target::new(url, None).unwrap_err();
            assert!(error.contains(expected), "{url} is answered with {error}");
        }
    }

    #[tokio::test]
    async fn the_connection_is_kept_and_failures_quote_the_answer() {
        let answer = Answer {
            status: StatusCode::OK,
            headers: Default::default(),
            body: Bytes::from_static(b"live"),
        };
        let server = FloorServer::start(&answer).await.unwrap();
        let mut connection = Connection::new(Arc::new(Target::new(&server.url(), None).unwrap()));
        for _ in 0..3 {
            let answer = connection.send_ok(Method::GET, "/", None).await.unwrap();
            assert_eq!(&answer.body[..], b"live");
        }
        assert_eq!(
            (
                connection.opened,
                connection.reopened(),
                connection.without_length()
            ),
            (1, 0, 0)
        );

        let answer = Answer {
            status: StatusCode::SERVICE_UNAVAILABLE,
            headers: Default::default(),
            body: Bytes::from_static(b"too busy"),
        };
        let server = FloorServer::start(&answer).await.unwrap();
        let mut connection = Connection::new(Arc::new(Target::new(&server.url(), None).unwrap()));
        let error = connection.send_ok(Method::GET, "/livez", None).await.unwrap_err();
        assert!(
            error.contains("503") && error.contains("too busy") && error.contains("GET /livez"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_error() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let mut connection = Connection::new(Arc::new(Target::new(&url, None).unwrap()));
        let error = connection.send(Method::GET, "/", None).await.unwrap_err();
        assert!(error.contains("cannot connect"), "{error}");
    }
}
