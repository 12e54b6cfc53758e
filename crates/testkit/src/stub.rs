//! A small HTTP server for tests: it stands for whoever the fleet calls (remote agents, receivers of callbacks).

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Received {
    /// The body as JSON; `Null` when it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The server. Dropped, it stops listening.
#[derive(Debug)]
pub struct Stub {
    address: SocketAddr,
    listener: JoinHandle<()>,
}

impl Stub {
    /// Listens on a free port of 127.0.0.1 and answers each request with the status and JSON that `answer` gives.
    pub async fn start<F, W>(answer: F) -> anyhow::Result<Stub>
    where
        F: Fn(Received) -> W + Send + Sync + 'static,
        W: Future<Output = (u16, serde_json::Value)> + Send + 'static,
    {
        Stub::start_at([127, 0, 0, 1], answer).await
    }

    /// The same at another address of this machine, for example one that a fleet was told to trust.
    pub async fn start_at<F, W>(ip: [u8; 4], answer: F) -> anyhow::Result<Stub>
    where
        F: Fn(Received) -> W + Send + Sync + 'static,
        W: Future<Output = (u16, serde_json::Value)> + Send + 'static,
    {
        let listener = TcpListener::bind((std::net::IpAddr::from(ip), 0))
            .await
            .with_context(|| format!("cannot listen at {ip:?}"))?;
        let address = listener.local_addr()?;
        let answer = Arc::new(answer);
        let listener = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answer.clone();
                let service = service_fn(move |request| serve(request, answer.clone()));
                connections.spawn(async move {
                    // A caller that goes away in the middle is no trouble of ours.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Stub { address, listener })
    }

    /// `http://ADDRESS:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn serve<F, W>(
    request: hyper::Request<Incoming>,
    answer: Arc<F>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible>
where
    F: Fn(Received) -> W,
    W: Future<Output = (u16, serde_json::Value)>,
{
    let (parts, body) = request.into_parts();
    let (status, json) = match body.collect().await {
        Ok(body) => {
            let received = Received {
                method: parts.method.to_string(),
                path: parts.uri.to_string(),
                headers: parts.headers,
                body: body.to_bytes(),
            };
            answer(received).await
        }
        Err(_) => (400, serde_json::json!({"detail": "the body broke off"})),
    };
    let mut response = hyper::Response::new(Full::new(Bytes::from(json.to_string())));
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    Ok(response)
}
