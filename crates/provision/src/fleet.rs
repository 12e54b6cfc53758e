//! Starts `guildhall up` as a child, and takes it down: politely, or as a power cut would.

use crate::error::{Attempt, Error, Result};
use crate::os::{self, Signal};
use crate::process::{Process, log_tail};
use crate::user::RunAs;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What a running `guildhall up` writes into `STATE_DIR/run/up.json`; the file goes when it ends well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// Where the fleet listens, for example `http://127.0.0.1:3000`.
    pub url: String,
    /// Whether `/readyz` has answered 200 since it started.
    pub ready: bool,
    /// Ids of the processes it started, by name: `postgres`, `redis`, `workspace`.
    #[serde(default)]
    pub children: std::collections::BTreeMap<String, u32>,
}

/// What `guildhall up` keeps in `STATE_DIR/credentials.json` (mode 0600).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Where the fleet listens.
    pub url: String,
    /// An API token with the scope `admin`.
    pub admin_token: String,
    /// The components' secret among themselves.
    pub internal_token: String,
    /// The workspace server's bearer token.
    #[serde(default)]
    pub workspace_token: String,
    /// The workspace server's base URL; empty without a repository.
    #[serde(default)]
    pub workspace_url: String,
    /// The database, as libpq key=value words.
    #[serde(default)]
    pub database: String,
    /// Redis, as URL.
    #[serde(default)]
    pub redis: String,
}

/// The file with what a running fleet says about itself.
pub fn running_file(state_dir: &Path) -> PathBuf {
    state_dir.join("run/up.json")
}

/// The file with the secrets.
pub fn credentials_file(state_dir: &Path) -> PathBuf {
    state_dir.join("credentials.json")
}

/// Reads `STATE_DIR/run/up.json`; `None` when there is none.
pub fn running(state_dir: &Path) -> Option<Running> {
    serde_json::from_slice(&std::fs::read(running_file(state_dir)).ok()?).ok()
}

/// Reads `STATE_DIR/credentials.json`.
pub fn credentials(state_dir: &Path) -> Result<Credentials> {
    let file = credentials_file(state_dir);
    let bytes = std::fs::read(&file).attempt(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::new(format!("cannot read {}", file.display())).cause(error))
}

/// Writes `STATE_DIR/credentials.json`, readable by its owner only.
pub fn write_credentials(state_dir: &Path, credentials: &Credentials) -> Result<()> {
    let text = serde_json::to_string_pretty(credentials)
        .map_err(|error| Error::new("cannot write JSON").cause(error))?;
    crate::secret::write(&credentials_file(state_dir), &text)
}

/// How to start a fleet.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// The `guildhall` program.
    pub program: PathBuf,
    /// Where it keeps everything.
    pub state_dir: PathBuf,
    /// Its working directory; `spin.toml` is looked for there.
    pub dir: PathBuf,
    /// Further arguments of `guildhall up`.
    pub args: Vec<String>,
    /// Further environment variables.
    pub env: Vec<(String, String)>,
    /// How long it may take until it is ready.
    pub ready_within: Duration,
}

impl FleetOptions {
    /// A fleet on a free port of 127.0.0.1 with everything else at its default. In a checkout, compiled components are
    /// kept in its `target/`.
    pub fn new(program: impl Into<PathBuf>, state_dir: impl Into<PathBuf>, dir: impl Into<PathBuf>) -> Self {
        let dir: PathBuf = dir.into();
        // Compiling the components takes longer than everything else that a start does.
        let shared = dir.join("target/compiled-components");
        let in_checkout = dir.join("target").is_dir();
        FleetOptions {
            program: program.into(),
            state_dir: state_dir.into(),
            dir,
            args: vec!["--listen".into(), "127.0.0.1:0".into()],
            env: in_checkout
                .then(|| ("GUILDHALL_CACHE_DIR".to_string(), shared.display().to_string()))
                .into_iter()
                .collect(),
            // The first start compiles the components, which takes a slow or busy machine minutes.
            ready_within: Duration::from_secs(300),
        }
    }

    /// Adds an argument of `guildhall up` and its value.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.args.retain_pair(name);
        self.args.extend([name.to_string(), value.into()]);
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
}

trait RetainPair {
    fn retain_pair(&mut self, name: &str);
}

