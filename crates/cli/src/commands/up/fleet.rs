//! Everything that a running `guildhall up` holds, in the order in which it starts and, backwards, stops.

use super::announce::{self, News};
use super::guard::StateDir;
use super::services::Services;
use super::variables::{self, Parts};
use super::workspace::Workspace;
use super::{LogChoice, ModeChoice, Up, ready};
use crate::commands::migrate;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::output::say;
use crate::secret;
use guildhall_domain::scope::Scope;
use guildhall_domain::token::{Principal, PrincipalKind};
use guildhall_host::{
    ErrorKind, ExitReason, Host, HostError, HostOptions, LogSink, Mode, Reuse, ShutdownHandle,
};
use guildhall_provision::fleet::{self as record, Credentials, Running};
use guildhall_store::token::Verified;
use guildhall_store_native::{NativeDb, NativeDbOptions};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// How often children are looked after when none has been heard to end.
const LOOK_AFTER_EVERY: Duration = Duration::from_secs(5);
/// How often for [`EAGER_FOR`] after one has.
const EAGERLY_EVERY: Duration = Duration::from_millis(250);
/// The longest pause that a child which keeps ending is given before its next start, and a bit.
const EAGER_FOR: Duration = Duration::from_secs(15);

/// How instances are reused in hardened mode. Spin's 128 requests make a busy component start dozens of instances a second,
/// each with a connection, a token and the ticker to see to before it can answer.
const LASTING: Reuse = Reuse {
    requests: 8192,
    concurrent: 16,
    idle: Duration::from_secs(1),
};

/// Components most of whose requests wait for something, and how many an instance has at once in hardened mode. Each
/// instance keeps a connection to Postgres of its own: with 16 at once, a thousand waiters would keep all there are.
const MOSTLY_WAITING: [&str; 2] = ["locks", "events"];
const WAITING_PER_INSTANCE: usize = 128;

/// A fleet that runs.
pub struct Fleet {
    host: ShutdownHandle,
    ended: JoinHandle<ExitReason>,
    address: SocketAddr,
    children: Arc<Mutex<Children>>,
    repository: Option<PathBuf>,
    mode: ModeChoice,
    url: String,
    state: StateDir,
    begun: Instant,
}

/// What runs beside the host. Calls block, so they are made off the runtime's threads.
struct Children {
    workspace: Option<Workspace>,
    services: Services,
}

impl Children {
    fn pids(&self) -> Vec<(&'static str, u32)> {
        let mut pids = self.services.pids();
        pids.extend(
            self.workspace
                .as_ref()
                .and_then(Workspace::pid)
                .map(|pid| ("workspace", pid)),
        );
        pids
    }

    fn look_after(&mut self) -> Result<bool> {
        let services = self.services.look_after()?;
        let workspace = self.workspace.as_mut().map_or(Ok(false), Workspace::look_after)?;
        Ok(services | workspace)
    }

    fn stop(&mut self) {
        if let Some(workspace) = &mut self.workspace {
            workspace.stop();
        }
        self.services.stop();
    }
}

