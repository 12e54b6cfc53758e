//! The MCP server: Streamable HTTP on the loopback interface, stateless, with plain JSON answers.

use crate::tools::Tools;
use crate::workspace::Workspace;
use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The largest request: a commit of 8 MiB of text, as JSON spells it.
const REQUEST_MAX: usize = 24 << 20;
/// How many calls work at once; more of them wait.
const CALLS_MAX: usize = 64;
/// How long calls may take to end when the server stops. Commands are ended within a few seconds.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long clients may take to receive their answers after that.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);
/// The shortest token that is taken for a secret, in bytes.
const TOKEN_MIN: usize = 16;

type Body = BoxBody<Bytes, Infallible>;

/// What a workspace server needs to know.
#[derive(Clone)]
pub struct WorkspaceOptions {
    /// The path of a local git repository.
    pub repository: PathBuf,
    /// Where the server keeps its state; it belongs to this repository alone.
    pub state_dir: PathBuf,
    /// The loopback address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The bearer token that every call must carry; at least 16 bytes.
    pub token: String,
    /// The base branch, when the repository's own word is not to be taken.
    pub base_branch: Option<String>,
}

/// A workspace server at work. Dropping it stops the server as [`RunningWorkspace::shutdown`] does, without waiting.
pub struct RunningWorkspace {
    /// Where it listens.
    pub address: SocketAddr,
    workspace: Arc<Workspace>,
    stop: CancellationToken,
    /// Breaks off what MCP still does; only cancelled when the answers are out.
    break_off: CancellationToken,
    calls: TaskTracker,
    connections: TaskTracker,
    accepting: JoinHandle<()>,
}

impl RunningWorkspace {
    /// The URL that MCP clients call.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Stops listening, ends running commands, and waits until every call has written down its outcome.
    pub async fn shutdown(self) {
        self.workspace.stopping.stop();
        self.stop.cancel();
        self.calls.close();
        if tokio::time::timeout(STOP_LIMIT, self.calls.wait()).await.is_err() {
            tracing::warn!("calls of the workspace server did not end in time; they will be run again");
        }
        self.connections.close();
        if tokio::time::timeout(FLUSH_LIMIT, self.connections.wait())
            .await
            .is_err()
        {
            tracing::debug!("a client did not take its answer in time");
        }
        self.break_off.cancel();
    }

    /// Waits until the server has stopped listening.
    pub async fn stopped(&mut self) {
        let _ = (&mut self.accepting).await; // The task is never aborted and does not panic.
    }
}

impl Drop for RunningWorkspace {
    fn drop(&mut self) {
        self.workspace.stopping.stop();
        self.stop.cancel();
        self.break_off.cancel();
    }
}

/// Opens the workspace and serves its tools until it is told to stop. Errors say what is wrong with the options.
pub async fn serve(options: WorkspaceOptions) -> anyhow::Result<RunningWorkspace> {
    if !options.listen.ip().is_loopback() {
        bail!(
            "the workspace server listens on the loopback interface only, not on {}; use 127.0.0.1:PORT",
            options.listen
        );
    }
    if options.token.len() < TOKEN_MIN {
        bail!("the workspace token has fewer than {TOKEN_MIN} bytes; use a long random one");
    }
    let (repository, state_dir, base) = (options.repository, options.state_dir, options.base_branch);
    let workspace =
        tokio::task::spawn_blocking(move || Workspace::open(&repository, &state_dir, base)).await??;
    let workspace = Arc::new(workspace);
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    let address = listener.local_addr()?;
    let (stop, break_off) = (CancellationToken::new(), CancellationToken::new());
    let (calls, connections) = (TaskTracker::new(), TaskTracker::new());
    let handler = Handler {
        workspace: workspace.clone(),
        tools: Arc::new(Tools::new()),
        permits: Arc::new(Semaphore::new(CALLS_MAX)),
        calls: calls.clone(),
    };
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(REQUEST_MAX)
        .with_cancellation_token(break_off.child_token())
        .enforce_origin_validation();
    let mcp = StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let front = Front {
        mcp,
        token: options.token.into(),
    };
    let accepting = tokio::spawn(accept(listener, front, stop.clone(), connections.clone()));
    Ok(RunningWorkspace {
        address,
        workspace,
        stop,
        break_off,
        calls,
        connections,
        accepting,
    })
}

