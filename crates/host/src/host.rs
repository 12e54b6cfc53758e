//! Starting an application, and what is left in the starter's hands while it runs.

mod parts;
mod plan;

use std::{collections::HashMap, fmt, net::SocketAddr, sync::Arc};

use futures::future::try_join_all;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmtime::{Engine, component::InstancePre};

use crate::{
    cache::Cache,
    component,
    engine::{self, Activity, Ticker},
    error::{ErrorKind, HostError, Result},
    options::{HostOptions, Mode},
    outbound::http::Inside,
    state::GuestState,
    trigger::{
        http::{HttpApp, SiblingsLater, serve},
        redis::{Subscriber, Subscription},
    },
};
use parts::Parts;
use plan::Plan;

/// Starts applications.
pub struct Host;

impl Host {
    /// Starts the application of `options`; everything that can be checked is checked before it serves.
    ///
    /// Must be called within a multi-threaded tokio runtime. The error names the place in `spin.toml`,
    /// the cause and what to do.
    pub async fn start(options: HostOptions) -> Result<RunningHost> {
        let plan = Arc::new(Plan::make(&options)?);
        let engine = engine::engine()?;
        let guests = compile(&plan, &options, &engine).await?;

        let listener = TcpListener::bind(options.listen).await.map_err(|e| {
            HostError::new(
                ErrorKind::Listen,
                format!("listening on {}", options.listen),
                e.to_string(),
            )
            .hint("choose another address or port; port 0 takes a free one")
        })?;
        let address = listener.local_addr().map_err(|e| {
            HostError::new(
                ErrorKind::Listen,
                format!("listening on {}", options.listen),
                e.to_string(),
            )
        })?;

        let killed = CancellationToken::new();
        let activity = Activity::default();
        let siblings = SiblingsLater::default();
        let parts = Parts::new(&plan, &options, engine.clone(), killed.clone(), &activity)?;
        let inside = Inside {
            listener: address,
            siblings: Arc::new(siblings.clone()),
        };
        let app = Arc::new(parts.http_app(&plan, &guests, inside)?);
        siblings.complete(&app);
        let subscribers = connect(parts.subscribers(&plan, &guests)?, options.mode).await?;

        let ticker = match options.mode {
            Mode::Strict => None,
            Mode::Hardened => Some(Ticker::start(&engine, activity)?),
        };
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (app, stop) = (app.clone(), stop.clone());
            async move {
                match serve(app, listener, stop).await {
                    Ok(()) => ExitReason::Shutdown,
                    Err(e) => ExitReason::Server(HostError::new(
                        ErrorKind::Listen,
                        format!("listening on {address}"),
                        format!("connections can no longer be accepted: {e}"),
                    )),
                }
            }
        });
        for (subscriber, subscription) in subscribers {
            let stop = stop.clone();
            tasks.spawn(async move {
                match (subscriber.mode, subscription) {
                    (Mode::Strict, Some(subscription)) => tokio::select! {
                        reason = subscriber.run_strict(subscription) => ExitReason::Redis(reason),
                        () = stop.cancelled() => ExitReason::Shutdown,
                    },
                    (_, subscription) => {
                        subscriber.run_hardened(subscription, stop).await;
                        ExitReason::Shutdown
                    }
                }
            });
        }
        tracing::info!(application = %plan.manifest.name, mode = ?options.mode, "serving http://{address}");
        let life = Life {
            engine,
            killed,
            _ticker: ticker,
            _app: app,
        };
        Ok(RunningHost {
            address,
            tasks,
            stop: stop.clone(),
            _stop: stop.drop_guard(),
            _life: life,
        })
    }
}

