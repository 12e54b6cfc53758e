//! What the orchestrator's skills take.

use super::{Input, text};
use serde::Deserialize;
use serde_json::Value;

/// Most results that are put together at once.
pub const RESULTS_MAX: usize = 100;
/// Most bytes of all results together.
const RESULTS_BYTES_MAX: usize = 512 * 1024;

/// Input of `plan_task`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTask {
    /// What is wanted, in words.
    pub message: String,
}

impl Input for PlanTask {
    fn check(&self) -> Result<(), String> {
        text("message", &self.message, crate::planning::MAX_MESSAGE_BYTES)
    }
}

/// Input of `decompose_task`: that of `plan_task` by the original's name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecomposeTask {
    /// What is wanted, in words.
    pub task_description: String,
}

impl From<DecomposeTask> for PlanTask {
    fn from(input: DecomposeTask) -> PlanTask {
        PlanTask {
            message: input.task_description,
        }
    }
}

impl Input for DecomposeTask {
    fn check(&self) -> Result<(), String> {
        text(
            "task_description",
            &self.task_description,
            crate::planning::MAX_MESSAGE_BYTES,
        )
    }
}

/// Input of `route_request`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRequest {
    /// A skill's id, or words that a skill is found by.
    pub capability: String,
    /// Only agents of this project, and those for any.
    pub project: Option<String>,
}

impl Input for RouteRequest {
    fn check(&self) -> Result<(), String> {
        text("capability", &self.capability, 200)?;
        super::optional("project", self.project.as_ref(), 200)
    }
}

/// Input of `aggregate_results`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateResults {
    /// Requests as `GET /v1/requests/{id}` shows them, answers of a broadcast, or bare results of skills.
    pub results: Vec<Value>,
}

impl Input for AggregateResults {
    fn check(&self) -> Result<(), String> {
        if self.results.is_empty() || self.results.len() > RESULTS_MAX {
            return Err(format!(
                "`results` has {} results; 1 to {RESULTS_MAX} are taken",
                self.results.len()
            ));
        }
        if let Some(at) = self.results.iter().position(|result| !result.is_object()) {
            return Err(format!("`results/{at}` is not an object"));
        }
        let bytes: usize = self.results.iter().map(|result| result.to_string().len()).sum();
        if bytes > RESULTS_BYTES_MAX {
            return Err(format!(
                "`results` have {bytes} bytes together; at most {RESULTS_BYTES_MAX} are taken"
            ));
        }
        Ok(())
    }
}

/// Input of `get_status`, which every agent has: nothing, since an agent speaks of itself only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetStatus {}

impl Input for GetStatus {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}
