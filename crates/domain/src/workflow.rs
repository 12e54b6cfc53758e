//! Workflows: documents of the Serverless Workflow DSL, in versions that never change.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Names a version of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkflowRef {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// A semantic version; `latest` is the highest release, or the highest pre-release while there is no release.
    #[serde(default = "latest")]
    pub version: String,
}

fn latest() -> String {
    "latest".into()
}

/// A version of a workflow, as lists have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Workflow {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The semantic version.
    pub version: String,
    /// SHA-256 of the document, hex.
    pub digest: String,
    /// The document's title.
    pub title: Option<String>,
    /// The document's summary.
    pub summary: Option<String>,
    /// Who put it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A version with its document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkflowDocument {
    /// What lists have.
    #[serde(flatten)]
    pub workflow: Workflow,
    /// The document as JSON.
    pub definition: Value,
    /// The document as it was written.
    pub source: String,
}
