//! The supervised process of an environment. It outlives the server, so it is recognised by what the kernel says of
//! it: its id together with its start time and the machine's boot, and a mark in its environment.

use super::{Deployment, Held, Record, processes};
use crate::commands::{self, supervisor};
use crate::config::Service;
use crate::durable;
use crate::effects::Attempt;
use crate::error::{ToolError, ToolResult};
use crate::workspace::Launch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a service may take to end when its configuration is not at hand.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);
const KILL_LIMIT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);
const LOG_MAX: u64 = 8 << 20;
/// The variable that marks every process of one start of a service.
const MARK: &str = "GUILDHALL_SERVICE_ID";

/// A process that was started, or is about to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// The mark of this start; written down before the process exists, so that none can go astray.
    pub id: String,
    /// The release it runs from.
    pub release: String,
    /// The commit id it runs.
    pub revision: String,
    /// When it was started, in milliseconds since 1970.
    pub started_at_ms: i64,
    /// The process, once it exists.
    pub process: Option<processes::Identity>,
}

/// What a start says.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServiceStarted {
    /// The process id, when it runs.
    pub pid: Option<u32>,
    /// Whether the process exists now.
    pub started: bool,
    /// Why it could not be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether a service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// The environment has no service.
    NotConfigured,
    /// It was never started, or was stopped on purpose.
    Stopped,
    /// It runs.
    Running,
    /// It ended by itself.
    Exited,
}

/// What is known of a service.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServiceStatus {
    /// Whether it runs.
    pub state: ServiceState,
    /// Its process id, when it runs.
    pub pid: Option<u32>,
    /// When it was started, RFC 3339.
    pub started_at: Option<String>,
    /// The commit id that it runs.
    pub revision: Option<String>,
}

impl ServiceRecord {
    /// Whether the process that was started is still there, and is that very process.
    pub fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(processes::Identity::is_alive)
    }

    /// The process id, when it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process
            .as_ref()
            .filter(|process| process.is_alive())
            .map(|process| process.pid)
    }

    /// Every process of this start that is still there.
    fn processes(&self) -> Vec<u32> {
        let mut found = processes::with_variable(MARK, &self.id);
        if let Some(process) = self.process.as_ref().filter(|process| process.is_alive())
            && !found.contains(&process.pid)
        {
            found.push(process.pid);
        }
        found
    }
}

impl ServiceStarted {
    /// A service that runs already.
    pub fn already(record: &ServiceRecord) -> Self {
        Self {
            pid: record.pid(),
            started: true,
            error: None,
        }
    }
}

impl Record {
    /// What is known of the environment's service.
    pub fn service_status(&self, configured: bool) -> ServiceStatus {
        let state = match &self.service {
            Some(record) if record.is_running() => ServiceState::Running,
            Some(_) => ServiceState::Exited,
            None if configured => ServiceState::Stopped,
            None => ServiceState::NotConfigured,
        };
        ServiceStatus {
            state,
            pid: self.service.as_ref().and_then(ServiceRecord::pid),
            started_at: self
                .service
                .as_ref()
                .map(|record| durable::rfc3339(record.started_at_ms)),
            revision: self.service.as_ref().map(|record| record.revision.clone()),
        }
    }
}