impl RetainPair for Vec<String> {
    /// A later value of the same argument replaces the earlier one.
    fn retain_pair(&mut self, name: &str) {
        if let Some(at) = self.iter().position(|word| word == name) {
            self.drain(at..(at + 2).min(self.len()));
        }
    }
}

/// A running `guildhall up`. Dropped, it is stopped.
#[derive(Debug)]
pub struct Fleet {
    options: FleetOptions,
    process: Process,
    running: Running,
}

impl Fleet {
    /// Starts it and waits until it is ready.
    pub fn start(options: FleetOptions) -> Result<Fleet> {
        let (process, running) = launch(&options)?;
        Ok(Fleet {
            options,
            process,
            running,
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.running.url
    }

    /// Its state directory.
    pub fn state_dir(&self) -> &Path {
        &self.options.state_dir
    }

    /// Its secrets.
    pub fn credentials(&self) -> Result<Credentials> {
        credentials(&self.options.state_dir)
    }

    /// The process id of `guildhall up`.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The log with what `guildhall up` says.
    pub fn log(&self) -> PathBuf {
        self.options.state_dir.join("logs/up.log")
    }

    /// How it ended, or `None` while it runs.
    pub fn exit_status(&mut self) -> Option<std::process::ExitStatus> {
        self.process.exit_status()
    }

    /// Sends SIGKILL to it and to everything it started, database included, and waits until all are gone.
    /// Returns how many processes that were.
    pub fn kill(&mut self) -> usize {
        let mut victims = os::descendants(self.pid());
        victims.insert(0, self.pid());
        for victim in &victims {
            os::signal(*victim, Signal::Kill);
        }
        self.process.kill();
        let deadline = Instant::now() + Duration::from_secs(10);
        while victims.iter().any(|victim| os::is_alive(*victim)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        victims.len()
    }

    /// Sends SIGKILL to `guildhall up` alone.
    pub fn kill_up_only(&mut self) {
        self.process.kill();
    }

    /// Freezes (SIGSTOP) or thaws (SIGCONT) `guildhall up`, not its children.
    pub fn freeze(&mut self, frozen: bool) {
        self.process
            .signal(if frozen { Signal::Stop } else { Signal::Cont });
    }

    /// Asks it to stop (SIGTERM) and waits. Returns how it ended.
    pub fn stop(&mut self) -> Option<std::process::ExitStatus> {
        self.process.stop()
    }

    /// Starts it again after [`kill`](Fleet::kill) or [`stop`](Fleet::stop), on the same port, and waits until it
    /// is ready.
    pub fn restart(&mut self) -> Result<()> {
        self.process.stop();
        let listen = self.running.url.trim_start_matches("http://").to_string();
        self.options = self.options.clone().with("--listen", listen);
        let (process, running) = launch(&self.options)?;
        self.process = process;
        self.running = running;
        Ok(())
    }
}

fn launch(options: &FleetOptions) -> Result<(Process, Running)> {
    let logs = options.state_dir.join("logs");
    std::fs::create_dir_all(&logs).attempt(|| format!("cannot make {}", logs.display()))?;
    let log = logs.join("up.log");
    let mut command = Command::new(&options.program);
    command
        .current_dir(&options.dir)
        .arg("up")
        .arg("--state-dir")
        .arg(&options.state_dir)
        .args(&options.args);
    command.envs(options.env.iter().map(|(name, value)| (name, value)));
    let process = Process::start(command, &RunAs::Own, None, &log, Signal::Term)?;
    // The database gets ten seconds to close, the requests in flight as many before it.
    let mut process = process.with_grace(Duration::from_secs(40));
    let deadline = Instant::now() + options.ready_within;
    let failed = |why: String| {
        Error::new("cannot start the fleet").cause(format!(
            "{why}; the end of {} says:\n{}",
            log.display(),
            log_tail(&log, 15)
        ))
    };
    loop {
        if let Some(found) =
            running(&options.state_dir).filter(|found| found.pid == process.pid() && found.ready)
        {
            return Ok((process, found));
        }
        if let Some(status) = process.exit_status() {
            return Err(failed(format!("guildhall up ended with {status}")));
        }
        if Instant::now() > deadline {
            return Err(failed(format!(
                "it was not ready within {} s",
                options.ready_within.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
