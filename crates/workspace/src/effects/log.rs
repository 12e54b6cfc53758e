//! `effects.log`: one JSON line for each step that really began or ended, to show people that nothing ran twice.

use super::Attempt;
use crate::durable;
use crate::error::{ToolError, ToolResult};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// An append-only log shared by threads and processes: a line is one write.
pub struct EffectLog {
    path: PathBuf,
}

impl EffectLog {
    /// A log at this path; the file is made with the first line.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn write(
        &self,
        attempt: &Attempt<'_>,
        step: &str,
        event: &str,
        outcome: Option<&str>,
    ) -> ToolResult<()> {
        let mut line = json!({
            "at": durable::rfc3339(durable::now_ms()),
            "key": attempt.key,
            "tool": attempt.tool,
            "attempt": attempt.number,
            "step": step,
            "event": event,
        });
        if let Some(outcome) = outcome {
            line["outcome"] = json!(outcome);
        }
        let line = format!("{line}\n");
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .and_then(|mut file| {
                file.write_all(line.as_bytes())?;
                file.sync_data()
            });
        written
            .map_err(|error| ToolError::internal(&format!("cannot append to {}", self.path.display()), error))
    }
}
