//! The model of a workflow: Serverless Workflow DSL 1.0.3 (dsl-reference.md), with our own functions.
//!
//! [`Definition::from_value`] reads what [`crate::validate`] accepted; references to reusable components are resolved.
//! Texts with expressions stay as they are written and are evaluated by the engine.

mod duration;
mod event;
pub mod pointer;
mod properties;
mod read;
mod read_task;
mod shape;
mod task;

pub use duration::{MAX_MS, parse_duration};
pub use event::{Correlation, Filter, Foreach, Listen, ReadAs, Strategy, Until};
pub use properties::{PROPERTIES, Property, TASK_KINDS, properties};
pub use read::ReadError;
pub use shape::{Phase, Shape};
pub use task::{Backoff, Call, Case, Catch, Child, Flow, ForEach, Fork, Function, Kind, Retry, Task, Try};

use crate::expression::Mode;
use serde_json::Value;
use std::collections::BTreeMap;

/// A workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// What it is called.
    pub document: Document,
    /// What it takes.
    pub input: Data,
    /// What it gives.
    pub output: Data,
    /// How values are evaluated.
    pub mode: Mode,
    /// How long a run may take.
    pub timeout: Option<Span>,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
    /// What it does.
    pub tasks: Vec<Task>,
    /// Its reusable components.
    pub reuse: Reuse,
    /// The document, as `$workflow.definition` has it.
    pub source: Value,
}

/// What a workflow is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The version of the DSL.
    pub dsl: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The title.
    pub title: Option<String>,
    /// More about it, in Markdown.
    pub summary: Option<String>,
}

/// The schema and transformation of an input, output or export.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    /// The JSON Schema.
    pub schema: Option<Value>,
    /// `from` or `as`: a text that is an expression, or a value with expressions in it.
    pub transform: Option<Value>,
}

/// A duration.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    /// Milliseconds.
    Fixed(i64),
    /// A text with an expression that gives a duration.
    Evaluated(String),
}

/// When a workflow runs by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Whenever so many milliseconds have passed.
    Every(i64),
    /// By a CRON expression, in UTC.
    Cron(crate::schedule::Cron),
    /// So many milliseconds after a run has ended.
    After(i64),
    /// On events.
    On(Strategy),
}

/// Reusable components, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reuse {
    /// Tasks to call.
    pub functions: BTreeMap<String, Task>,
    /// Errors to raise.
    pub errors: BTreeMap<String, Value>,
    /// Retry policies.
    pub retries: BTreeMap<String, Retry>,
    /// Timeouts.
    pub timeouts: BTreeMap<String, Span>,
    /// Authentication policies.
    pub authentications: BTreeMap<String, Value>,
    /// Catalogs of functions.
    pub catalogs: BTreeMap<String, Value>,
    /// The secrets that it may have used on its behalf.
    pub secrets: Vec<String>,
}