impl Fleet {
    /// Starts everything and waits until the host listens.
    pub async fn start(context: &Context, up: &Up) -> Result<Fleet> {
        let begun = Instant::now();
        let manifest = up.manifest()?;
        let state = StateDir::take(&context.state_dir())?;
        if let Some(shared) = &up.cache_dir {
            state.share_cache(shared)?;
        }
        let (database_url, redis_url) = (up.database_url.clone(), up.redis_url.clone());
        let dir = state.path().to_path_buf();
        let services =
            blocking(move || Services::start(&dir, database_url.as_deref(), redis_url.as_deref())).await?;
        let report = migrate::apply(&services.database).await?;
        if !report.applied.is_empty() || !report.functions.is_empty() {
            say(&migrate::describe(&report));
        }
        let listen = concrete(up.listen)?;
        let url = up
            .public_url
            .clone()
            .unwrap_or_else(|| reachable(listen))
            .trim_end_matches('/')
            .to_string();
        let mut credentials = credentials(&state, &services, &url).await?;
        let workspace = match up.repo.clone() {
            Some(repo) => {
                let (base, dir, token) = (
                    up.base.clone(),
                    state.path().to_path_buf(),
                    credentials.workspace_token.clone(),
                );
                Some(blocking(move || Workspace::start(&repo, base.as_deref(), &dir, &token)).await?)
            }
            None => None,
        };
        credentials.workspace_url = workspace.as_ref().map(Workspace::url).unwrap_or_default();
        record::write_credentials(state.path(), &credentials)?;
        let variables = variables::values(&Parts {
            database: &services.database,
            redis_url: &services.redis_url,
            public_url: &url,
            internal_token: &credentials.internal_token,
            workspace: workspace.as_ref().map(|_| {
                (
                    credentials.workspace_url.as_str(),
                    credentials.workspace_token.as_str(),
                )
            }),
        })?;
        let runtime_config = manifest.with_file_name("runtime-config.toml");
        let options = HostOptions {
            mode: if up.mode == ModeChoice::Strict {
                Mode::Strict
            } else {
                Mode::Hardened
            },
            listen,
            variables,
            state_dir: state.path().to_path_buf(),
            runtime_config: runtime_config.is_file().then_some(runtime_config),
            log: match up.log {
                LogChoice::Files => LogSink::Files,
                LogChoice::Stderr => LogSink::Stderr,
                LogChoice::Both => LogSink::Both,
            },
            reuse: if up.mode == ModeChoice::Strict {
                Reuse::default()
            } else {
                LASTING
            },
            component_reuse: MOSTLY_WAITING
                .map(|id| {
                    let reuse = Reuse {
                        concurrent: WAITING_PER_INSTANCE,
                        ..LASTING
                    };
                    (id.to_string(), reuse)
                })
                .into(),
            stand_ins: up.stand_ins.iter().cloned().collect(),
            ..HostOptions::new(&manifest)
        };
        for (service, address) in &options.stand_ins {
            say(&format!("{service} is played by {address}, unencrypted"));
        }
        let host = Host::start(options).await.map_err(host_error)?;
        let fleet = Fleet {
            host: host.shutdown_handle(),
            address: host.address(),
            ended: tokio::spawn(host.wait()),
            repository: workspace
                .as_ref()
                .map(|workspace| workspace.repository().to_path_buf()),
            children: Arc::new(Mutex::new(Children { workspace, services })),
            mode: up.mode,
            url,
            state,
            begun,
        };
        fleet.announce(false)?;
        Ok(fleet)
    }

    fn announce(&self, ready: bool) -> Result<()> {
        let children = lock(&self.children)
            .pids()
            .into_iter()
            .map(|(name, pid)| (name.to_string(), pid))
            .collect();
        self.state.announce(&Running {
            pid: std::process::id(),
            url: self.url.clone(),
            ready,
            children,
        })
    }

    /// Process ids of the children.
    pub fn children(&self) -> Vec<u32> {
        lock(&self.children)
            .pids()
            .into_iter()
            .map(|(_, pid)| pid)
            .collect()
    }

    /// Waits until it is ready, says so, and looks after everything. Returns only when something has ended that should
    /// not, and then an error.
    pub async fn serve(&mut self, context: &Context) -> Result<()> {
        let local = reachable(self.address);
        tokio::select! {
            ready = ready::wait(&local) => ready?,
            reason = &mut self.ended => return Err(ended_by_itself(reason)),
        }
        self.announce(true)?;
        let news = News {
            url: &self.url,
            mode: self.mode,
            state_dir: self.state.path(),
            repository: self.repository.as_deref(),
            took_ms: self.begun.elapsed().as_millis(),
        };
        announce::print(&context.output, &news)?;
        let _asking = AbortOnDrop(tokio::spawn(ready::keep_asking(local)));
        // The kernel tells when a child has ended, so that nobody need look four times a second for that.
        let mut endings = signal(SignalKind::child())
            .map_err(|error| CliError::new("cannot be told when a child process ends").cause(&error))?;
        let mut eager_until = Instant::now();
        loop {
            let pause = if Instant::now() < eager_until {
                EAGERLY_EVERY
            } else {
                LOOK_AFTER_EVERY
            };
            tokio::select! {
                reason = &mut self.ended => return Err(ended_by_itself(reason)),
                _ = endings.recv() => eager_until = Instant::now() + EAGER_FOR,
                () = tokio::time::sleep(pause) => {}
            }
            let children = self.children.clone();
            if blocking(move || lock(&children).look_after()).await? {
                self.announce(true)?;
            }
        }
    }