/// Loads every component of the plan, several at a time.
async fn compile(
    plan: &Arc<Plan>,
    options: &HostOptions,
    engine: &Engine,
) -> Result<HashMap<String, InstancePre<GuestState>>> {
    let folder = options.state_dir.join("cache");
    let cache = Cache::open(folder.clone(), engine).map_err(|e| {
        HostError::new(
            ErrorKind::Runtime,
            folder.display().to_string(),
            format!("cannot be made: {e}"),
        )
        .hint("choose a state folder this user may write to")
    })?;
    let cache = Arc::new(cache);
    let linker = Arc::new(component::linker(engine)?);
    let loading = plan.components().map(|declared| {
        let (declared, cache, linker) = (declared.clone(), cache.clone(), linker.clone());
        async move {
            let id = declared.id.clone();
            let loaded =
                tokio::task::spawn_blocking(move || component::load(&declared, &cache, &linker)).await;
            match loaded {
                Ok(pre) => Ok((id, pre?)),
                Err(e) => Err(HostError::new(
                    ErrorKind::Runtime,
                    format!("spin.toml [component.{id}] source"),
                    format!("loading it failed in the host: {e}"),
                )),
            }
        }
    });
    Ok(try_join_all(loading).await?.into_iter().collect())
}

/// In strict mode a Redis server that is not there ends the start, as in Spin; in hardened mode it is
/// awaited in the background.
async fn connect(
    subscribers: Vec<Subscriber>,
    mode: Mode,
) -> Result<Vec<(Subscriber, Option<Subscription>)>> {
    let mut connected = Vec::new();
    for subscriber in subscribers {
        let subscription = match (subscriber.connect().await, mode) {
            (Ok(subscription), _) => Some(subscription),
            (Err(e), Mode::Strict) => return Err(e),
            (Err(e), Mode::Hardened) => {
                tracing::warn!("{e}");
                None
            }
        };
        connected.push((subscriber, subscription));
    }
    Ok(connected)
}

/// What must live as long as the application runs. Dropping it ends every guest.
struct Life {
    engine: Engine,
    killed: CancellationToken,
    _ticker: Option<Ticker>,
    _app: Arc<HttpApp>,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.killed.cancel();
        // Guests that compute without end are at their deadline now; in strict mode nothing else ends them.
        self.engine.increment_epoch();
    }
}

/// A running application. Dropping it ends it at once.
pub struct RunningHost {
    address: SocketAddr,
    tasks: JoinSet<ExitReason>,
    stop: CancellationToken,
    _stop: DropGuard,
    _life: Life,
}

impl fmt::Debug for RunningHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningHost")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl RunningHost {
    /// Where HTTP is served, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle by which the application can be told to shut down while somebody waits for it.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        ShutdownHandle(self.stop.clone())
    }

    /// Waits until the application has ended, and says why it did.
    ///
    /// In strict mode the first trigger that ends takes the others with it, as in Spin.
    pub async fn wait(mut self) -> ExitReason {
        let mut first = None;
        while let Some(ended) = self.tasks.join_next().await {
            let reason = ended.unwrap_or_else(|e| {
                ExitReason::Server(HostError::new(
                    ErrorKind::Runtime,
                    "host",
                    format!("a task failed: {e}"),
                ))
            });
            self.stop.cancel();
            first.get_or_insert(reason);
        }
        first.unwrap_or(ExitReason::Shutdown)
    }

    /// Shuts down and waits until it is done; in hardened mode what is in progress may finish.
    pub async fn shutdown(self) -> ExitReason {
        self.stop.cancel();
        self.wait().await
    }
}

/// Tells an application to shut down.
#[derive(Clone, Debug)]
pub struct ShutdownHandle(CancellationToken);

impl ShutdownHandle {
    /// Begins the shutdown; [`RunningHost::wait`] returns when it is done.
    pub fn shutdown(&self) {
        self.0.cancel();
    }
}

/// Why an application ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExitReason {
    /// Somebody asked for it.
    Shutdown,
    /// A Redis trigger lost its server, in strict mode.
    Redis(HostError),
    /// HTTP can no longer be served.
    Server(HostError),
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown => f.write_str("shut down"),
            Self::Redis(e) | Self::Server(e) => e.fmt(f),
        }
    }
}
