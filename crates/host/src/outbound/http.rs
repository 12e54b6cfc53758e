//! Outbound HTTP: to the network, to the application's own listener, and to other components in-process.

mod body;
mod connect;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::{Request, Response, Uri, header::HOST, uri::PathAndQuery};
use http_body_util::BodyExt as _;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::{network::chaining_target, runtime_config::HttpConfig, state::ComponentContext};

pub(crate) use connect::Connector;

/// How long a request may take in each of its parts when the guest does not say; Spin's figure.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The authority by which an application reaches itself.
const SELF: &str = "self.alt";

/// Sends requests over the network for the whole application.
#[derive(Clone)]
pub(crate) struct HttpClient(Client<Connector, WasiBody>);

impl HttpClient {
    pub fn new(config: &HttpConfig, connector: Connector) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(hyper_util::rt::TokioTimer::new());
        if !config.pooling {
            builder.pool_max_idle_per_host(0);
        }
        Self(builder.build(connector))
    }
}

/// Hands a request to another component of the application; `Err` says why it cannot.
pub(crate) trait Siblings: Send + Sync {
    fn call(
        &self,
        component: &str,
        request: Request<WasiBody>,
    ) -> BoxFuture<'static, Result<Response<WasiBody>, Error>>;
}

/// What an HTTP-triggered component has over others: an application listening, and siblings.
#[derive(Clone)]
pub(crate) struct Inside {
    pub listener: SocketAddr,
    pub siblings: Arc<dyn Siblings>,
}

/// How one instance sends requests.
#[derive(Clone)]
pub(crate) struct HttpHooks {
    pub component: Arc<ComponentContext>,
    pub client: HttpClient,
    /// `None` for Redis-triggered components, which Spin does not let call their siblings.
    pub inside: Option<Inside>,
}

type Sent = (
    Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

impl WasiHttpHooks for HttpHooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let hooks = self.clone();
        Box::new(async move {
            let response = hooks.send(request, options.unwrap_or_default()).await?;
            // Failures of the connection reach the guest through the response's body.
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

impl HttpHooks {
    async fn send(
        self,
        mut request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<Response<WasiBody>, Error> {
        let host = request.uri().authority().map_or("", |a| a.host());
        if host.is_empty() || host == SELF {
            if !self.component.allowed.allows_self() {
                tracing::warn!(
                    component = %self.component.id,
                    "refused to call the application itself: \"http://self\" is not in allowed_outbound_hosts of [component.{}]",
                    self.component.id
                );
                return Err(Error::HttpRequestDenied);
            }
            let Some(inside) = &self.inside else {
                return Err(Error::HttpRequestUriInvalid);
            };
            *request.uri_mut() = own_uri(inside.listener, request.uri().path_and_query())?;
        } else if !self.component.may_reach(&request.uri().to_string(), "https") {
            return Err(Error::HttpRequestDenied);
        }
        // The client writes it anew from the URI; HTTP/2 servers stumble over both.
        request.headers_mut().remove(HOST);

        if let Some(inside) = &self.inside
            && let Some(sibling) = request
                .uri()
                .authority()
                .and_then(|a| chaining_target(a.host()))
                .map(str::to_string)
        {
            return inside.siblings.call(&sibling, request).await;
        }
        let connect = options.connect_timeout.unwrap_or(TIMEOUT);
        let first_byte = options.first_byte_timeout.unwrap_or(TIMEOUT);
        let between_bytes = options.between_bytes_timeout.unwrap_or(TIMEOUT);
        let sending = connect::CONNECT_TIMEOUT.scope(connect, self.client.0.request(request));
        let response = tokio::time::timeout(first_byte, sending)
            .await
            .map_err(|_| Error::ConnectionReadTimeout)?
            .map_err(|e| connect::request_error(&e))?;
        Ok(response.map(|body| body::TimedBody::new(body, between_bytes).boxed_unsync()))
    }
}

fn own_uri(listener: SocketAddr, path: Option<&PathAndQuery>) -> Result<Uri, Error> {
    Uri::builder()
        .scheme("http")
        .authority(reachable(listener).to_string())
        .path_and_query(path.cloned().unwrap_or(PathAndQuery::from_static("/")))
        .build()
        .map_err(|_| Error::HttpRequestUriInvalid)
}

/// A listener on all addresses is reached by loopback.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let mut address = listener;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
