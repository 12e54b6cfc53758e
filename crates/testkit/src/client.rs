//! A small HTTP client for tests: one connection per request, so that nothing is retried or reused behind one's back.

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;

/// Speaks HTTP/1.1 to one base URL, with one token.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    token: Option<String>,
    timeout: Duration,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; `Null` when it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).to_string()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The problem's stable code, when the answer is a problem.
    pub fn code(&self) -> Option<String> {
        self.json().get("code")?.as_str().map(str::to_string)
    }
}

impl Client {
    /// A client without a token for `base`, for example `http://127.0.0.1:3000`.
    pub fn new(base: impl Into<String>) -> Client {
        Client {
            base: base.into(),
            token: None,
            timeout: Duration::from_secs(30),
        }
    }

    /// Its base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Its API token.
    pub fn secret(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The same with an API token.
    pub fn token(&self, token: impl Into<String>) -> Client {
        Client {
            token: Some(token.into()),
            ..self.clone()
        }
    }

    /// The same with another time limit per request (default 30 s).
    pub fn timeout(&self, timeout: Duration) -> Client {
        Client {
            timeout,
            ..self.clone()
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> anyhow::Result<Reply> {
        self.send("GET", path, &[], Vec::new()).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Reply> {
        self.send(
            "POST",
            path,
            &[("content-type", "application/json")],
            body.to_string().into_bytes(),
        )
        .await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Reply> {
        self.send("DELETE", path, &[], Vec::new()).await
    }

    /// Any request. `headers` come after those of the client, so a test can send its own.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> anyhow::Result<Reply> {
        let what = format!("{method} {}{path}", self.base);
        tokio::time::timeout(self.timeout, self.exchange(method, path, headers, body))
            .await
            .with_context(|| format!("{what}: no answer within {:?}", self.timeout))?
            .context(what)
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> anyhow::Result<Reply> {
        let uri: http::Uri = format!("{}{path}", self.base)
            .parse()
            .context("the URL is not valid")?;
        let authority = uri.authority().context("the URL names no host")?.clone();
        let address = (authority.host().to_string(), authority.port_u16().unwrap_or(80));
        let stream = TcpStream::connect(address).await.context("cannot connect")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut request = http::Request::builder()
            .method(method)
            .uri(target)
            .header("host", authority.as_str());
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender
            .send_request(request.body(Full::new(Bytes::from(body)))?)
            .await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.context("the answer broke off")?.to_bytes();
        Ok(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }
}