    /// Stops everything that was started: first the host, so that what is in progress can finish.
    pub async fn stop(self) {
        self.host.shutdown();
        if !self.ended.is_finished() {
            let _ = self.ended.await;
        }
        let children = self.children.clone();
        let stopped = tokio::task::spawn_blocking(move || lock(&children).stop()).await;
        if let Err(error) = stopped {
            say(&format!("not everything could be stopped: {error}"));
        }
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn lock(children: &Mutex<Children>) -> MutexGuard<'_, Children> {
    children.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Does blocking work off the runtime's own threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| CliError::new("cannot start the fleet's processes").cause(&error))?
}

/// The secrets of the state directory; those that are missing, or that this database does not know, are made.
async fn credentials(state: &StateDir, services: &Services, url: &str) -> Result<Credentials> {
    let known = record::credentials(state.path()).ok();
    let kept = |field: fn(&Credentials) -> &String| {
        known.as_ref().map(field).filter(|text| !text.is_empty()).cloned()
    };
    let made = |kept: Option<String>| kept.map_or_else(secret::random, Ok);
    Ok(Credentials {
        url: url.to_string(),
        admin_token: admin_token(services, kept(|known| &known.admin_token)).await?,
        internal_token: made(kept(|known| &known.internal_token))?,
        workspace_token: made(kept(|known| &known.workspace_token))?,
        workspace_url: String::new(),
        database: crate::database::component_words(&services.database),
        redis: services.redis_url.clone(),
    })
}

/// The admin token of earlier when the database still takes it, else a new one.
async fn admin_token(services: &Services, known: Option<String>) -> Result<String> {
    let cannot =
        |error: guildhall_store::DbError| CliError::new("cannot make the first API token").cause(&error);
    let db = NativeDb::new(services.database.clone(), NativeDbOptions::default()).map_err(cannot)?;
    if let Some(token) = known {
        let verified = guildhall_store::token::verify(&db, &secret::hash(&token))
            .await
            .map_err(cannot)?;
        if matches!(&verified, Verified::Ok { principal, .. } if Scope::Admin.is_granted_by(&principal.scopes))
        {
            return Ok(token);
        }
    }
    let token = secret::api_token()?;
    let admin = Principal {
        agent_id: None,
        name: "admin".into(),
        kind: PrincipalKind::Person,
        scopes: vec![Scope::Admin],
    };
    guildhall_store::token::create(&db, &secret::hash(&token), &admin, None, "guildhall up")
        .await
        .map_err(cannot)?;
    Ok(token)
}

/// With port 0, a free port: the components must know it before the host listens.
fn concrete(mut listen: SocketAddr) -> Result<SocketAddr> {
    if listen.port() == 0 {
        listen.set_port(guildhall_provision::port::pick(None)?);
    }
    Ok(listen)
}

/// How this machine reaches something that listens there.
fn reachable(listen: SocketAddr) -> String {
    match listen.ip() {
        ip if !ip.is_unspecified() => format!("http://{listen}"),
        ip if ip.is_ipv6() => format!("http://[::1]:{}", listen.port()),
        _ => format!("http://127.0.0.1:{}", listen.port()),
    }
}

fn host_error(error: HostError) -> CliError {
    let shown =
        CliError::new(format!("cannot start the application: {}", error.place())).because(error.cause());
    match (error.advice(), error.kind()) {
        (Some(advice), _) => shown.hint(advice),
        (None, ErrorKind::Component) => shown.hint("build the components: cargo xtask build"),
        (None, ErrorKind::Listen) => shown.hint("choose another address: --listen 127.0.0.1:0"),
        (None, _) => shown,
    }
}

fn ended_by_itself(reason: std::result::Result<ExitReason, tokio::task::JoinError>) -> CliError {
    let shown = CliError::new("the fleet has stopped by itself");
    match reason {
        Ok(reason) => shown.because(reason.to_string()),
        Err(error) => shown.cause(&error),
    }
    .hint("run guildhall up again; work that was begun goes on. In strict mode this is how Spin behaves without Redis")
}
