//! Where a run stands, for people who watch it.

use super::state::{Activity, Branch, Frame, ListFrame, State, TryPhase};
use crate::dsl::{Definition, Function, Kind, Task, pointer};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// A task under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnderWay {
    /// Its step, as in commands.
    pub step: String,
    /// Its name.
    pub name: String,
    /// How many tasks are around it.
    pub depth: usize,
    /// Since when.
    pub started_at: DateTime<Utc>,
    /// What it does.
    pub doing: Doing,
}

/// What a task under way does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Doing {
    /// It is to begin when the run goes on.
    Ready,
    /// It waits for its locks.
    Locks,
    /// Tasks within it are under way.
    Tasks,
    /// It waits for an answer.
    Answer,
    /// It waits for a time: a `wait`, or the next attempt.
    Timer,
    /// It waits for events.
    Events,
}

impl State {
    /// The tasks under way, each before those within it. Empty before the start and after the end.
    pub fn under_way(&self, definition: &Definition) -> Vec<UnderWay> {
        let mut view = View {
            definition,
            found: Vec::new(),
        };
        if let Some(list) = &self.root {
            view.list(&definition.tasks, "/do", list, 0);
        }
        view.found
    }
}

struct View<'a> {
    definition: &'a Definition,
    found: Vec<UnderWay>,
}

impl<'a> View<'a> {
    fn list(&mut self, tasks: &'a [Task], place: &str, list: &ListFrame, depth: usize) {
        let round = if list.round > 0 {
            format!("({})", list.round)
        } else {
            String::new()
        };
        if let Some(task) = tasks.get(list.at) {
            self.task(task, &format!("{place}{round}"), list.at, &list.frame, depth);
        }
    }

    fn task(&mut self, task: &'a Task, place: &str, at: usize, frame: &Frame, depth: usize) {
        let step = format!("{place}/{at}/{}", pointer::escape(&task.name));
        let doing = match &frame.activity {
            Activity::Ready => Doing::Ready,
            Activity::Locking => Doing::Locks,
            Activity::Request(_) => Doing::Answer,
            Activity::Timer(_) => Doing::Timer,
            Activity::Try(attempt) if matches!(attempt.phase, TryPhase::Pausing(_)) => Doing::Timer,
            Activity::Listen(listening) if listening.item.is_none() => Doing::Events,
            _ => Doing::Tasks,
        };
        self.found.push(UnderWay {
            step: step.clone(),
            name: task.name.clone(),
            depth,
            started_at: frame.started_at,
            doing,
        });
        let depth = depth + 1;
        match (&frame.activity, &task.kind) {
            (Activity::List(list), Kind::Do(body)) => self.list(body, &format!("{step}/do"), list, depth),
            (Activity::List(list), Kind::Call(call)) => {
                if let Function::Own(name) = &call.function
                    && let Some(function) = self.definition.reuse.functions.get(name)
                {
                    self.list(
                        std::slice::from_ref(function),
                        &format!("{step}/call"),
                        list,
                        depth,
                    );
                }
            }
            (Activity::Loop { index, list, .. }, Kind::For(each)) => {
                self.list(&each.body, &format!("{step}/do[{index}]"), list, depth);
            }
            (Activity::Fork(branches), Kind::Fork(fork)) => {
                for (at, (branch, task)) in branches.iter().zip(&fork.branches).enumerate() {
                    if let Branch::Running(frame) = branch {
                        self.task(task, &format!("{step}/fork/branches"), at, frame, depth);
                    }
                }
            }
            (Activity::Try(attempt), Kind::Try(inner)) => match &attempt.phase {
                TryPhase::Trying(_, list) => self.list(&inner.body, &format!("{step}/try"), list, depth),
                TryPhase::Catching(_, list) => {
                    self.list(&inner.catch.body, &format!("{step}/catch/do"), list, depth);
                }
                TryPhase::Pausing(_) => {}
            },
            (Activity::Listen(listening), Kind::Listen(listen)) => {
                if let (Some(item), Some(foreach)) = (&listening.item, &listen.foreach) {
                    let place = format!("{step}/foreach[{}]/do", listening.consumed.len());
                    self.list(&foreach.body, &place, &item.list, depth);
                }
            }
            _ => {}
        }
    }
}
