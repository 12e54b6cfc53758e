//! Running the repository's commands: no shell, a clean environment, limits on time and output, and nothing left over.

mod output;
pub mod supervisor;

pub use output::printable;

use crate::error::{ToolError, ToolResult};
use output::Output;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a command may take to end after SIGTERM, before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long the kernel may take to end what was killed, before the server stops waiting.
const KILL_LIMIT: Duration = Duration::from_secs(15);
/// How often a waiting thread looks whether the server is stopping.
const LOOK: Duration = Duration::from_millis(100);

/// Set when the server stops: every running command is then ended.
#[derive(Clone, Default)]
pub struct Stopping(Arc<AtomicBool>);

impl Stopping {
    /// Ends all commands, now and from now on.
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the server is stopping.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A command, ready to run.
pub struct CommandRun {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The directory to run in; a program with a slash is meant relative to it.
    pub directory: PathBuf,
    /// The whole environment.
    pub environment: Vec<(String, OsString)>,
    /// The wall time limit.
    pub time_limit: Duration,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It exited with status 0.
    Passed,
    /// It exited with another status, or a signal ended it.
    Failed,
    /// It ran over its time and was stopped.
    TimedOut,
    /// It could not be started: there is no such program, or it may not be executed.
    NotStarted,
}

impl Status {
    /// The word that JSON has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::TimedOut => "timed_out",
            Status::NotStarted => "not_started",
        }
    }
}

/// What came of a command.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CommandOutcome {
    /// How it ended.
    pub status: Status,
    /// Its exit status, when it exited by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
    /// Standard output and standard error in the order they came: all of it, or the first 8 KiB and the last 24 KiB.
    pub output_tail: String,
    /// How much output there was, in bytes.
    pub output_bytes: u64,
    /// Whether the middle of the output was left out.
    pub truncated: bool,
}

