//! Environments: what is deployed there, what was before, and the service that runs from it.

mod deploy;
pub mod health;
mod processes;
mod service;

pub use deploy::{Action, DeployRequest, Deployed};
pub use health::Health;
pub use service::{ServiceState, ServiceStatus};

use crate::commands::CommandOutcome;
use crate::durable::{self, FileLock};
use crate::error::{ToolError, ToolResult};
use serde::{Deserialize, Serialize};
use service::ServiceRecord;
use std::io;
use std::path::{Path, PathBuf};

/// How many earlier deployments are remembered.
const HISTORY_MAX: usize = 20;

/// All environments of one state directory.
pub struct Environments {
    directory: PathBuf,
}

/// What an environment's record says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// What is deployed.
    pub current: Option<Deployment>,
    /// What was deployed before, oldest first: where rollbacks go.
    pub history: Vec<Deployment>,
    /// The process that was started last and not stopped since.
    pub service: Option<ServiceRecord>,
}

/// One deployment that succeeded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployment {
    /// The commit id.
    pub revision: String,
    /// The directory under `releases/`.
    pub release: String,
    /// The key of the effect that brought it there.
    pub idempotency_key: String,
    /// When, in milliseconds since 1970.
    pub deployed_at_ms: i64,
    /// What the command said.
    pub outcome: CommandOutcome,
    /// What was deployed before it.
    pub previous_revision: Option<String>,
}

/// One environment, held by this call alone.
pub struct Held {
    directory: PathBuf,
    /// The record; [`Held::save`] writes it.
    pub record: Record,
    _lock: FileLock,
}

impl Environments {
    /// Opens or makes the store under `state_dir`.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        Ok(Self {
            directory: durable::private_directory(state_dir.join("environments"))?,
        })
    }

    /// Waits until no other call works on this environment. The name comes from a checked `guildhall.toml`.
    pub fn hold(&self, name: &str) -> ToolResult<Held> {
        let directory = self.directory_of(name)?;
        let lock = FileLock::acquire(&directory.join("lock"))?;
        let record = durable::read_json(&directory.join("record.json"))?.unwrap_or_default();
        Ok(Held {
            directory,
            record,
            _lock: lock,
        })
    }

    /// The record as it is now, without waiting.
    pub fn look(&self, name: &str) -> ToolResult<(PathBuf, Record)> {
        let directory = self.directory_of(name)?;
        let record = durable::read_json(&directory.join("record.json"))?.unwrap_or_default();
        Ok((directory, record))
    }

    fn directory_of(&self, name: &str) -> ToolResult<PathBuf> {
        durable::private_directory(self.directory.join(name))
            .map_err(|error| ToolError::internal("cannot make the environment's directory", error))
    }
}

impl Held {
    /// Writes the record.
    pub fn save(&self) -> ToolResult<()> {
        durable::write_json(&self.directory.join("record.json"), &self.record)
            .map_err(|error| ToolError::internal("cannot write the environment's record", error))
    }

    fn subdirectory(&self, name: &str) -> ToolResult<PathBuf> {
        durable::private_directory(self.directory.join(name))
            .map_err(|error| ToolError::internal("cannot make the environment's directories", error))
    }
}
