//! A private Redis: own port, 127.0.0.1 only, nothing on disk. It carries doorbells, never state.

use crate::error::{Attempt, Error, Result};
use crate::os::Signal;
use crate::process::{Process, log_tail};
use crate::user::RunAs;
use crate::{find, port, secret};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the remembered port is waited for.
const PORT_PATIENCE: Duration = Duration::from_secs(2);

/// What to start.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Where port and password are remembered between starts; made when absent.
    pub state_dir: PathBuf,
    /// Where the server's own messages go.
    pub log: PathBuf,
}

impl RedisOptions {
    /// A server remembered in `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        let state_dir = state_dir.into();
        RedisOptions {
            log: state_dir.join("redis.log"),
            state_dir,
        }
    }
}

/// What is kept between starts, in `STATE_DIR/redis.json` (mode 0600).
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Remembered {
    port: u16,
    password: String,
}

/// A running private server. Dropped, it is shut down.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    password: String,
}

impl Redis {
    /// Whether a server binary is installed.
    pub fn available() -> bool {
        find::redis().is_ok()
    }

    /// Starts a server, on the same port as the last time when that is free.
    pub fn start(options: &RedisOptions) -> Result<Redis> {
        let binary = find::redis()?;
        let run_as = RunAs::detect()?;
        for dir in [Some(options.state_dir.as_path()), options.log.parent()]
            .into_iter()
            .flatten()
        {
            std::fs::create_dir_all(dir)
                .attempt(|| format!("cannot make the directory {}", dir.display()))?;
        }
        let file = options.state_dir.join("redis.json");
        let memory: Option<Remembered> = std::fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let password = match &memory {
            Some(memory) => memory.password.clone(),
            None => secret::random()?,
        };
        let mut wanted = memory.map(|memory| memory.port);
        let begun = Instant::now();
        while begun.elapsed() < START_TIMEOUT {
            // A server whose parent was killed a moment ago still holds the port for a few milliseconds.
            while wanted.is_some_and(|port| !port::is_free(port)) && begun.elapsed() < PORT_PATIENCE {
                std::thread::sleep(Duration::from_millis(20));
            }
            let port = port::pick(wanted)?;
            let configuration = format!(
                "bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\ndaemonize no\ndir /\n"
            );
            let mut command = Command::new(&binary);
            command.arg("-").current_dir("/");
            let stdin = Some(configuration.into_bytes());
            let mut process = Process::start(command, &run_as, stdin, &options.log, Signal::Term)?;
            while process.exit_status().is_none() && begun.elapsed() < START_TIMEOUT {
                if ping(port, &password) {
                    let memory = Remembered {
                        port,
                        password: password.clone(),
                    };
                    let text = serde_json::to_string(&memory)
                        .map_err(|error| Error::new("cannot write JSON").cause(error))?;
                    secret::write(&file, &text)?;
                    return Ok(Redis {
                        process,
                        port,
                        password,
                    });
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            wanted = None;
        }
        Err(Error::new("cannot start the private Redis")
            .cause(format!(
                "the end of {} says:\n{}",
                options.log.display(),
                log_tail(&options.log, 8)
            ))
            .hint(format!("look into {}", options.log.display())))
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The connection URL, password included.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How the server ended, or `None` while it runs.
    pub fn exit_status(&mut self) -> Option<std::process::ExitStatus> {
        self.process.exit_status()
    }

    /// Sends the server a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

/// Whether a Redis that takes this password answers on the port.
fn ping(port: u16, password: &str) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let mut answer = [0u8; 12];
    stream
        .write_all(format!("AUTH {password}\r\nPING\r\n").as_bytes())
        .is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"+OK\r\n+PONG\r\n"
}
