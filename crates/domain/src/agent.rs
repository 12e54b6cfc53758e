//! Agents and their skills, as in an A2A 1.0 agent card (specification section 4.4).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something an agent can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Skill {
    /// Stable id, snake_case, for example `review_change`.
    pub id: String,
    /// Short human name.
    pub name: String,
    /// What it does, for people and planners.
    pub description: String,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Example prompts.
    #[serde(default)]
    pub examples: Vec<String>,
    /// Media types it takes.
    #[serde(default = "json_mode")]
    pub input_modes: Vec<String>,
    /// Media types it gives.
    #[serde(default = "json_mode")]
    pub output_modes: Vec<String>,
    /// JSON Schema 2020-12 of its input; `true` accepts anything. An addition to A2A.
    #[serde(default = "any_schema")]
    pub input_schema: Value,
    /// JSON Schema 2020-12 of its output, when it promises one. An addition to A2A.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// What using it costs, in words or figures of the agent's own. An addition to A2A.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_hint: Option<Value>,
}

fn json_mode() -> Vec<String> {
    vec!["application/json".into()]
}

fn any_schema() -> Value {
    Value::Bool(true)
}

/// Where and how an agent is reached (A2A `AgentInterface`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgentInterface {
    /// Base URL.
    pub url: String,
    /// `JSONRPC`, `GRPC`, `HTTP+JSON`, or an own URI. The fleet's agents use
    /// `https://guildhall.dev/bindings/agent-request/v1` (see [`crate::request`]).
    pub protocol_binding: String,
    /// Major.Minor of the binding.
    pub protocol_version: String,
}

/// What the card's holder supports of A2A.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgentCapabilities {
    /// Server-sent events.
    #[serde(default)]
    pub streaming: bool,
    /// Push notifications.
    #[serde(default)]
    pub push_notifications: bool,
}

/// Who an agent is (A2A 1.0 `AgentCard`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgentCard {
    /// The agent's id, for example `code-review`.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its version.
    pub version: String,
    /// How to reach it, in order of preference.
    pub supported_interfaces: Vec<AgentInterface>,
    /// What of A2A it supports.
    pub capabilities: AgentCapabilities,
    /// Media types it takes by default.
    pub default_input_modes: Vec<String>,
    /// Media types it gives by default.
    pub default_output_modes: Vec<String>,
    /// What it can do.
    pub skills: Vec<Skill>,
}

/// The binding of [`crate::request::AgentRequest`] in a card's interface.
pub const AGENT_REQUEST_BINDING: &str = "https://guildhall.dev/bindings/agent-request/v1";

/// The fleet's own agents. Nobody else registers under these names.
pub const FLEET: [&str; 6] = [
    "orchestrator",
    "feature-dev",
    "code-review",
    "infrastructure",
    "cicd",
    "documentation",
];

/// Whether an agent is there to be given work, by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// Live, and glad of work.
    Active,
    /// Live and busy; still gets work when nobody better placed has the skill.
    Busy,
    /// Live, and wants no more work.
    Draining,
    /// Its lease has just run out, or probes fail: gets no work.
    Suspect,
    /// Not there: gets no work.
    Offline,
}

impl AgentStatus {
    /// As SQL and JSON spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            AgentStatus::Active => "active",
            AgentStatus::Busy => "busy",
            AgentStatus::Draining => "draining",
            AgentStatus::Suspect => "suspect",
            AgentStatus::Offline => "offline",
        }
    }

    /// Whether work is given to it.
    pub fn takes_work(self) -> bool {
        matches!(self, AgentStatus::Active | AgentStatus::Busy)
    }
}

/// Whose an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// One of this fleet's components.
    Fleet,
    /// Somebody else's, reached over the network.
    Remote,
}

/// An agent as the registry shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Agent {
    /// The agent's id.
    pub id: String,
    /// Decided by the database clock when it was read.
    pub status: AgentStatus,
    /// Whose it is.
    pub kind: AgentKind,
    /// The card as registered.
    #[cfg_attr(feature = "schema", schemars(with = "Value"))]
    pub card: AgentCard,
    /// Where it is reached.
    pub url: Option<String>,
    /// The project it works for; any when absent.
    pub project: Option<String>,
    /// Most requests that it is given at once.
    pub max_concurrency: u32,
    /// Most requests that wait for it.
    pub max_queue: u32,
    /// How long it counts as there after a heartbeat, in seconds.
    pub ttl_s: u32,
    /// What it works on, as it said last.
    pub in_flight: u32,
    /// How loaded it is, 0 to 1, as it said last.
    pub load: f64,
    /// How its last probe ended.
    pub probe_detail: Option<String>,
    /// When it was last heard of.
    pub heartbeat_at: DateTime<Utc>,
    /// When it counts as gone without another heartbeat.
    pub expires_at: DateTime<Utc>,
    /// When it first registered.
    pub registered_at: DateTime<Utc>,
}

/// Why a search found an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Match {
    /// The skill that fits best.
    pub skill: String,
    /// Where it fits: `id`, `name`, `tags`, `description`, `examples`, `several_fields` or `similar_word`.
    pub field: String,
    /// How well, 1 to 100.
    pub score: u8,
}

/// An agent as lists and searches show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentSummary {
    /// The agent's id.
    pub id: String,
    /// Decided by the database clock when it was read.
    pub status: AgentStatus,
    /// Whose it is.
    pub kind: AgentKind,
    /// The card's name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Where it is reached.
    pub url: Option<String>,
    /// The project it works for; any when absent.
    pub project: Option<String>,
    /// The ids of its skills.
    pub skills: Vec<String>,
    /// When it was last heard of.
    pub heartbeat_at: DateTime<Utc>,
    /// When it counts as gone without another heartbeat.
    pub expires_at: DateTime<Utc>,
    /// When it first registered.
    pub registered_at: DateTime<Utc>,
    /// Why it was found, in a search.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<Match>,
    /// The whole card, when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Value>,
}