/// Runs a command to its end and sees to it that nothing it started is left. Blocks the calling thread throughout,
/// which also ties the command's life to the server's. An error means that the server is stopping, or that the
/// kernel refused; how the command fared is in the outcome.
pub fn run(run: &CommandRun, stopping: &Stopping) -> ToolResult<CommandOutcome> {
    let started = Instant::now();
    let program = match program(run) {
        Ok(program) => program,
        Err(why) => return Ok(not_started(started, &why)),
    };
    let failed = |error: io::Error| ToolError::internal("cannot prepare the command", error);
    let (mut output_end, output_start) = io::pipe().map_err(failed)?;
    let (mut status_end, status_start) = io::pipe().map_err(failed)?;
    let mut command = Command::new(&program);
    command
        .args(&run.argv[1..])
        .current_dir(&run.directory)
        .env_clear()
        .envs(run.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(output_start.try_clone().map_err(failed)?)
        .stderr(output_start);
    supervisor::supervise(&mut command, &status_start);
    let spawned = command.spawn();
    // The server's own copies of the writing ends must go, or the pipes would never end.
    drop(command);
    drop(status_start);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            return Ok(not_started(
                started,
                &format!("cannot run {}: {error}", program.display()),
            ));
        }
    };
    let watched = watch(
        child.id(),
        run.time_limit,
        stopping,
        &mut output_end,
        &mut status_end,
    );
    let reaped = match &watched {
        Ok(_) => child.wait().map(drop),
        Err(_) => {
            supervisor::signal(child.id(), supervisor::END_ALL);
            child.try_wait().map(drop)
        }
    };
    reaped.map_err(|error| ToolError::internal("cannot wait for the command", error))?;
    let (status, output, ended_by) = watched.map_err(failed)??;
    let timed_out = ended_by == EndedBy::Time;
    Ok(CommandOutcome {
        status: match status.success() {
            _ if timed_out => Status::TimedOut,
            true => Status::Passed,
            false => Status::Failed,
        },
        exit_code: status.code(),
        signal: status.signal(),
        duration_ms: milliseconds(started),
        output_tail: output.text(),
        output_bytes: output.bytes(),
        truncated: output.truncated(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EndedBy {
    Itself,
    Time,
    Stopping,
}

type Watched = (ExitStatus, Output, EndedBy);

/// Collects output until the supervisor reports; asks it to end the command when time is up or the server stops.
fn watch(
    supervisor: u32,
    time_limit: Duration,
    stopping: &Stopping,
    output_end: &mut io::PipeReader,
    status_end: &mut io::PipeReader,
) -> io::Result<ToolResult<Watched>> {
    let mut output = Output::default();
    let mut ended_by = EndedBy::Itself;
    let mut deadline = Instant::now() + time_limit;
    let mut killed = false;
    let mut buffer = vec![0; 64 << 10];
    let mut output_open = true;
    let status = loop {
        let descriptor = if output_open { output_end.as_raw_fd() } else { -1 };
        let pause = deadline.saturating_duration_since(Instant::now()).min(LOOK);
        let [readable, reported] = supervisor::wait_readable([descriptor, status_end.as_raw_fd()], pause)?;
        if readable {
            match output_end.read(&mut buffer)? {
                0 => output_open = false,
                n => output.push(&buffer[..n]),
            }
        }
        if reported {
            let mut raw = [0; size_of::<i32>()];
            if status_end.read_exact(&mut raw).is_err() {
                return Ok(Err(ToolError::new(
                    "interrupted",
                    "the command's supervisor was killed, so how the command ended is not known",
                    "Make the same call again with the same idempotency key.",
                )));
            }
            break ExitStatus::from_raw(i32::from_ne_bytes(raw));
        }
        if ended_by == EndedBy::Itself && stopping.is_set() {
            (ended_by, deadline) = (EndedBy::Stopping, Instant::now() + GRACE);
            supervisor::signal(supervisor, supervisor::ASK_TO_END);
        }
        if Instant::now() < deadline {
            continue;
        }
        match ended_by {
            EndedBy::Itself => {
                (ended_by, deadline) = (EndedBy::Time, Instant::now() + GRACE);
                supervisor::signal(supervisor, supervisor::ASK_TO_END);
            }
            _ if !killed => {
                (killed, deadline) = (true, Instant::now() + KILL_LIMIT);
                supervisor::signal(supervisor, supervisor::END_ALL);
            }
            _ => {
                return Err(io::Error::other(
                    "the kernel does not end the command's processes",
                ));
            }
        }
    };
    // Everybody who could write is dead, so what the pipe still holds is all there is.
    while output_open {
        match output_end.read(&mut buffer)? {
            0 => output_open = false,
            n => output.push(&buffer[..n]),
        }
    }
    if ended_by == EndedBy::Stopping {
        return Ok(Err(ToolError::new(
            "interrupted",
            "the workspace server is stopping and ended the command",
            "Make the same call again with the same idempotency key once the server is back.",
        )));
    }
    Ok(Ok((status, output, ended_by)))
}

fn not_started(started: Instant, why: &str) -> CommandOutcome {
    CommandOutcome {
        status: Status::NotStarted,
        exit_code: None,
        signal: None,
        duration_ms: milliseconds(started),
        output_tail: why.to_owned(),
        output_bytes: 0,
        truncated: false,
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The file to execute. PATH is searched here, so that an empty or relative entry cannot mean the checkout.
fn program(run: &CommandRun) -> Result<PathBuf, String> {
    let name = run.argv.first().ok_or("the command is empty")?;
    resolve_program(name, &run.directory, &run.environment)
}

/// The file that a program's name stands for: inside `directory` when it has a slash, else in the environment's PATH.
pub fn resolve_program(
    name: &str,
    directory: &Path,
    environment: &[(String, OsString)],
) -> Result<PathBuf, String> {
    if name.contains('/') {
        let path = directory.join(name);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(format!("there is no file {name} in the checkout"))
        };
    }
    let path = environment
        .iter()
        .find(|(variable, _)| variable == "PATH")
        .map(|(_, value)| value.clone());
    std::env::split_paths(&path.unwrap_or_default())
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
        .ok_or_else(|| {
            format!("there is no program {name} in PATH; install it where the workspace server runs")
        })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests;
