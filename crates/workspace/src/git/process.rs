//! One run of git.

use crate::error::{ToolError, ToolResult};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long git may take.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// How much git may say, unless a call sets less.
const OUTPUT_LIMIT: usize = 64 << 20;
const STDERR_LIMIT: u64 = 16 << 10;

/// Overrides that hold whatever the repository's own configuration says.
const CONFIGURATION: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.attributesFile=/dev/null",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.quotePath=false",
    "protocol.allow=never",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "advice.detachedHead=false",
];

/// A git command in the making.
pub struct GitCommand {
    command: Command,
    stdin: Vec<u8>,
    output_limit: usize,
    time_limit: Duration,
}

/// What git said.
pub struct Output {
    /// How it ended; `None` when it was stopped because its output or its time ran over.
    status: Option<ExitStatus>,
    /// Its standard output, cut at the limit.
    pub stdout: Vec<u8>,
    /// Whether the output was cut.
    pub truncated: bool,
    /// Its standard error, cut and made valid UTF-8.
    pub stderr: String,
}

impl Output {
    pub fn success(&self) -> bool {
        self.truncated || self.status.is_some_and(|status| status.success())
    }

    pub fn code(&self) -> Option<i32> {
        self.status.and_then(|status| status.code())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn failure(&self) -> String {
        let said = self.stderr.trim();
        if said.is_empty() {
            format!("git ended with {:?}", self.status)
        } else {
            said.to_owned()
        }
    }
}

impl GitCommand {
    /// Git looks for the repository at or above this directory.
    pub fn in_directory(directory: &Path) -> Self {
        let mut command = Self::clean(directory);
        command.command.current_dir(directory);
        command
    }

    /// Git works on exactly this git directory, with no work tree in reach unless one is set.
    pub fn in_git_dir(git_dir: &Path) -> Self {
        let mut command = Self::clean(git_dir);
        command.command.env("GIT_DIR", git_dir).current_dir(git_dir);
        command
    }

    fn clean(directory: &Path) -> Self {
        let mut command = Command::new("git");
        command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
            .env("LC_ALL", "C")
            .env("HOME", "/nonexistent")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_PAGER", "cat")
            .env("GIT_EDITOR", "false")
            .env("GIT_ASKPASS", "false")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_ALLOW_PROTOCOL", "")
            .env("GIT_OPTIONAL_LOCKS", "0");
        for setting in CONFIGURATION {
            command.args(["-c", setting]);
        }
        // The repository may belong to another user than the server; the operator named it on purpose.
        for owned in [directory, directory.parent().unwrap_or(directory)] {
            command
                .arg("-c")
                .arg(format!("safe.directory={}", owned.display()));
        }
        Self {
            command,
            stdin: Vec::new(),
            output_limit: OUTPUT_LIMIT,
            time_limit: TIME_LIMIT,
        }
    }

    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(args);
        self
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Runs git to its end, or to its limits. An error means that it could not be run, or took too long.
    pub fn run(mut self) -> ToolResult<Output> {
        let mut child = self
            .command
            .stdin(if self.stdin.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                ToolError::new(
                    "git_unavailable",
                    format!("cannot run git: {error}"),
                    "Install git 2.40 or newer.",
                )
            })?;
        let result = self.collect(&mut child);
        if result.is_err() {
            let _ = child.kill(); // It may have ended by itself.
            let _ = child.wait();
        }
        result
    }

    fn collect(&mut self, child: &mut Child) -> ToolResult<Output> {
        let deadline = Instant::now() + self.time_limit;
        if let Some(mut pipe) = child.stdin.take() {
            let bytes = std::mem::take(&mut self.stdin);
            // Git may end without reading all; a broken pipe is then no news.
            std::thread::spawn(move || pipe.write_all(&bytes));
        }
        let stderr = child.stderr.take().map(|pipe| {
            std::thread::spawn(move || {
                let mut said = Vec::new();
                let mut pipe = pipe.take(STDERR_LIMIT);
                let _ = pipe.read_to_end(&mut said); // What could be read is what can be told.
                let _ = std::io::copy(&mut pipe.into_inner(), &mut std::io::sink());
                String::from_utf8_lossy(&said).into_owned()
            })
        });
        let (send, receive) = mpsc::channel();
        if let Some(mut pipe) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(n) = pipe.read(&mut buffer) {
                    if n == 0 || send.send(buffer[..n].to_vec()).is_err() {
                        break;
                    }
                }
            });
        }
        let mut stdout = Vec::new();
        let mut truncated = false;
        loop {
            match receive.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => {
                    stdout.extend_from_slice(&bytes);
                    if stdout.len() > self.output_limit {
                        stdout.truncate(self.output_limit);
                        truncated = true;
                        break;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(ToolError::new(
                        "git_timed_out",
                        format!("git took longer than {} seconds", self.time_limit.as_secs()),
                        "Ask for less: a narrower path, a simpler pattern, a smaller change.",
                    ));
                }
            }
        }
        let status = if truncated {
            let _ = child.kill(); // Its output is of no more use; it may have ended by itself.
            let _ = child.wait();
            None
        } else {
            Some(
                child
                    .wait()
                    .map_err(|error| ToolError::internal("cannot wait for git", error))?,
            )
        };
        let stderr = stderr.and_then(|reader| reader.join().ok()).unwrap_or_default();
        Ok(Output {
            status,
            stdout,
            truncated,
            stderr,
        })
    }
}
