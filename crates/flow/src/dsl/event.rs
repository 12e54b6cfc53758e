//! Events that are listened to (dsl-reference.md, "Event Consumption Strategy").

use super::{Data, Task};
use serde_json::Value;
use std::collections::BTreeMap;

/// A `listen` task.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Which events.
    pub to: Strategy,
    /// What of them.
    pub read: ReadAs,
    /// What to do with each.
    pub foreach: Option<Foreach>,
}

/// What of an event is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadAs {
    /// Its data, or raw data, which are the same as events are JSON here.
    #[default]
    Data,
    /// All of it.
    Envelope,
}

/// Which events are consumed.
#[derive(Clone, Debug, PartialEq)]
pub enum Strategy {
    /// One event of a kind.
    One(Filter),
    /// One event of each kind.
    All(Vec<Filter>),
    /// Any event of these kinds (none: of every kind), once or until a condition holds.
    Any(Vec<Filter>, Option<Until>),
}

/// When to stop consuming.
#[derive(Clone, Debug, PartialEq)]
pub enum Until {
    /// When this expression holds for the list of what was consumed.
    Expression(String),
    /// When these events have come.
    Events(Box<Strategy>),
}

/// Which events fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// What each attribute must be: a value, a regular expression or a condition in `${ }`.
    pub with: BTreeMap<String, Value>,
    /// What must agree with data or with earlier events.
    pub correlate: Vec<Correlation>,
}

/// What must agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Correlation {
    /// Its name.
    pub name: String,
    /// The expression that gets the value from an event.
    pub from: String,
    /// The value it must have; by default that of the first event.
    pub expect: Option<Value>,
}

/// What to do with each event.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreach {
    /// The variable that holds the event.
    pub item: String,
    /// The variable that holds its index.
    pub at: String,
    /// What to do; may be nothing.
    pub body: Vec<Task>,
    /// The item's output.
    pub output: Data,
    /// What goes into the context.
    pub export: Data,
}

impl Strategy {
    /// All filters of this strategy, in order, without those of `until`.
    pub fn filters(&self) -> &[Filter] {
        match self {
            Self::One(filter) => std::slice::from_ref(filter),
            Self::All(filters) | Self::Any(filters, _) => filters,
        }
    }
}
