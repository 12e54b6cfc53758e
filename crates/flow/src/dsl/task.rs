//! Tasks (dsl-reference.md, "Task").

use super::{Data, Listen, Span};
use serde_json::{Map, Value};

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// JSON pointer to it in the document.
    pub pointer: String,
    /// The condition on which it runs.
    pub condition: Option<String>,
    /// What it takes.
    pub input: Data,
    /// What it gives.
    pub output: Data,
    /// What goes into the context.
    pub export: Data,
    /// How long it may take.
    pub timeout: Option<Span>,
    /// What comes next.
    pub then: Flow,
    /// The locks it holds while it runs: names, which may hold expressions.
    pub locks: Vec<String>,
    /// As `$task.definition` has it.
    pub source: Value,
    /// What it does.
    pub kind: Kind,
}

/// What comes next (dsl-reference.md, "Flow Directive").
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// The next task in order.
    #[default]
    Continue,
    /// The end of the scope.
    Exit,
    /// The end of the workflow.
    End,
    /// A task of the same scope.
    To(String),
}

/// What a task does.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Calls a function.
    Call(Call),
    /// Tasks, one after the other.
    Do(Vec<Task>),
    /// Tasks, side by side.
    Fork(Fork),
    /// Emits an event with these attributes.
    Emit(Value),
    /// Tasks for each item.
    For(ForEach),
    /// Waits for events.
    Listen(Listen),
    /// Raises an error.
    Raise(Value),
    /// Runs another workflow.
    Run(Child),
    /// Sets the data.
    Set(Value),
    /// Chooses what comes next.
    Switch(Vec<Case>),
    /// Tasks whose errors are caught.
    Try(Try),
    /// Waits for some time.
    Wait(Span),
}

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Of what.
    pub function: Function,
    /// With what, unevaluated.
    pub with: Value,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Function {
    /// An HTTP endpoint.
    Http,
    /// An operation of an OpenAPI document.
    OpenApi,
    /// An agent that speaks A2A.
    A2a,
    /// An MCP server.
    Mcp,
    /// An agent of this hall, by skill.
    Agent,
    /// A person, to agree to an action.
    Approval,
    /// People, to let them know.
    Notify,
    /// A function of the document.
    Own(String),
    /// A function of a catalog.
    Cataloged {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// The catalog; `default` is the hall's own.
        catalog: String,
    },
}

/// Branches side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Fork {
    /// The branches.
    pub branches: Vec<Task>,
    /// Whether the first to end wins and the others are cancelled.
    pub compete: bool,
}

/// A loop.
#[derive(Clone, Debug, PartialEq)]
pub struct ForEach {
    /// The variable that holds the item.
    pub each: String,
    /// The variable that holds its index.
    pub at: String,
    /// The expression that gives the items.
    pub items: String,
    /// The condition on which it goes on.
    pub condition: Option<String>,
    /// What to do for each.
    pub body: Vec<Task>,
}

/// Another workflow to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version, or `latest`.
    pub version: String,
    /// Its input, unevaluated.
    pub input: Option<Value>,
    /// Whether to wait for its end.
    pub wait: bool,
    /// Whether its output is this task's.
    pub returns: bool,
}

/// A case of a switch.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Its condition; without one it is the default.
    pub when: Option<String>,
    /// What comes next.
    pub then: Flow,
}

/// Tasks whose errors are caught.
#[derive(Clone, Debug, PartialEq)]
pub struct Try {
    /// The tasks.
    pub body: Vec<Task>,
    /// What is caught.
    pub catch: Catch,
}

/// Which errors are caught, and what then.
#[derive(Clone, Debug, PartialEq)]
pub struct Catch {
    /// What the error's properties must be.
    pub with: Map<String, Value>,
    /// The variable that holds the error.
    pub name: String,
    /// It is caught if this holds.
    pub when: Option<String>,
    /// It is not caught if this holds.
    pub except_when: Option<String>,
    /// How to try again.
    pub retry: Option<Retry>,
    /// What to do when it was caught and is not tried again; empty where the document has nothing.
    pub body: Vec<Task>,
}

/// How to try again (dsl-reference.md, "Retry").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retry {
    /// Only if this holds.
    pub when: Option<String>,
    /// Not if this holds.
    pub except_when: Option<String>,
    /// How long to wait before.
    pub delay: Option<Span>,
    /// How the delay grows.
    pub backoff: Backoff,
    /// Most attempts, the first included.
    pub attempts: Option<u64>,
    /// How long one attempt may take.
    pub attempt_duration: Option<Span>,
    /// Until when attempts begin, from the start of the first.
    pub duration: Option<Span>,
    /// What is added to the delay: a random time between these two.
    pub jitter: Option<(Span, Span)>,
}

/// How a delay grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backoff {
    /// Not at all.
    #[default]
    Constant,
    /// By the delay with each attempt.
    Linear,
    /// Twofold with each attempt.
    Exponential,
}
