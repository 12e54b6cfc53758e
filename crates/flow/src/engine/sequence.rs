//! Tasks one after the other, and the directives between them.

use super::command::Input;
use super::problem::{Problem, Standard};
use super::state::ListFrame;
use super::task::Outcome;
use super::walk::Walk;
use crate::dsl::{Flow, Task};
use serde_json::Value;

/// How a list is come to.
pub(super) enum Entry<'e> {
    /// For the first time, with this input.
    Start(Value),
    /// Again, with what happened.
    Wake(Box<ListFrame>, &'e Input),
}

/// What a list came to.
pub(super) enum Sequel {
    /// One of its tasks waits.
    Pending(Box<ListFrame>),
    /// All was done, with this output.
    Done(Value),
    /// The workflow ends, with this output.
    Ended(Value),
    /// A task failed.
    Failed(Problem),
}

impl<'a> Walk<'a> {
    /// Runs the tasks of a list as far as they go. `index` is the iteration, where the list is repeated.
    pub(super) fn sequence(
        &mut self,
        tasks: &'a [Task],
        key: &str,
        index: Option<usize>,
        entry: Entry<'_>,
    ) -> Sequel {
        let mark = self.enter(key, index);
        let sequel = self.run_sequence(tasks, entry);
        self.leave(mark);
        sequel
    }

    fn run_sequence(&mut self, tasks: &'a [Task], entry: Entry<'_>) -> Sequel {
        let (mut at, mut round) = (0, 0);
        let mut outcome = match entry {
            Entry::Start(raw) => match tasks.first() {
                Some(task) => self.in_task(round, at, task, |walk| walk.begin_task(task, raw)),
                None => return Sequel::Done(raw),
            },
            Entry::Wake(list, input) => {
                (at, round) = (list.at, list.round);
                match tasks.get(at) {
                    Some(task) => {
                        self.in_task(round, at, task, |walk| walk.wake_task(task, list.frame, input))
                    }
                    None => return Sequel::Failed(self.foreign()),
                }
            }
        };
        loop {
            let (output, flow) = match outcome {
                Outcome::Pending(frame) => {
                    return Sequel::Pending(Box::new(ListFrame {
                        at,
                        round,
                        frame: *frame,
                    }));
                }
                Outcome::Failed(problem) => return Sequel::Failed(problem),
                Outcome::Ended(output) => return Sequel::Ended(output),
                Outcome::Done(output, flow) => (output, flow),
            };
            let next = match flow {
                Flow::Continue => at + 1,
                Flow::Exit => return Sequel::Done(output),
                Flow::End => return Sequel::Ended(output),
                Flow::To(name) => match tasks.iter().position(|task| task.name == name) {
                    Some(next) => next,
                    None => return Sequel::Failed(self.foreign()),
                },
            };
            if next <= at {
                round += 1;
            }
            at = next;
            outcome = match tasks.get(at) {
                Some(task) => self.in_task(round, at, task, |walk| walk.begin_task(task, output)),
                None => return Sequel::Done(output),
            };
        }
    }

    pub(super) fn in_task<T>(
        &mut self,
        round: u32,
        at: usize,
        task: &Task,
        act: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mark = self.enter_task(round, at, &task.name);
        let result = act(self);
        self.leave(mark);
        result
    }

    /// The snapshot was made with another definition.
    pub(super) fn foreign(&self) -> Problem {
        let detail = "The run's snapshot does not belong to this definition; apply events with the version it was started with.";
        Problem::standard(Standard::Runtime, detail).at(&self.pointer)
    }

    /// Takes back what the task under way asked for.
    pub(super) fn cancel_sequence(
        &mut self,
        tasks: &'a [Task],
        key: &str,
        index: Option<usize>,
        list: ListFrame,
    ) {
        let mark = self.enter(key, index);
        if let Some(task) = tasks.get(list.at) {
            self.in_task(list.round, list.at, task, |walk| {
                walk.cancel_task(task, list.frame)
            });
        }
        self.leave(mark);
    }
}
