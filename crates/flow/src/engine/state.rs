//! Where a run stands: a tree of the tasks under way, which is also its snapshot.
//!
//! It holds what the run needs to go on and no history, so that its size depends on the data and on how many tasks
//! are under way, not on how long the run has lasted.

use super::command::Fence;
use super::gather::Gathered;
use super::problem::Problem;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;

/// The version of the snapshot's format.
pub const FORMAT: u32 = 1;
/// How deeply data may be nested, so that a snapshot of it can be read again (serde_json reads 128 levels).
pub const MAX_DATA_DEPTH: usize = 56;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// [`FORMAT`] when it was written.
    pub format: u32,
    /// Who it is.
    pub run: RunMeta,
    /// Its status.
    pub status: Status,
    /// Its input, as given.
    pub input: Value,
    /// `$context`.
    pub context: Value,
    /// The tasks under way; none before and after.
    pub(super) root: Option<Box<ListFrame>>,
    /// The timer of the whole run.
    pub(super) timeout: Option<u64>,
    /// How many commands were numbered.
    pub(super) numbered: u64,
    /// How many tasks were begun.
    pub(super) begun: u64,
    /// How many lifecycle events were told.
    pub(super) told: u64,
    /// What it gave, when completed.
    pub output: Option<Value>,
    /// Why it ended, when faulted.
    pub error: Option<Problem>,
}

/// Who a run is. Recorded when it starts, so that every replay sees the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunMeta {
    /// Its id.
    pub id: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// `$runtime`: an object with name, version and metadata.
    pub runtime: Value,
}

/// The status of a run (dsl.md, "Status Phases").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Under way, or waiting.
    Running,
    /// Paused by somebody: what is under way ends, nothing begins.
    Suspended,
    /// Ended well.
    Completed,
    /// Ended with an error.
    Faulted,
    /// Ended by somebody.
    Cancelled,
}

impl Status {
    /// Whether nothing more will happen.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Faulted | Self::Cancelled)
    }
}

/// A list of tasks, one of which is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ListFrame {
    pub(super) at: usize,
    /// How often a directive went back; tells visits of a task apart.
    pub(super) round: u32,
    pub(super) frame: Frame,
}

/// A task under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Frame {
    /// Its raw input.
    pub(super) raw: Value,
    /// Its transformed input, once there is.
    pub(super) input: Value,
    pub(super) started_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) fences: Vec<Fence>,
    /// The lock request whose grant the fences are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lock: Option<u64>,
    pub(super) activity: Activity,
}

/// What a task under way is at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Activity {
    /// It has not begun: the run is suspended, or the budget was spent.
    Ready,
    /// It waits for its locks.
    Locking,
    /// `do`, or a function of the document.
    List(Box<ListFrame>),
    /// `for`.
    Loop {
        items: Vec<Value>,
        index: usize,
        list: Box<ListFrame>,
    },
    /// `fork`.
    Fork(Vec<Branch>),
    /// `try`.
    Try(TryFrame),
    /// It waits for the answer to a command.
    Request(u64),
    /// It waits for a timer.
    Timer(u64),
    /// `listen`.
    Listen(ListenFrame),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Branch {
    Running(Box<Frame>),
    Done(Value),
    Failed(Problem),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TryFrame {
    pub(super) attempt: u32,
    pub(super) began: DateTime<Utc>,
    pub(super) phase: TryPhase,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TryPhase {
    /// The tasks are under way, with the timer of the attempt.
    Trying(Option<u64>, Box<ListFrame>),
    /// The next attempt waits for a timer.
    Pausing(u64),
    /// The error is handled.
    Catching(Problem, Box<ListFrame>),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ListenFrame {
    /// The subscription.
    pub(super) subscription: u64,
    /// Whether it wants more events.
    pub(super) open: bool,
    /// What was consumed so far, or made of it.
    pub(super) consumed: Vec<Value>,
    /// What is known of the events that came.
    pub(super) gathered: Gathered,
    /// Events that wait for their turn.
    pub(super) queue: VecDeque<Value>,
    /// The event whose turn it is.
    pub(super) item: Option<ItemFrame>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ItemFrame {
    pub(super) event: Value,
    pub(super) list: Box<ListFrame>,
}
