//! The floor of an HTTP answer: the same bytes from a minimal native server in this process.

use super::http::Answer;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, io, net::SocketAddr};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// A server on a free port of 127.0.0.1 that gives every request the same answer, until it is dropped.
pub struct FloorServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl FloorServer {
    /// Starts to serve `answer`: its status, its header fields but for those that belong to the connection, its body.
    pub async fn start(answer: &Answer) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, response(answer)));
        Ok(FloorServer { address, task })
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for FloorServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn response(answer: &Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body.clone()));
    *response.status_mut() = answer.status;
    for (name, value) in &answer.headers {
        if ![
            header::CONNECTION,
            header::TRANSFER_ENCODING,
            header::CONTENT_LENGTH,
            header::DATE,
        ]
        .contains(name)
        {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

async fn accept(listener: TcpListener, response: Response<Full<Bytes>>) {
    // Connections end with the set, and the set with this task.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, response.clone()));
    }
}

async fn serve(stream: TcpStream, response: Response<Full<Bytes>>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |_| {
        let response = response.clone();
        async move { Ok::<_, Infallible>(response) }
    });
    // A connection that breaks is seen by the client, which counts it.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
