//! Runs: one execution of a document, and its journal.

use crate::id::RunId;
use crate::workflow::WorkflowRef;
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
    /// Waiting for an answer, a time, an event or a lock.
    Waiting,
    /// Paused by somebody: what is under way ends, nothing begins.
    Suspended,
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

/// What a journal entry records. `step` is the JSON pointer of the step in the document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EntryKind {
    /// The run was accepted.
    RunStarted,
    /// Something happened that its engine was told.
    Event {
        /// The step that it is about, if it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// The engine's input: `{event, step, seq, …}`.
        data: Value,
    },
    /// A request for the step was made; in runs from before there were documents, as are those that follow up to
    /// [`Self::ApprovalRequested`].
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
        /// `{code, type, status, title, detail, instance, step}`.
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

/// A step as the timeline shows it: a request, an approval, a call, a child, or what is waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepView {
    /// JSON pointer in the document, for example `/do/0/review`, with the round of loops: `/do/1/each/do[3]/0/check`.
    pub step: String,
    /// The name of its task, for example `review`.
    pub name: String,
    /// `agent`, `approval`, `http`, `openapi`, `a2a`, `mcp`, `function`, `workflow`, `wait`, `listen` or `lock`.
    pub kind: String,
    /// `running`, `waiting`, `completed` or `faulted`.
    pub status: String,
    /// The agent that did it, or that was asked for.
    pub agent: Option<String>,
    /// The skill of an agent; else the kind.
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
    /// The run that it started.
    #[serde(default)]
    pub child_run_id: Option<RunId>,
}

/// A run as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The document's name.
    pub name: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Who asked for it.
    pub requester: String,
    /// One line for people, for example `review, test and deploy good-change to production`.
    pub title: String,
    /// The version that it is a run of; `None` for a document that was given with it.
    #[serde(default)]
    pub workflow: Option<WorkflowRef>,
    /// SHA-256 of the document, hex; `None` for runs from before there were documents.
    #[serde(default)]
    pub digest: Option<String>,
    /// The document that it executes.
    pub definition: Value,
    /// Its input.
    #[serde(default)]
    pub input: Value,
    /// The output, when completed.
    pub output: Option<Value>,
    /// The error, when faulted.
    pub error: Option<Value>,
    /// Entries in the journal.
    pub journal_position: i64,
    /// The run that started it.
    #[serde(default)]
    pub parent_run_id: Option<RunId>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The timeline, the last 1,000 steps; empty in lists.
    #[serde(default)]
    pub steps: Vec<StepView>,
}
