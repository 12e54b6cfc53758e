//! The engine: a pure, deterministic state machine. Definition, state and event in; state, commands and lifecycle events
//! out.
//!
//! Folding the same events always gives the same states and commands; nothing here looks at a clock, draws a number or
//! waits. Tasks without an effect (`set`, `switch`, `do`, `for`, `raise`, …) run within one application, at most
//! [`Limits::tasks_per_apply`] of them; then [`Action::Continue`] asks to go on. What has an effect becomes a
//! [`Command`], and the task waits for its answer.
//!
//! Authentication policies in commands have their expressions evaluated; secrets stay names (`{"basic": {"use": NAME}}`)
//! and are resolved where the request is sent.

mod call;
mod command;
mod fork;
mod gather;
mod lifecycle;
mod listen;
mod matching;
mod perform;
mod problem;
mod scope;
mod sequence;
mod state;
mod task;
mod tries;
mod uri;
mod view;
mod walk;

pub use command::{Action, Command, Event, Fence, Input};
pub use gather::Trigger;
pub use matching::check_pattern;
pub use problem::{Problem, Standard};
pub use state::{FORMAT, MAX_DATA_DEPTH, RunMeta, State, Status};
pub use view::{Doing, UnderWay};

use crate::dsl::Definition;
use chrono::{DateTime, Utc};
use serde_json::Value;
use walk::Walk;

/// The bounds of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most tasks begun in one application.
    pub tasks_per_apply: u32,
    /// Most tasks begun in a run; beyond, it faults.
    pub tasks_per_run: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tasks_per_apply: 1_000,
            tasks_per_run: 1_000_000,
        }
    }
}

/// What one application came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where the run stands now.
    pub state: State,
    /// What to do, in this order.
    pub commands: Vec<Command>,
    /// CloudEvents that tell what happened (dsl.md, "Lifecycle Events").
    pub lifecycle: Vec<Value>,
}

/// Which lifecycle events are made. Their ids are the same whichever are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// None.
    Nothing,
    /// Those of runs.
    Runs,
    /// Those of runs and tasks, which carry the tasks' outputs.
    #[default]
    Tasks,
}

/// The engine, which holds nothing but its settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine {
    /// The bounds.
    pub limits: Limits,
    /// Which lifecycle events are wanted.
    pub detail: Detail,
}

impl Engine {
    /// Begins a run.
    pub fn start(&self, definition: &Definition, input: Value, run: RunMeta) -> Step {
        let now = run.started_at;
        let state = State {
            format: FORMAT,
            run,
            status: Status::Running,
            input,
            context: Value::Null,
            root: None,
            timeout: None,
            numbered: 0,
            begun: 0,
            told: 0,
            output: None,
            error: None,
        };
        let mut walk = Walk::new(self, definition, state, now);
        walk.begin_run();
        walk.into_step()
    }

    /// Takes a run further. An event that the run does not wait for, or that comes after its end, changes nothing.
    pub fn apply(&self, definition: &Definition, state: State, event: &Event) -> Step {
        let mut walk = Walk::new(self, definition, state, event.now);
        if !walk.state.status.is_end() {
            walk.take(&event.input);
        }
        walk.into_step()
    }

    /// Folds events from the start of a run.
    pub fn replay<'e>(
        &self,
        definition: &Definition,
        input: Value,
        run: RunMeta,
        events: impl IntoIterator<Item = &'e Event>,
    ) -> Step {
        let start = self.start(definition, input, run);
        events
            .into_iter()
            .fold(start, |step, event| self.apply(definition, step.state, event))
    }
}

/// A time as the lifecycle events and `$workflow.startedAt` write it.
fn iso(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}