async fn accept(listener: TcpListener, front: Front, stop: CancellationToken, connections: TaskTracker) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely; others may be freed in a moment.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true); // Only a matter of speed.
        let (front, stop) = (front.clone(), stop.clone());
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let front = front.clone();
                async move { Ok::<_, Infallible>(front.answer(request).await) }
            });
            let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // With a clock, hyper gives up on clients that do not finish their headers.
            builder.http1().timer(TokioTimer::new());
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::time::timeout(STOP_LIMIT, connection).await.unwrap_or(Ok(()))
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

/// What stands before MCP: the path, the token, and a word for clients that forget a header.
#[derive(Clone)]
struct Front {
    mcp: StreamableHttpService<Handler, NeverSessionManager>,
    token: Arc<str>,
}

impl Front {
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            "/mcp" | "/" => {}
            "/livez" if request.method() == Method::GET => return text(StatusCode::OK, "ok\n"),
            _ => return text(StatusCode::NOT_FOUND, "There is nothing here; MCP is at /mcp.\n"),
        }
        if !self.is_authorised(&request) {
            let mut response = text(StatusCode::UNAUTHORIZED, "Send Authorization: Bearer TOKEN.\n");
            let challenge = header::HeaderValue::from_static("Bearer realm=\"guildhall-workspace\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return response;
        }
        // MCP wants clients to accept both media types. This server only ever sends JSON for its tools, so that a
        // client which names less, or nothing, can be served all the same.
        let both = header::HeaderValue::from_static("application/json, text/event-stream");
        request.headers_mut().insert(header::ACCEPT, both);
        self.mcp.handle(request).await
    }

    fn is_authorised(&self, request: &Request<Incoming>) -> bool {
        let mut given = request.headers().get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return false;
        };
        let Some((scheme, token)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer")
            && bool::from(token.trim().as_bytes().ct_eq(self.token.as_bytes()))
    }
}

fn text(status: StatusCode, words: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from_static(words.as_bytes())).boxed());
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// The MCP side: lists the tools and calls them.
#[derive(Clone)]
struct Handler {
    workspace: Arc<Workspace>,
    tools: Arc<Tools>,
    permits: Arc<Semaphore>,
    calls: TaskTracker,
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let server = Implementation::new("guildhall-workspace", env!("CARGO_PKG_VERSION"))
            .with_title("Guildhall workspace");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(server)
            .with_instructions(
                "Tools over one git repository. Begin with repository_describe. Pin names to commit ids with \
                 revision_resolve. Tools with an idempotency_key may be repeated with the same key: the effect \
                 happens once.",
            )
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.list()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.get(name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.to_string();
        if self.tools.get(&name).is_none() {
            return Err(ErrorData::invalid_params(
                format!("there is no tool called {name:?}"),
                None,
            ));
        }
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| ErrorData::internal_error("the server is stopping", None))?;
        let (workspace, tools) = (self.workspace.clone(), self.tools.clone());
        // A task of its own: a caller that hangs up does not leave an effect half done.
        let call = self.calls.spawn_blocking(move || {
            let _permit = permit;
            let called = name.clone();
            (name, tools.call(&workspace, &called, arguments))
        });
        match call.await {
            Ok((_, Some(Ok(value)))) => Ok(CallToolResult::structured(value).into()),
            Ok((name, Some(Err(error)))) => {
                if error.code == "internal" {
                    tracing::error!(tool = name, %error, "a tool call failed");
                }
                Ok(CallToolResult::structured_error(error.to_json()).into())
            }
            Ok((name, None)) => Err(ErrorData::invalid_params(
                format!("there is no tool called {name:?}"),
                None,
            )),
            Err(error) => Err(ErrorData::internal_error(
                format!("the tool call broke off: {error}"),
                None,
            )),
        }
    }
}
