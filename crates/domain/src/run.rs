//! Runs: one execution of a definition, and its journal.

use crate::id::RunId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a run stands, in the words of the CNCF Serverless Workflow DSL 1.0.3 ("Status phases").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Accepted, not begun.
    Pending,
    /// Being worked on.
    Running,
    /// Waiting for a request or an approval.
    Waiting,
    /// Ended well.
    Completed,
    /// Ended with an error.
    Faulted,
    /// Withdrawn.
    Cancelled,
}

impl RunStatus {
    /// Whether nothing more will happen.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Faulted | Self::Cancelled)
    }
}

/// What a journal entry records. `step` is the JSON pointer of the step in the definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EntryKind {
    /// The run was accepted.
    RunStarted,
    /// A request for the step was made.
    StepStarted {
        /// The step.
        step: String,
        /// Ids and the like: `{request_id}`.
        data: Value,
    },
    /// The step has a result; it never runs again.
    StepCompleted {
        /// The step.
        step: String,
        /// Its result.
        result: Value,
    },
    /// The step has failed for good.
    StepFailed {
        /// The step.
        step: String,
        /// Why, as [`crate::request::AgentError`] plus `state`.
        error: Value,
    },
    /// A person was asked.
    ApprovalRequested {
        /// The step.
        step: String,
        /// `{approval_id}`.
        data: Value,
    },
    /// The run ended well.
    RunCompleted {
        /// Its output.
        output: Value,
    },
    /// The run ended with an error.
    RunFaulted {
        /// `{code, title, detail, step}`.
        error: Value,
    },
    /// The run was withdrawn.
    RunCancelled {
        /// `{by, reason}`.
        data: Value,
    },
}

/// One line of a run's journal. Positions begin at 1 and have no gaps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JournalEntry {
    /// Position in the journal.
    pub position: i64,
    /// When, by the database clock.
    pub at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub kind: EntryKind,
}

/// A step as the timeline shows it, derived from the journal and the step's request or approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepView {
    /// JSON pointer in the definition, for example `/do/0/review`.
    pub step: String,
    /// `running`, `waiting`, `completed` or `faulted`.
    pub status: String,
    /// The agent that did it; `None` for an approval.
    pub agent: Option<String>,
    /// The skill; `approval` for an approval.
    pub skill: String,
    /// Attempts made.
    pub attempts: i32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Its result.
    pub result: Option<Value>,
    /// Its error.
    pub error: Option<Value>,
}

/// A run as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The definition's name.
    pub name: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Who asked for it.
    pub requester: String,
    /// One line for people, for example `review, test and deploy good-change to production`.
    pub title: String,
    /// The definition (`guildhall-flow::Definition`).
    pub definition: Value,
    /// The output, when completed.
    pub output: Option<Value>,
    /// The error, when faulted.
    pub error: Option<Value>,
    /// Entries in the journal.
    pub journal_position: i64,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The timeline; empty in lists.
    #[serde(default)]
    pub steps: Vec<StepView>,
}
