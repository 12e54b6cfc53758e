//! HTTP requests, from outside and from sibling components, to the component they are for.

mod headers;
mod server;
mod worker;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock, Weak},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, WasiBody, handler::ProxyHandler};

use crate::{
    options::{Limits, Mode},
    outbound::http::Siblings,
    routes::{Matched, Routes},
};

pub(crate) use server::serve;
pub(crate) use worker::{ADMITTED, Instances};

/// Below this Spin answers itself.
const WELL_KNOWN: &str = "/.well-known/spin/";

/// The address of a caller that is a component.
const CHAINED_CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The HTTP side of a running application.
pub(crate) struct HttpApp {
    name: String,
    mode: Mode,
    limits: Limits,
    routes: Routes,
    handlers: HashMap<String, ProxyHandler<Instances>>,
    /// Requests from outside that may be in progress at once; heeded in hardened mode.
    in_flight: Semaphore,
}

/// The way from a component to its siblings, known before the application is complete.
#[derive(Clone, Default)]
pub(crate) struct SiblingsLater(Arc<OnceLock<Weak<HttpApp>>>);

impl SiblingsLater {
    /// Completes the way.
    pub fn complete(&self, app: &Arc<HttpApp>) {
        // It is completed once, by the start of the host.
        let _ = self.0.set(Arc::downgrade(app));
    }
}

impl Siblings for SiblingsLater {
    fn call(
        &self,
        component: &str,
        request: Request<WasiBody>,
    ) -> BoxFuture<'static, Result<Response<WasiBody>, Error>> {
        let app = self.0.get().and_then(Weak::upgrade);
        let component = component.to_string();
        Box::pin(async move {
            match app {
                Some(app) => app.chained(&component, request).await,
                None => Err(Error::DestinationUnavailable),
            }
        })
    }
}

impl HttpApp {
    pub fn new(
        name: String,
        mode: Mode,
        limits: Limits,
        routes: Routes,
        handlers: HashMap<String, ProxyHandler<Instances>>,
    ) -> Self {
        let in_flight = Semaphore::new(limits.in_flight);
        Self {
            name,
            mode,
            limits,
            routes,
            handlers,
            in_flight,
        }
    }

    /// Answers a request that came over the network.
    async fn handle(&self, mut request: Request<WasiBody>, client: SocketAddr) -> Response<WasiBody> {
        headers::strip_transport(&mut request);
        let path = request.uri().path().to_string();
        if let Some(own) = path.strip_prefix(WELL_KNOWN) {
            return self.well_known(own);
        }
        let Some(matched) = self.routes.find(&path) else {
            return empty(StatusCode::NOT_FOUND);
        };
        if let Err(cause) = headers::make_absolute(&mut request) {
            return text(StatusCode::BAD_REQUEST, format!("{cause}\n"));
        }
        if self.mode == Mode::Strict {
            return self.run(request, &matched, client).await;
        }
        let Ok(_permit) = self.in_flight.try_acquire() else {
            let mut response = text(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests in progress\n".into(),
            );
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            return response;
        };
        self.run(request, &matched, client).await
    }

    async fn run(
        &self,
        request: Request<WasiBody>,
        matched: &Matched<'_>,
        client: SocketAddr,
    ) -> Response<WasiBody> {
        match self.call(request, matched, client).await {
            Ok(response) => response,
            Err(cause) => {
                tracing::error!(component = %matched.component, "a request failed: {cause:?}");
                empty(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// Answers a request of one component to another, which comes without route or network.
    async fn chained(
        &self,
        component: &str,
        mut request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Error> {
        if !self.handlers.contains_key(component) {
            tracing::error!("a component called its sibling {component:?}, which has no HTTP trigger");
            return Err(Error::DestinationNotFound);
        }
        let path = request.uri().path().to_string();
        if headers::make_absolute(&mut request).is_err() {
            return Err(Error::HttpRequestUriInvalid);
        }
        Ok(self
            .run(request, &Matched::chained(component, &path), CHAINED_CLIENT)
            .await)
    }

    async fn call(
        &self,
        mut request: Request<WasiBody>,
        matched: &Matched<'_>,
        client: SocketAddr,
    ) -> wasmtime::Result<Response<WasiBody>> {
        let Some(handler) = self.handlers.get(&*matched.component) else {
            return Err(wasmtime::format_err!(
                "component {:?} is not running",
                matched.component
            ));
        };
        if self.mode == Mode::Hardened {
            headers::strip_spin(request.headers_mut());
        }
        headers::append_spin(&mut request, matched, client);
        let admission = handler.state().admit().await;
        handler.handle(admission, request).await
    }

    fn well_known(&self, path: &str) -> Response<WasiBody> {
        match path {
            "health" => text(StatusCode::OK, "OK".into()),
            "info" => {
                let info = serde_json::json!({ "name": self.name, "runtime": "guildhall-host" });
                let mut response = text(StatusCode::OK, info.to_string());
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            _ => empty(StatusCode::NOT_FOUND),
        }
    }
}

fn body(bytes: Bytes) -> WasiBody {
    Full::new(bytes).map_err(Error::from).boxed_unsync()
}

fn empty(status: StatusCode) -> Response<WasiBody> {
    text(status, String::new())
}

fn text(status: StatusCode, text: String) -> Response<WasiBody> {
    let mut response = Response::new(body(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
