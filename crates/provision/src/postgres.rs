//! A private Postgres cluster: own data directory, own port, own password, 127.0.0.1 only.

use crate::error::{Attempt, Error, Result};
use crate::find::{self, PostgresBinaries};
use crate::os::{self, Signal};
use crate::process::{Process, log_tail};
use crate::user::RunAs;
use crate::{install, port, secret};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The superuser of a private cluster, and the name of its first database.
pub const NAME: &str = "guildhall";

/// How long a cluster may take to start; crash recovery of a busy one takes seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A Unix socket's path has at most 107 bytes; this leaves room for `/.s.PGSQL.65535`.
const SOCKET_DIR_MAX: usize = 90;

/// What to start.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Where the instance is remembered; made when absent. The data lives in it, or below /var/lib/guildhall when
    /// this runs as root and an unprivileged user could not reach it.
    pub state_dir: PathBuf,
    /// Where the server's own messages go.
    pub log: PathBuf,
    /// False only for throw-away data: nothing is forced to disk. Commits still survive the death of the server,
    /// not that of the machine.
    pub durable: bool,
    /// Most connections at once.
    pub max_connections: u32,
}

impl PostgresOptions {
    /// A durable cluster remembered in `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        let state_dir = state_dir.into();
        PostgresOptions {
            log: state_dir.join("postgres.log"),
            state_dir,
            durable: true,
            max_connections: 200,
        }
    }
}

/// What is kept between starts, in `STATE_DIR/postgres.json` (mode 0600).
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Remembered {
    home: PathBuf,
    port: u16,
    password: String,
}

/// A running private cluster. Dropped, it is shut down; the data stays.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    password: String,
    home: PathBuf,
    binaries: PostgresBinaries,
}

impl Postgres {
    /// Starts the cluster that `state_dir` remembers, or makes one. A server that an earlier process left behind on
    /// the same data directory (because it was killed) is ended first; a stale pid file is removed.
    pub fn start(options: &PostgresOptions) -> Result<Postgres> {
        let run_as = RunAs::detect()?;
        for dir in [Some(options.state_dir.as_path()), options.log.parent()]
            .into_iter()
            .flatten()
        {
            std::fs::create_dir_all(dir)
                .attempt(|| format!("cannot make the directory {}", dir.display()))?;
        }
        let mut memory = recall(options, &run_as)?;
        let data = memory.home.join("data");
        let binaries = find::postgres(major_of(&data))?;
        run_as.make_private_dir(&memory.home)?;
        if !data.join("PG_VERSION").exists() {
            make_cluster(&binaries, &run_as, &memory, options)?;
        }
        let started = Instant::now();
        if end_leftover(&data)? {
            // The other processes of a killed server hold its port until they notice.
            while !port::is_free(memory.port) && started.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        loop {
            memory.port = port::pick(Some(memory.port))?;
            remember(options, &memory)?;
            match launch(&binaries, &run_as, &memory, options)? {
                Launch::Ready(process) => {
                    let Remembered { home, port, password } = memory;
                    return Ok(Postgres {
                        process,
                        port,
                        password,
                        home,
                        binaries,
                    });
                }
                // Another program took the port in between, or servers of a killed cluster are still leaving.
                Launch::Busy if started.elapsed() < START_TIMEOUT => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                Launch::Busy => return Err(failed(options, "it found its port or shared memory taken")),
            }
        }
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The server's binaries.
    pub fn binaries(&self) -> &PostgresBinaries {
        &self.binaries
    }

    /// The directory that holds the cluster's data and socket directories.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The connection URL of one of the cluster's databases.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{NAME}:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// The same as libpq key=value words.
    pub fn keywords(&self, database: &str) -> String {
        format!(
            "host=127.0.0.1 port={} user={NAME} password={} dbname={database}",
            self.port, self.password
        )
    }

    /// How the server ended, or `None` while it runs.
    pub fn exit_status(&mut self) -> Option<std::process::ExitStatus> {
        self.process.exit_status()
    }

    /// Sends the server (not its sessions) a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Disconnects everybody, writes everything out and ends.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Ends at once, as in a crash: the next start has to recover.
    pub fn crash(&mut self) {
        self.process.signal(Signal::Quit);
        self.process.stop();
    }
}

fn recall(options: &PostgresOptions, run_as: &RunAs) -> Result<Remembered> {
    let file = options.state_dir.join("postgres.json");
    match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(format!("cannot read {}", file.display()))
                .cause(error)
                .hint("the file remembers where the private database lives; restore it, or remove the whole state directory")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Remembered {
            home: run_as.home_below(&options.state_dir, "postgres")?,
            port: port::pick(None)?,
            password: secret::random()?,
        }),
        Err(error) => Err(Error::new(format!("cannot read {}", file.display())).cause(error)),
    }
}

