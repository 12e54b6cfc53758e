//! The workspace server as a child: what a repository's own commands do can end it, and must not end the fleet.

use crate::error::{CliError, Result};
use crate::output::say;
use guildhall_provision::os::Signal;
use guildhall_provision::process::{Process, log_tail};
use guildhall_provision::user::RunAs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long the server may take until it answers; one that was killed may still be leaving.
const START_LIMIT: Duration = Duration::from_secs(30);
/// It ends running commands first, and gives services their time.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// The longest pause before it is started again.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The child and how to start it again.
#[derive(Debug)]
pub struct Workspace {
    repository: PathBuf,
    base: Option<String>,
    dir: PathBuf,
    log: PathBuf,
    port: u16,
    token: String,
    process: Option<Process>,
    pause: Duration,
    not_before: Instant,
}

impl Workspace {
    /// Starts the server for `repository` and waits until it answers. Blocking.
    pub fn start(repository: &Path, base: Option<&str>, state_dir: &Path, token: &str) -> Result<Workspace> {
        let repository = repository.canonicalize().map_err(|error| {
            CliError::new(format!("cannot find the repository {}", repository.display())).cause(&error)
        })?;
        // The server's record belongs to one repository; another repository gets another folder.
        let key = crate::secret::hash(&repository.to_string_lossy());
        let dir = state_dir.join("workspace").join(&key[..16]);
        std::fs::create_dir_all(&dir)
            .map_err(|error| CliError::new(format!("cannot make {}", dir.display())).cause(&error))?;
        let mut workspace = Workspace {
            repository,
            base: base.map(str::to_string),
            dir,
            log: state_dir.join("logs/workspace.log"),
            port: guildhall_provision::port::pick(None)?,
            token: token.to_string(),
            process: None,
            pause: Duration::from_millis(200),
            not_before: Instant::now(),
        };
        let begun = Instant::now();
        workspace.launch()?;
        loop {
            if workspace.answers() {
                return Ok(workspace);
            }
            let ended = workspace.process.as_mut().and_then(Process::exit_status);
            if begun.elapsed() > START_LIMIT || (ended.is_some() && !workspace.worth_another_try(begun)) {
                return Err(CliError::new(format!(
                    "cannot serve the repository {}",
                    workspace.repository.display()
                ))
                .because(log_tail(&workspace.log, 6))
                .hint(format!("see {}", workspace.log.display())));
            }
            if ended.is_some() {
                std::thread::sleep(Duration::from_millis(200));
                workspace.launch()?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A predecessor that was killed may hold the folder's lock for a moment; other errors come at once.
    fn worth_another_try(&self, begun: Instant) -> bool {
        begun.elapsed() < Duration::from_secs(10) && log_tail(&self.log, 6).contains("another")
    }

    /// The server's base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The repository it serves.
    pub fn repository(&self) -> &Path {
        &self.repository
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    fn launch(&mut self) -> Result<()> {
        let program = std::env::current_exe()
            .map_err(|error| CliError::new("cannot find the guildhall program itself").cause(&error))?;
        let mut command = Command::new(program);
        command
            .args(["workspace", "--color", "never", "--repo"])
            .arg(&self.repository);
        command
            .args(["--listen", &format!("127.0.0.1:{}", self.port), "--workspace-dir"])
            .arg(&self.dir);
        if let Some(base) = &self.base {
            command.args(["--base", base]);
        }
        // Arguments are visible to other users, the environment is not.
        command.env("GUILDHALL_WORKSPACE_TOKEN", &self.token);
        for secret in ["GUILDHALL_TOKEN", "GUILDHALL_DATABASE_URL", "GUILDHALL_REDIS_URL"] {
            command.env_remove(secret);
        }
        let process = Process::start(command, &RunAs::Own, None, &self.log, Signal::Term)?;
        self.process = Some(process.with_grace(STOP_GRACE));
        Ok(())
    }

    fn answers(&self) -> bool {
        use std::io::{Read, Write};
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], self.port));
        let Ok(mut stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200))
        else {
            return false;
        };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let request = "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        let mut answer = [0u8; 12];
        stream.write_all(request.as_bytes()).is_ok()
            && stream.read_exact(&mut answer).is_ok()
            && &answer == b"HTTP/1.1 200"
    }

    /// Starts it again when it has ended, after a pause that grows while it keeps ending. Says whether it did.
    pub fn look_after(&mut self) -> Result<bool> {
        let Some(process) = &mut self.process else {
            return Ok(false);
        };
        let Some(status) = process.exit_status() else {
            if self.not_before.elapsed() > Duration::from_secs(60) {
                self.pause = Duration::from_millis(200);
            }
            return Ok(false);
        };
        if Instant::now() < self.not_before {
            return Ok(false);
        }
        say(&format!(
            "the workspace server ended with {status}; starting it again"
        ));
        self.launch()?;
        self.not_before = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(true)
    }

    /// Stops it. Blocking.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }
}
