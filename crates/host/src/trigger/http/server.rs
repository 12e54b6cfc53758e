//! The listening side.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::BodyExt as _;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmtime_wasi_http::Error;

use super::HttpApp;
use crate::options::Mode;

/// Serves `app` on `listener` until `stop`. In hardened mode requests in progress are then finished, as
/// long as the limits allow.
///
/// The error is the one of accepting connections, which in strict mode ends the server, as in Spin.
pub(crate) async fn serve(
    app: Arc<HttpApp>,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let connections = GracefulShutdown::new();
    let cut_off = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, client)) => connection(&app, stream, client, &connections, &cut_off, &stop),
            Err(e) if app.mode == Mode::Strict => return Err(e),
            Err(e) => {
                // Usually out of file descriptors; some come back as connections end.
                tracing::error!("a connection cannot be accepted: {e}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    // Strict connections are gone before their guests are: the client sees the connection end, as with a Spin that was
    // stopped, and never the 500 of a guest that was ended under it.
    cut_off.close();
    cut_off.wait().await;
    if app.mode == Mode::Hardened
        && tokio::time::timeout(app.limits.drain, connections.shutdown())
            .await
            .is_err()
    {
        tracing::warn!(
            "requests were still in progress after {:?}; they are cut off",
            app.limits.drain
        );
    }
    Ok(())
}

fn connection(
    app: &Arc<HttpApp>,
    stream: TcpStream,
    client: SocketAddr,
    connections: &GracefulShutdown,
    cut_off: &TaskTracker,
    stop: &CancellationToken,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    if app.mode == Mode::Hardened {
        // Without it a response in two pieces waits for the client's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(app.limits.header_read);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(app.limits.header_read)
            .keep_alive_timeout(app.limits.header_read);
    }
    let handler = app.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let app = handler.clone();
        async move {
            let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
            Ok::<_, Infallible>(app.handle(request, client).await)
        }
    });
    let serving = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    match app.mode {
        Mode::Hardened => {
            let serving = connections.watch(serving);
            tokio::spawn(async move {
                if let Err(e) = serving.await {
                    tracing::debug!("a connection ended with an error: {e}");
                }
            });
        }
        Mode::Strict => {
            let stop = stop.clone();
            cut_off.spawn(async move {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    ended = serving => {
                        if let Err(e) = ended {
                            tracing::debug!("a connection ended with an error: {e}");
                        }
                    }
                }
            });
        }
    }
}