fn remember(options: &PostgresOptions, memory: &Remembered) -> Result<()> {
    let text = serde_json::to_string(memory).map_err(|error| Error::new("cannot write JSON").cause(error))?;
    secret::write(&options.state_dir.join("postgres.json"), &text)
}

fn major_of(data: &Path) -> Option<u32> {
    std::fs::read_to_string(data.join("PG_VERSION"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// initdb into a directory that gets its final name only when it is complete.
fn make_cluster(
    binaries: &PostgresBinaries,
    run_as: &RunAs,
    memory: &Remembered,
    options: &PostgresOptions,
) -> Result<()> {
    let unfinished = memory.home.join("data.new");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)
            .attempt(|| format!("cannot remove the unfinished {}", unfinished.display()))?;
    }
    let secret = memory.home.join("password.new");
    secret::write(&secret, &memory.password)?;
    run_as.give(&secret)?;
    let mut initdb = tool(binaries, "initdb", run_as, &memory.home);
    initdb.args([
        "--username",
        NAME,
        "--auth",
        "scram-sha-256",
        "--encoding",
        "UTF8",
        "--locale",
        "C",
    ]);
    initdb
        .arg("--pwfile")
        .arg(&secret)
        .arg("--pgdata")
        .arg(&unfinished);
    if !options.durable {
        initdb.arg("--no-sync");
    }
    let made = run(initdb, None);
    let _ = std::fs::remove_file(&secret);
    made?;
    let mut single = tool(binaries, "postgres", run_as, &memory.home);
    single.arg("--single").arg("-D").arg(&unfinished).arg("postgres");
    run(single, Some(format!("create database {NAME}\n")))?;
    let data = memory.home.join("data");
    std::fs::rename(&unfinished, &data)
        .attempt(|| format!("cannot move the new cluster to {}", data.display()))
}

fn tool(binaries: &PostgresBinaries, name: &str, run_as: &RunAs, dir: &Path) -> Command {
    let mut command = Command::new(binaries.program(name));
    command
        .current_dir(dir)
        .env("LC_ALL", "C")
        .env_remove("PGDATA")
        .env_remove("PGOPTIONS");
    run_as.apply(&mut command);
    command
}

fn run(mut command: Command, stdin: Option<String>) -> Result<()> {
    use std::process::Stdio;
    let name = command.get_program().to_string_lossy().to_string();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().attempt(|| format!("cannot start {name}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that has already failed does not read; its own message says more than the broken pipe.
        let _ = pipe.write_all(stdin.unwrap_or_default().as_bytes());
    }
    let output = child
        .wait_with_output()
        .attempt(|| format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_string();
    Err(Error::new(format!("{name} failed with {}", output.status)).cause(message))
}

/// Ends a server that still runs on this data directory, or removes the pid file of one that does not. Says
/// whether there was one.
fn end_leftover(data: &Path) -> Result<bool> {
    let file = data.join("postmaster.pid");
    let Ok(text) = std::fs::read_to_string(&file) else {
        return Ok(false);
    };
    let ours = |pid: u32| {
        os::is_alive(pid)
            && os::command_line(pid).is_some_and(|line| line.contains(data.to_string_lossy().as_ref()))
    };
    let Some(pid) = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse::<u32>().ok())
    else {
        std::fs::remove_file(&file).attempt(|| format!("cannot remove {}", file.display()))?;
        return Ok(true);
    };
    for (signal, patience) in [(Signal::Int, 10), (Signal::Quit, 5), (Signal::Kill, 5)] {
        if !ours(pid) {
            break;
        }
        os::signal(pid, signal);
        let deadline = Instant::now() + Duration::from_secs(patience);
        while ours(pid) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    if ours(pid) {
        return Err(Error::new(format!(
            "cannot end the Postgres server {pid} that still runs on {}",
            data.display()
        ))
        .hint(format!("kill {pid}")));
    }
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::new(format!("cannot remove {}", file.display())).cause(error))
        }
        _ => Ok(true),
    }
}

