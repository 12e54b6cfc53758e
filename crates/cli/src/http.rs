//! The fleet's REST API as commands use it: JSON over one connection per request.

use crate::error::{CliError, Result};
use guildhall_domain::Problem;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Url;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take. The slowest route is a chat that asks a model.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest answer that is read.
const BODY_MAX_BYTES: usize = 64 << 20;

/// A client of one fleet.
#[derive(Clone, Debug)]
pub struct Api {
    base: Url,
    token: Option<String>,
    header: Option<(&'static str, String)>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `Null` when it is not JSON.
    pub json: Value,
    /// The body as text.
    pub text: String,
}

impl Api {
    /// A client for `base`; an error when that is not an http or https URL.
    pub fn new(base: &str, token: Option<String>) -> Result<Api> {
        let wrong = |why: String| {
            CliError::new(format!("cannot use {base:?} as the fleet's URL"))
                .because(why)
                .hint("give --url http://127.0.0.1:3000, or the address that `guildhall up` printed")
        };
        let parsed = Url::parse(base).map_err(|error| wrong(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
            return Err(wrong(
                "only http:// and https:// URLs with a host are spoken".into(),
            ));
        }
        Ok(Api {
            base: parsed,
            token,
            header: None,
        })
    }

    /// The same with a further header on every request.
    pub fn header(self, name: &'static str, value: impl Into<String>) -> Api {
        Api {
            header: Some((name, value.into())),
            ..self
        }
    }

    /// The base URL without a slash at its end.
    pub fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// GET; `what` says what is attempted, for example `list the runs`.
    pub async fn get(&self, what: &str, path: &str) -> Result<Value> {
        self.call(what, "GET", path, None).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, what: &str, path: &str, body: &Value) -> Result<Value> {
        self.call(what, "POST", path, Some(body)).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, what: &str, path: &str, body: &Value) -> Result<Value> {
        self.call(what, "PUT", path, Some(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, what: &str, path: &str) -> Result<Value> {
        self.call(what, "DELETE", path, None).await
    }

    async fn call(&self, what: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self
            .send(method, path, body)
            .await
            .map_err(|error| self.unreachable(what, error))?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.json);
        }
        Err(self.refusal(what, method, path, answer))
    }

    fn refusal(&self, what: &str, method: &str, path: &str, answer: Answer) -> CliError {
        match serde_json::from_value::<Problem>(answer.json) {
            Ok(problem) => self.with_token_hint(CliError::problem(format!("cannot {what}"), problem)),
            Err(_) => CliError::new(format!("cannot {what}"))
                .because(format!(
                    "{method} {}{path} was answered with HTTP {}: {}",
                    self.base(),
                    answer.status,
                    { crate::table::shorten(&answer.text, 300) }
                ))
                .hint("is this really a Guildhall? `guildhall doctor` looks closer"),
        }
    }

    fn unreachable(&self, what: &str, error: CliError) -> CliError {
        CliError { what: format!("cannot {what}"), ..error }
            .because(format!("the fleet was expected at {}", self.base()))
            .hint("start one with `guildhall up`, name another with --url or GUILDHALL_URL, or ask `guildhall doctor`")
    }

    fn with_token_hint(&self, error: CliError) -> CliError {
        match error.code.as_deref() {
            Some("unauthenticated" | "token_expired") if self.token.is_none() => CliError {
                hint: Some("give --token-file, or set GUILDHALL_TOKEN; `guildhall up` keeps the first one in .guildhall/credentials.json".into()),
                ..error
            },
            _ => error,
        }
    }

    /// Sends one request. An error means that there is no answer.
    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let stream = self.connect().await?;
        let exchange = self.exchange(stream, method, path, body);
        tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .map_err(|_| failed(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())))?
    }

