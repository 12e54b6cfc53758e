//! What the engine asks of the world.

use super::problem::Problem;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The step: the task's JSON pointer, with the iteration in brackets after the list it repeats (`do[2]`) and the round
    /// in parentheses (`do(1)`) after a list in which a directive went back. Unique for each time a task is reached.
    pub step: String,
    /// Its number within the run; answers carry it, so that an answer to what was cancelled is told apart.
    pub seq: u64,
    /// Which attempt of the `try` around it this belongs to, from 1.
    pub attempt: u32,
    /// The idempotency key: run and step, the same for every attempt. What carries it takes effect once.
    pub key: String,
    /// The locks that the tasks around it hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fences: Vec<Fence>,
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Its name.
    pub lock: String,
    /// The fencing token of its grant.
    pub token: i64,
}

/// What to do. Answered are calls (`http` to `function`), `approval`, `start_child` that waits, `timer` and `acquire`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Send an HTTP request. The answer is `{request: {method, uri, headers}, statusCode, headers, content}`, whatever the
    /// status; `content` is base64 where `output` is `raw`.
    Http {
        /// Upper case.
        method: String,
        /// Absolute, templates filled.
        uri: String,
        /// By name.
        headers: Map<String, Value>,
        /// Parameters to add to the URI.
        query: Map<String, Value>,
        /// The body; null for none.
        body: Value,
        /// The policy, see [`Action`]'s module: `{basic|bearer|digest|oauth2|oidc: {…}}`, or null.
        authentication: Value,
        /// `raw`, `content` or `response`.
        output: String,
        /// Whether a redirection is a good answer, rather than an error.
        redirect: bool,
    },
    /// Call an operation of an OpenAPI document. Answered as `http`.
    #[serde(rename = "openapi")]
    OpenApi {
        /// Where the document is: `{uri, authentication}`.
        document: Value,
        /// The operation.
        operation_id: String,
        /// Its parameters, by name.
        parameters: Value,
        /// The policy for the operation, or null.
        authentication: Value,
        /// `raw`, `content` or `response`.
        output: String,
        /// As of `http`.
        redirect: bool,
    },
    /// Call an agent over A2A. The answer is the JSON-RPC result, or the list of results of a stream.
    A2a {
        /// The method.
        method: String,
        /// Where its card is: `{uri, authentication}`, or null.
        agent_card: Value,
        /// Where it is: `{uri, authentication}`, or null.
        server: Value,
        /// The parameters.
        parameters: Value,
    },
    /// Call an MCP server over HTTP. The answer is the JSON-RPC result.
    Mcp {
        /// The version of the protocol.
        protocol_version: String,
        /// The method.
        method: String,
        /// The parameters.
        parameters: Value,
        /// Milliseconds that it may take.
        timeout_ms: Option<i64>,
        /// Where it is: `{uri, authentication}`.
        endpoint: Value,
        /// Headers to send.
        headers: Value,
        /// More for the transport.
        options: Value,
        /// Who calls: `{name, version}`, or null.
        client: Value,
    },
    /// Ask an agent of the hall. The answer is what it gave.
    Agent {
        /// The skill.
        skill: String,
        /// A particular agent.
        agent: Option<String>,
        /// The input.
        input: Value,
        /// Milliseconds that it may take, over all tries.
        timeout_ms: Option<i64>,
        /// Higher comes first.
        priority: Option<i64>,
        /// How often it is tried when it fails in a way that may pass; the hall's default where absent.
        attempts: Option<i64>,
    },
    /// Ask people to agree. The answer is `{approval_id, decided_by}`; a refusal is a failure of type `authorization`.
    Approval {
        /// Exactly what would be done.
        proposal: Value,
        /// What it means, for people.
        summary: Option<String>,
        /// The risk, as the policy takes it.
        risk: Value,
        /// Milliseconds until it lapses.
        expires_ms: Option<i64>,
    },
    /// Let people know. Not answered.
    Notify {
        /// What.
        message: String,
        /// Where.
        channel: Option<String>,
        /// More.
        data: Value,
    },
    /// Call a function of a catalog. The answer is what it gave.
    Function {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// The catalog's name.
        catalog: String,
        /// Where that is: `{uri, authentication}`; null for the hall's own, `default`.
        endpoint: Value,
        /// The arguments.
        with: Value,
    },
    /// Publish an event. Not answered.
    Emit {
        /// A CloudEvent in its JSON form.
        event: Value,
    },
    /// Start another run. If it waits, the answer is that run's output or error.
    StartChild {
        /// The workflow's namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its version, or `latest`.
        version: String,
        /// The input.
        input: Value,
        /// Whether its end is awaited.
        wait: bool,
    },
    /// Tell when this time has come.
    Timer {
        /// When.
        at: DateTime<Utc>,
    },
    /// Deliver events that may fit, until cancelled. The engine decides whether they do.
    Subscribe {
        /// Attributes that must be equal, for each kind of event; an empty object stands for every event.
        filters: Vec<Map<String, Value>>,
    },
    /// Take these locks together. The answer is their tokens.
    Acquire {
        /// Their names, sorted.
        locks: Vec<String>,
    },
    /// Let go of locks, or of the request for them.
    Release {
        /// The `acquire` that asked for them.
        target: u64,
        /// Their names.
        locks: Vec<String>,
    },
    /// The answer to a command is not wanted any more: undo, stop or forget it.
    Cancel {
        /// That command's number.
        target: u64,
    },
    /// Apply [`super::Input::Continue`]: there is more to do than one application may.
    Continue,
    /// The run has ended well.
    Complete {
        /// What it gave.
        output: Value,
    },
    /// The run has ended with an error.
    Fault {
        /// The error.
        error: Problem,
    },
    /// The run has ended because somebody wanted it to.
    Cancelled,
}

/// What the world tells the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the recorder's clock. Never earlier than the one before.
    pub now: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub input: Input,
}

/// What happened. Answers name the command by step and number; an answer that nobody waits for changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Input {
    /// A command was carried out.
    Completed {
        /// Its step.
        step: String,
        /// Its number.
        seq: u64,
        /// The answer.
        output: Value,
    },
    /// A command failed.
    Failed {
        /// Its step.
        step: String,
        /// Its number.
        seq: u64,
        /// Why.
        error: Problem,
    },
    /// A timer's time has come.
    Fired {
        /// Its step.
        step: String,
        /// Its number.
        seq: u64,
    },
    /// Locks were granted.
    Granted {
        /// The step.
        step: String,
        /// The number of `acquire`.
        seq: u64,
        /// The locks with their tokens.
        fences: Vec<Fence>,
    },
    /// An event came that may interest the run.
    Delivered {
        /// A CloudEvent in its JSON form.
        cloud_event: Value,
    },
    /// Go on after [`Action::Continue`].
    Continue,
    /// Somebody pauses the run.
    Pause,
    /// Somebody resumes it.
    Resume,
    /// Somebody ends it.
    Cancel,
}
