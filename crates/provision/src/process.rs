//! Child processes that do not outlive us, and are stopped politely first.

use crate::error::{Attempt, Result};
use crate::os::{self, Signal};
use crate::user::RunAs;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

type Job = Box<dyn FnOnce() + Send>;

/// The kernel delivers the parent-death signal when the *thread* that forked ends, so every child is forked by
/// one thread that lives as long as the process.
fn on_spawner<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || receiver.into_iter().for_each(|job| job()))
            .expect("the operating system gives a thread");
        Mutex::new(sender)
    });
    let (done, result) = mpsc::channel();
    let job: Job = Box::new(move || drop(done.send(work())));
    spawner
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .send(job)
        .expect("the spawner never ends");
    result.recv().expect("the spawner answers every job")
}

/// A running child. Dropped, it is asked to end and, after a while, made to.
#[derive(Debug)]
pub struct Process {
    child: Child,
    polite: Signal,
    grace: Duration,
}

impl Process {
    /// Starts `command` in a process group of its own (so that Ctrl-C in a terminal reaches only us), with the
    /// given standard input, and output appended to `log`. It gets `polite` when we die, however we die (Linux).
    pub fn start(
        mut command: Command,
        run_as: &RunAs,
        stdin: Option<Vec<u8>>,
        log: &Path,
        polite: Signal,
    ) -> Result<Process> {
        let program = command.get_program().to_string_lossy().to_string();
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .attempt(|| format!("cannot open the log {}", log.display()))?;
        let errors = output
            .try_clone()
            .attempt(|| "cannot duplicate a file handle".into())?;
        command.stdout(output).stderr(errors).process_group(0);
        command.stdin(if stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        run_as.apply(&mut command);
        os::die_with_parent(&mut command, polite);
        let mut child = on_spawner(move || command.spawn()).attempt(|| format!("cannot start {program}"))?;
        if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
            pipe.write_all(&text)
                .attempt(|| format!("cannot write the configuration to {program}"))?;
        }
        Ok(Process {
            child,
            polite,
            grace: Duration::from_secs(10),
        })
    }

    /// Changes how long the child gets between being asked to end and being made to (default ten seconds).
    pub fn with_grace(mut self, grace: Duration) -> Process {
        self.grace = grace;
        self
    }

    /// The child's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, or `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal to the child.
    pub fn signal(&mut self, signal: Signal) {
        if self.exit_status().is_none() {
            os::signal(self.pid(), signal);
        }
    }

    /// Kills it without notice and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::Kill);
        let _ = self.child.wait();
    }

    /// Asks it to end, waits as long as its grace, then kills it. Returns how it ended.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.signal(self.polite);
        let deadline = Instant::now() + self.grace;
        while Instant::now() < deadline {
            if let Some(status) = self.exit_status() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        self.exit_status()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit_status().is_none() {
            self.stop();
        }
    }
}

/// The last lines of a log, for error messages.
pub fn log_tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).to_string())
        .unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
