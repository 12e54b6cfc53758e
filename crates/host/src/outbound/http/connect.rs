//! Connections for outbound HTTP: resolved, held against the blocked networks, and encrypted for `https`.

use std::{
    collections::BTreeMap,
    error::Error as _,
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Uri, uri::Scheme};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower_service::Service;
use wasmtime_wasi_http::Error;

use crate::network::BlockedNetworks;

tokio::task_local! {
    /// How long connecting may take for the request being sent; the client has no other way to pass it.
    pub(super) static CONNECT_TIMEOUT: Duration;
}

/// Makes connections for all components.
#[derive(Clone)]
pub(crate) struct Connector {
    blocked: Arc<BlockedNetworks>,
    stand_ins: Arc<BTreeMap<String, SocketAddr>>,
    /// Connections at once; unlimited when `None`.
    permits: Option<Arc<Semaphore>>,
    tls: TlsConnector,
}

impl Connector {
    /// A connector that trusts the web's certificate authorities. The error is the TLS library's.
    pub fn new(
        blocked: Arc<BlockedNetworks>,
        stand_ins: Arc<BTreeMap<String, SocketAddr>>,
        connections: Option<usize>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = rustls::RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.into(),
        };
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            blocked,
            stand_ins,
            permits: connections.map(|n| Arc::new(Semaphore::new(n))),
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Stream>, ConnectError> {
        let tls = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().ok_or(ConnectError::InvalidUri)?;
        let host = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let stand_in = self
            .stand_ins
            .get(&format!("{}:{port}", host.to_ascii_lowercase()));
        let addresses = match stand_in {
            Some(address) => vec![*address],
            None => {
                let found = tokio::net::lookup_host((host, port))
                    .await
                    .map_err(|_| ConnectError::Name)?;
                found.filter(|a| !self.blocked.blocks(a.ip())).collect()
            }
        };
        if addresses.is_empty() {
            return Err(ConnectError::Blocked);
        }
        let permit = match &self.permits {
            Some(permits) => Some(
                permits
                    .clone()
                    .acquire_owned()
                    .await
                    .map_err(|_| ConnectError::Limit)?,
            ),
            None => None,
        };
        let tcp = TcpStream::connect(&*addresses)
            .await
            .map_err(|_| ConnectError::Refused)?;
        // A request is written in one go and its answer awaited, so there is nothing to gather.
        let _ = tcp.set_nodelay(true);
        let transport = if tls && stand_in.is_none() {
            let name = ServerName::try_from(host.to_string()).map_err(|_| ConnectError::Name)?;
            let stream = self.tls.connect(name, tcp).await.map_err(|e| {
                tracing::warn!("no TLS connection to {host}: {e}");
                ConnectError::Tls
            })?;
            Transport::Tls(Box::new(stream))
        } else {
            Transport::Plain(tcp)
        };
        Ok(TokioIo::new(Stream {
            transport,
            _permit: permit,
        }))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = CONNECT_TIMEOUT.try_get().unwrap_or(super::TIMEOUT);
        let connecting = self.clone().connect(uri);
        Box::pin(async move {
            tokio::time::timeout(limit, connecting)
                .await
                .map_err(|_| ConnectError::Timeout)?
        })
    }
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConnectError {
    InvalidUri,
    Name,
    Blocked,
    Limit,
    Refused,
    Tls,
    Timeout,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidUri => "the URI has no host",
            Self::Name => "the name cannot be resolved",
            Self::Blocked => "the address is blocked by runtime-config.toml",
            Self::Limit => "no more connections may be opened",
            Self::Refused => "the connection was refused",
            Self::Tls => "TLS could not be established",
            Self::Timeout => "connecting took too long",
        })
    }
}

impl std::error::Error for ConnectError {}

/// What a guest is told of a request that failed.
pub(super) fn request_error(error: &hyper_util::client::legacy::Error) -> Error {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(connect) = cause.downcast_ref::<ConnectError>() {
            return match connect {
                ConnectError::InvalidUri => Error::HttpRequestUriInvalid,
                ConnectError::Name => Error::DnsError {
                    rcode: Some("address not available".into()),
                    info_code: Some(0),
                },
                ConnectError::Blocked => Error::DestinationIpProhibited,
                ConnectError::Limit => Error::ConnectionLimitReached,
                ConnectError::Refused => Error::ConnectionRefused,
                ConnectError::Tls => Error::TlsProtocolError,
                ConnectError::Timeout => Error::ConnectionTimeout,
            };
        }
        source = cause.source();
    }
    tracing::warn!("an outbound request failed: {}", crate::outbound::chain(error));
    Error::HttpProtocolError
}

/// A connection, and the permit to have it.
pub(crate) struct Stream {
    transport: Transport,
    _permit: Option<OwnedSemaphorePermit>,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match &self.transport {
            Transport::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            _ => Connected::new(),
        }
    }
}

/// Calls the same method of whichever transport it is.
macro_rules! either {
    ($self:ident, $method:ident $(, $argument:expr)*) => {
        match &mut $self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Transport::Tls(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, poll_read, cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, poll_write, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored, cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