    /// Opens `path` as a stream of server-sent events, behind the event `last` when one is named. A refusal is the
    /// fleet's own; `what` says what is attempted.
    pub async fn follow(&self, what: &str, path: &str, last: Option<&str>) -> Result<Streaming> {
        let opened = async {
            let stream = self.connect().await?;
            let mut request = self.request("GET", path).header("accept", "text/event-stream");
            if let Some(last) = last {
                request = request.header("last-event-id", last);
            }
            let request = request
                .body(Full::new(Bytes::new()))
                .map_err(|error| CliError::new("cannot reach the fleet").cause(&error))?;
            tokio::time::timeout(ANSWER_TIMEOUT, begin(stream, request))
                .await
                .map_err(|_| failed(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())))?
        };
        let (response, driver) = opened.await.map_err(|error| self.unreachable(what, error))?;
        let status = response.status().as_u16();
        let mut streaming = Streaming {
            body: response.into_body(),
            driver,
        };
        if status == 200 {
            return Ok(streaming);
        }
        let mut bytes = Vec::new();
        while let Some(part) = streaming.next().await? {
            bytes.extend_from_slice(&part);
            if bytes.len() > BODY_MAX_BYTES {
                break;
            }
        }
        let answer = Answer {
            status,
            json: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&bytes).to_string(),
        };
        Err(self.refusal(what, "GET", path, answer))
    }

    async fn connect(&self) -> Result<Box<dyn Wire>> {
        let host = self
            .base
            .host_str()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_string();
        let port = self.base.port_or_known_default().unwrap_or(80);
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host.as_str(), port)))
            .await
            .map_err(|_| {
                failed(format!(
                    "{host}:{port} does not answer within {} s",
                    CONNECT_TIMEOUT.as_secs()
                ))
            })?
            .map_err(|error| failed(format!("cannot connect to {host}:{port}: {error}")))?;
        let _ = stream.set_nodelay(true);
        if self.base.scheme() != "https" {
            return Ok(Box::new(stream));
        }
        let name = rustls::pki_types::ServerName::try_from(host.clone())
            .map_err(|error| failed(format!("{host} is no server name: {error}")))?;
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, tls().connect(name, stream))
            .await
            .map_err(|_| {
                failed(format!(
                    "TLS with {host} takes more than {} s",
                    CONNECT_TIMEOUT.as_secs()
                ))
            })?
            .map_err(|error| failed(format!("TLS with {host}: {error}")))?;
        Ok(Box::new(stream))
    }

    /// The beginning of every request.
    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base.path().trim_end_matches('/')))
            .header(
                "host",
                self.base.authority().rsplit('@').next().unwrap_or_default(),
            )
            .header("user-agent", concat!("guildhall/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some((name, value)) = &self.header {
            request = request.header(*name, value);
        }
        request
    }

    async fn exchange(
        &self,
        stream: Box<dyn Wire>,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let failed =
            |error: &(dyn std::error::Error + 'static)| CliError::new("cannot reach the fleet").cause(error);
        let mut request = self.request(method, path).header("accept", "application/json");
        let bytes = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request.body(Full::new(bytes)).map_err(|error| failed(&error))?;
        let (response, driver) = begin(stream, request).await?;
        let status = response.status().as_u16();
        let body = http_body_util::Limited::new(response.into_body(), BODY_MAX_BYTES);
        let bytes = body
            .collect()
            .await
            .map_err(|error| failed(error.as_ref()))?
            .to_bytes();
        driver.abort();
        let text = String::from_utf8_lossy(&bytes).to_string();
        Ok(Answer {
            status,
            json: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text,
        })
    }
}

/// A connection, encrypted or not.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

type Driver = tokio::task::JoinHandle<std::result::Result<(), hyper::Error>>;

/// An answer whose body is read piece by piece.
pub struct Streaming {
    body: hyper::body::Incoming,
    driver: Driver,
}

impl Streaming {
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            let frame =
                frame.map_err(|error| CliError::new("cannot read on from the fleet").cause(&error))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn failed(why: String) -> CliError {
    CliError::new("cannot reach the fleet").because(why)
}

async fn begin(
    stream: Box<dyn Wire>,
    request: http::Request<Full<Bytes>>,
) -> Result<(http::Response<hyper::body::Incoming>, Driver)> {
    let failed =
        |error: &(dyn std::error::Error + 'static)| CliError::new("cannot reach the fleet").cause(error);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    let driver = tokio::spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| failed(&error))?;
    Ok((response, driver))
}

fn tls() -> tokio_rustls::TlsConnector {
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(Arc::new(config))
}

/// A text as one segment of a path.
pub fn segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_hold_everything_that_means_something_in_a_path() {
        assert_eq!(segment("deployment:production"), "deployment%3Aproduction");
        assert_eq!(segment("a/../b?c#d"), "a%2F..%2Fb%3Fc%23d");
    }

    #[test]
    fn only_http_urls_are_taken() {
        assert!(Api::new("http://127.0.0.1:3000/", None).is_ok());
        for wrong in ["127.0.0.1:3000", "ftp://x", "", "http://"] {
            let error = Api::new(wrong, None).unwrap_err();
            assert!(error.hint.is_some(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_is_an_error_with_a_next_step() {
        let port = guildhall_provision::port::pick(None).unwrap();
        let api = Api::new(&format!("http://127.0.0.1:{port}"), None).unwrap();
        let error = api.get("list the runs", "/v1/runs").await.unwrap_err();
        assert_eq!(error.exit.code(), 2);
        let text = error.render(false);
        assert!(text.starts_with("error: cannot list the runs\n"), "{text}");
        assert!(text.contains("guildhall up"), "{text}");
    }
}