enum Launch {
    Ready(Process),
    Busy,
}

fn launch(
    binaries: &PostgresBinaries,
    run_as: &RunAs,
    memory: &Remembered,
    options: &PostgresOptions,
) -> Result<Launch> {
    let data = memory.home.join("data");
    let sockets = memory.home.join("socket");
    // Socket locks of a killed server would be taken for those of a living one while its id is in use.
    let _ = std::fs::remove_dir_all(&sockets);
    run_as.make_private_dir(&sockets)?;
    let socket_dir = sockets.to_string_lossy().to_string();
    let mut command = tool(binaries, "postgres", run_as, &memory.home);
    command.arg("-D").arg(&data);
    let mut set = |name: &str, value: &str| {
        command.arg("-c").arg(format!("{name}={value}"));
    };
    set("listen_addresses", "127.0.0.1");
    set("port", &memory.port.to_string());
    set(
        "unix_socket_directories",
        if socket_dir.len() <= SOCKET_DIR_MAX {
            &socket_dir
        } else {
            ""
        },
    );
    set("cluster_name", NAME);
    set("max_connections", &options.max_connections.to_string());
    set("timezone", "UTC");
    set("log_timezone", "UTC");
    set("logging_collector", "off");
    set("log_destination", "stderr");
    // Every statement here is short; compiling one to machine code costs more than it saves.
    set("jit", "off");
    if !options.durable {
        for name in ["fsync", "full_page_writes", "autovacuum"] {
            set(name, "off");
        }
    }
    let written_before = options.log.metadata().map(|meta| meta.len()).unwrap_or(0);
    let mut process = Process::start(command, run_as, None, &options.log, Signal::Int)?;
    let deadline = Instant::now() + START_TIMEOUT;
    let pid_file = data.join("postmaster.pid");
    while Instant::now() < deadline {
        if process.exit_status().is_some() {
            let said = log_since(&options.log, written_before);
            let busy = [
                "could not bind",
                "still in use",
                "Address already in use",
                "another server",
            ];
            if busy.iter().any(|sign| said.contains(sign)) {
                return Ok(Launch::Busy);
            }
            return Err(failed(options, "it ended at once"));
        }
        // Line 8 is the server's own word for where it stands, the first line its process id.
        let status = std::fs::read_to_string(&pid_file).unwrap_or_default();
        let mut lines = status.lines();
        let own = lines
            .next()
            .is_some_and(|line| line.trim() == process.pid().to_string());
        if own && lines.nth(6).is_some_and(|line| line.trim() == "ready") {
            return Ok(Launch::Ready(process));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(failed(options, "it did not become ready within a minute"))
}

fn log_since(log: &Path, offset: u64) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(bytes.get(offset as usize..).unwrap_or_default()).to_string()
}

fn failed(options: &PostgresOptions, why: &str) -> Error {
    Error::new("cannot start the private Postgres")
        .cause(format!(
            "{why}; the end of {} says:\n{}",
            options.log.display(),
            log_tail(&options.log, 8)
        ))
        .hint(format!(
            "look into {}; {}",
            options.log.display(),
            install::hint()
        ))
}
