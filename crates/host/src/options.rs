//! What the embedder decides: which application, which mode, which limits.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

/// How faithfully Spin's weaknesses are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As Spin 4.1 behaves, faults included: no CPU or memory limit, connections handed on with
    /// whatever a trapped guest left open, a Redis disconnect ends everything, no drain.
    Strict,
    /// The same surface with limits, reconnects, timeouts and an orderly shutdown.
    Hardened,
}

/// Where the standard output and error of components go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSink {
    /// Appended to `STATE_DIR/logs/COMPONENT.log`.
    Files,
    /// To this process's standard error, each line led by `[COMPONENT]`.
    Stderr,
    /// To both.
    Both,
    /// Nowhere.
    Discard,
}

impl LogSink {
    pub(crate) fn files(self) -> bool {
        matches!(self, Self::Files | Self::Both)
    }

    pub(crate) fn stderr(self) -> bool {
        matches!(self, Self::Stderr | Self::Both)
    }
}

/// What hardened mode grants; strict mode ignores all of it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long an HTTP guest may compute without once waiting for anything.
    pub http_cpu: Duration,
    /// The same for the handling of one Redis message.
    pub redis_cpu: Duration,
    /// Bytes of linear memory per instance.
    pub memory_bytes: usize,
    /// Requests being handled at once over all components; the next one is answered 503.
    pub in_flight: usize,
    /// Postgres connections per connection string, shared by all components.
    pub pg_connections: usize,
    /// How long to wait for a free Postgres connection.
    pub pg_wait: Duration,
    /// How long connecting to Postgres, and cleaning a reused connection, may take.
    pub pg_connect: Duration,
    /// How long connecting to Redis may take.
    pub redis_connect: Duration,
    /// Messages of one Redis server handled at once.
    pub redis_in_flight: usize,
    /// Messages waiting beyond those; further ones are dropped until there is room.
    pub redis_queue: usize,
    /// How long an HTTP client may take to send its request head, and a kept-alive one may idle.
    pub header_read: Duration,
    /// How long requests in flight get to finish once shutdown begins.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http_cpu: Duration::from_secs(30),
            redis_cpu: Duration::from_secs(10),
            memory_bytes: 128 << 20,
            in_flight: 1024,
            pg_connections: 64,
            pg_wait: Duration::from_secs(5),
            pg_connect: Duration::from_secs(5),
            redis_connect: Duration::from_secs(5),
            redis_in_flight: 8,
            redis_queue: 1024,
            header_read: Duration::from_secs(60),
            drain: Duration::from_secs(10),
        }
    }
}

/// How often and for how many requests at once an HTTP instance is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Requests an instance serves before it is replaced.
    pub requests: usize,
    /// Requests it serves at the same time.
    pub concurrent: usize,
    /// How long it is kept with nothing to do.
    pub idle: Duration,
}

impl Default for Reuse {
    /// Spin's figures: 128 requests, 16 at once, one second idle.
    fn default() -> Self {
        Self {
            requests: 128,
            concurrent: 16,
            idle: Duration::from_secs(1),
        }
    }
}

/// Everything [`Host::start`](crate::Host::start) needs to know.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Path of `spin.toml`; relative paths in it are relative to its folder.
    pub manifest: PathBuf,
    /// Path of a `runtime-config.toml`, if there is one.
    pub runtime_config: Option<PathBuf>,
    /// Whose behaviour: Spin's, or Spin's with safeguards.
    pub mode: Mode,
    /// Where HTTP is served; port 0 takes a free port.
    pub listen: SocketAddr,
    /// Values of application variables, like `spin up --variable`; they win over every other source.
    pub variables: BTreeMap<String, String>,
    /// Folder for compiled components and logs; made when absent.
    pub state_dir: PathBuf,
    /// The components to run, like `spin up --component-id`; all of them when `None`.
    pub components: Option<Vec<String>>,
    /// Where the components' output goes.
    pub log: LogSink,
    /// What hardened mode grants.
    pub limits: Limits,
    /// How instances are reused.
    pub reuse: Reuse,
    /// Instance reuse of single components, by id, where it differs. Heeded in hardened mode only,
    /// because Spin cannot do it.
    pub component_reuse: BTreeMap<String, Reuse>,
    /// Services that are played by others, for tests and development: what components send over HTTP to `host:port`
    /// (lower case, the port always there) goes, unencrypted, to this address instead. What a component may reach is
    /// decided by the name as before; blocked networks do not count. No file of an application can set it.
    pub stand_ins: BTreeMap<String, SocketAddr>,
}

impl HostOptions {
    /// Options for `manifest` with everything else at its default: hardened, a free port on loopback,
    /// `.guildhall` beside the manifest, output to files.
    pub fn new(manifest: impl Into<PathBuf>) -> Self {
        let manifest = manifest.into();
        let state_dir = manifest
            .parent()
            .unwrap_or(std::path::Path::new("."))
            .join(".guildhall");
        Self {
            manifest,
            runtime_config: None,
            mode: Mode::Hardened,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            variables: BTreeMap::new(),
            state_dir,
            components: None,
            log: LogSink::Files,
            limits: Limits::default(),
            reuse: Reuse::default(),
            component_reuse: BTreeMap::new(),
            stand_ins: BTreeMap::new(),
        }
    }
}