impl Held {
    /// Stops what runs and starts the service from a deployment's release.
    pub fn restart_service(
        &mut self,
        name: &str,
        configured: &Service,
        deployment: &Deployment,
        attempt: &Attempt<'_>,
    ) -> ToolResult<ServiceStarted> {
        self.stop_service(Duration::from_secs(configured.stop_timeout_s), attempt)?;
        let mut record = ServiceRecord {
            id: uuid::Uuid::new_v4().simple().to_string(),
            release: deployment.release.clone(),
            revision: deployment.revision.clone(),
            started_at_ms: durable::now_ms(),
            process: None,
        };
        // The mark is on disk before the process exists: whoever comes after a crash finds it and stops it.
        self.record.service = Some(record.clone());
        self.save()?;
        let mut own = self.own_variables(name, &deployment.revision)?;
        own.push((MARK, record.id.clone().into()));
        let environment = Launch::from(configured).environment(&own);
        let directory = self.directory.join("releases").join(&deployment.release);
        let log = self.directory.join("service.log");
        let started = attempt.step(
            "service_start",
            || Ok(spawn(configured, &directory, &environment, &log)),
            |spawned| match spawned {
                Ok(process) => format!("pid:{}", process.pid),
                Err(why) => format!("not_started:{why}"),
            },
        )?;
        match started {
            Ok(process) => {
                let pid = process.pid;
                record.process = Some(process);
                self.record.service = Some(record);
                self.save()?;
                Ok(ServiceStarted {
                    pid: Some(pid),
                    started: true,
                    error: None,
                })
            }
            Err(why) => Ok(ServiceStarted {
                pid: None,
                started: false,
                error: Some(why),
            }),
        }
    }

    /// Stops the service; `false` when none ran.
    pub fn stop_service(&mut self, limit: Duration, attempt: &Attempt<'_>) -> ToolResult<bool> {
        let Some(record) = self.record.service.clone() else {
            return Ok(false);
        };
        let ran = !record.processes().is_empty();
        if ran {
            attempt.step("service_stop", || stop(&record, limit), |()| "stopped".to_owned())?;
        }
        self.record.service = None;
        self.save()?;
        Ok(ran)
    }
}

/// Starts the process in a session of its own, with the log file for its output.
fn spawn(
    configured: &Service,
    directory: &Path,
    environment: &[(String, std::ffi::OsString)],
    log: &Path,
) -> Result<processes::Identity, String> {
    let program = commands::resolve_program(&configured.command[0], directory, environment)?;
    let failed = |error: io::Error| format!("cannot start {}: {error}", program.display());
    if fs::metadata(log).is_ok_and(|about| about.len() > LOG_MAX) {
        fs::rename(log, log.with_extension("log.1")).map_err(failed)?;
    }
    let output = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .map_err(failed)?;
    let mut command = Command::new(&program);
    command
        .args(&configured.command[1..])
        .current_dir(directory)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(failed)?)
        .stderr(output);
    supervisor::detach(&mut command);
    let mut child = command.spawn().map_err(failed)?;
    let identity = processes::Identity::of_child(child.id());
    // As long as the server lives it is the parent, and must take note of the end, or a zombie stays.
    std::thread::spawn(move || child.wait());
    identity.ok_or_else(|| format!("/proc does not show the process of {}", program.display()))
}

/// Ends every process of one start: SIGTERM, time to end, SIGKILL.
pub fn stop(record: &ServiceRecord, limit: Duration) -> ToolResult<()> {
    let ask = |signal: i32| {
        if let Some(pid) = record.pid() {
            supervisor::signal_group(pid, signal);
        }
        for pid in record.processes() {
            supervisor::signal(pid, signal);
        }
    };
    for (signal, limit) in [(libc::SIGTERM, limit), (libc::SIGKILL, KILL_LIMIT)] {
        let deadline = Instant::now() + limit;
        ask(signal);
        while !record.processes().is_empty() {
            if Instant::now() >= deadline {
                break;
            }
            std::thread::sleep(LOOK);
            if signal == libc::SIGKILL {
                ask(signal); // It may have started another process between two looks.
            }
        }
    }
    let left = record.processes();
    if left.is_empty() {
        return Ok(());
    }
    Err(ToolError::internal(
        "cannot stop the service",
        format!("the processes {left:?} do not end"),
    ))
}

/// The last lines of the service's log.
pub fn log_tail(directory: &Path, bytes: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(directory.join("service.log"))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
        let mut tail = Vec::new();
        file.take(bytes).read_to_end(&mut tail)?;
        Ok(tail)
    };
    commands::printable(&read().unwrap_or_default())
}
