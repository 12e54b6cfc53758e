//! Durable requests: one agent (or person) asking another for a skill.

use crate::id::{RequestId, RunId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Waiting for its next attempt.
    Queued,
    /// A worker attempts it under a lease.
    Leased,
    /// The agent gave a result.
    Succeeded,
    /// The agent said no for good.
    Failed,
    /// The agent would not begin: it lacks the skill, or the input does not fit.
    Rejected,
    /// Its deadline passed.
    TimedOut,
    /// It was withdrawn.
    Cancelled,
    /// Every attempt failed.
    Dead,
}

/// How soon a request is served. Whoever waits long enough is overtaken by nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// As if it had come two minutes later.
    Low,
    /// In the order of arrival.
    #[default]
    Normal,
    /// As if it had come a minute earlier.
    High,
    /// As if it had come five minutes earlier.
    Urgent,
}

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    /// The skill that is wanted.
    pub skill: String,
    /// A particular agent; any live one with the skill otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The skill's input.
    pub input: Value,
    /// Seconds until the request times out (default 600).
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u32,
    /// How often it is tried (default 3).
    #[serde(default = "default_max_attempts")]
    pub max_attempts: u16,
    /// How soon.
    #[serde(default)]
    pub priority: Priority,
    /// The agent on whose behalf the caller asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Ties together what belongs to one conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The event or request that made the caller ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// Where the end is to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
}

/// Whom a broadcast asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BroadcastTo {
    /// Every live agent; those without the skill will say so.
    All,
    /// Every live agent that has the skill.
    #[default]
    Skill,
}

/// One question to many agents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewBroadcast {
    /// The skill that is wanted.
    pub skill: String,
    /// Whom it goes to.
    #[serde(default)]
    pub to: BroadcastTo,
    /// Agents that are left out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The skill's input.
    pub input: Value,
    /// Seconds until the requests time out (default 600).
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u32,
    /// How often each is tried (default 3).
    #[serde(default = "default_max_attempts")]
    pub max_attempts: u16,
    /// How soon.
    #[serde(default)]
    pub priority: Priority,
}

fn default_timeout_s() -> u32 {
    600
}

fn default_max_attempts() -> u16 {
    3
}

/// A request as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// The run it belongs to, if any.
    pub run_id: Option<RunId>,
    /// The run's step, a JSON pointer into the definition.
    pub step: Option<String>,
    /// The wanted skill.
    pub skill: String,
    /// The agent that has it (when leased or done), or the one asked for.
    pub agent: Option<String>,
    /// The skill's input.
    pub input: Value,
    /// Who asked.
    pub requester: String,
    /// Where it stands.
    pub state: RequestState,
    /// Attempts so far.
    pub attempt: i32,
    /// Most attempts.
    pub max_attempts: i32,
    /// The agent's result.
    pub result: Option<Value>,
    /// The last error, as [`AgentError`].
    pub error: Option<AgentError>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it times out.
    pub deadline_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// How soon it is served.
    #[serde(default)]
    pub priority: Priority,
    /// The agent on whose behalf it was asked.
    #[serde(default)]
    pub source: Option<String>,
    /// Ties together what belongs to one conversation.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// What made the caller ask.
    #[serde(default)]
    pub causation_id: Option<String>,
    /// Where its end is told.
    #[serde(default)]
    pub callback_url: Option<String>,
    /// The broadcast that it is part of.
    #[serde(default)]
    pub broadcast_id: Option<uuid::Uuid>,
    /// Which life this is, from 1: a dead letter that was retried lives again under a new id.
    #[serde(default)]
    pub life: i32,
    /// The dead letter that this one retries.
    #[serde(default)]
    pub retry_of: Option<RequestId>,
    /// A dead letter: `open`, `retried` or `discarded`.
    #[serde(default)]
    pub letter: Option<String>,
}

/// What the dispatcher sends to an agent: `POST /agent-request`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentRequest {
    /// The request's id.
    pub request_id: RequestId,
    /// The lease under which this attempt runs.
    pub epoch: i64,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    /// The run, if any.
    pub run_id: Option<RunId>,
    /// The run's step.
    pub step: Option<String>,
    /// The wanted skill.
    pub skill: String,
    /// Its input.
    pub input: Value,
    /// Who asked.
    pub requester: String,
    /// The same for every attempt: give it to tools that change something.
    pub idempotency_key: String,
    /// When the answer is no longer wanted.
    pub deadline_at: DateTime<Utc>,
    /// The locks that its run holds around the step. Whatever they guard refuses a lower token than it has seen.
    #[serde(default)]
    pub fences: Vec<Fence>,
}

/// A lock that is held, with the fencing token of its grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fence {
    /// The lock's name.
    pub lock: String,
    /// The token.
    pub token: i64,
}

/// Why an agent could not do it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentError {
    /// A stable code of [`crate::Code`] or of the tool that refused.
    pub code: String,
    /// What was attempted and why it failed.
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether another attempt may succeed.
    #[serde(default)]
    pub retryable: bool,
}

/// An agent's answer, always with HTTP 200; any other status counts as a lost attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum AgentReply {
    /// Done.
    Succeeded {
        /// The skill's result.
        result: Value,
    },
    /// Not done.
    Failed {
        /// Why.
        error: AgentError,
    },
}
