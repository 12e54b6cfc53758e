//! What an agent is about to do, precisely enough to be agreed to.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Read a change and report on it.
    Review,
    /// Run the repository's own checks.
    Check,
    /// Write documentation on a branch of its own.
    Document,
    /// Write code on a branch of its own.
    Implement,
    /// Merge a change and deploy the result.
    Deploy,
    /// Go back to the deployment before.
    Rollback,
    /// Restart a running service.
    Restart,
    /// Anything this version does not know.
    #[serde(other)]
    Unknown,
}

/// How much depends on an environment, as the repository's guildhall.toml says under `risk`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentRisk {
    /// Nobody but developers.
    Development,
    /// A rehearsal for production.
    Staging,
    /// Real users.
    Production,
    /// Anything this version does not know.
    #[serde(other)]
    Unknown,
}

/// One action. Its JSON form is what an approval shows and binds: the executor builds the same value from what it is
/// about to do, and any difference voids the approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What is done.
    pub operation: Operation,
    /// The repository's name.
    pub repository: String,
    /// The environment's name, where one is touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// How much depends on that environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_risk: Option<EnvironmentRisk>,
    /// The branch that the change is merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The full id of the commit that is merged and deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_revision: Option<String>,
}

impl Action {
    /// The value that an approval binds: keys without a value are left out, so equal actions give equal JSON.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}
