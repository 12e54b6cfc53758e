//! One task: its condition, locks, timeout and data around what it does.

use super::command::{Action, Input};
use super::problem::{Problem, Standard};
use super::scope::Scope;
use super::sequence::{Entry, Sequel};
use super::state::{Activity, Frame, Status};
use super::walk::{Attempted, Walk};
use crate::dsl::{Flow, Function, Kind, Task};
use serde_json::Value;

/// What a task came to.
pub(super) enum Outcome {
    /// It waits.
    Pending(Box<Frame>),
    /// It was done, with this output, and what comes next.
    Done(Value, Flow),
    /// The workflow ends, with this output.
    Ended(Value),
    /// It failed.
    Failed(Problem),
}

/// What the doing of a task came to.
pub(super) enum Inner {
    /// It waits.
    Pending(Activity),
    /// It gave this.
    Output(Value),
    /// It gave this and decides on what comes next.
    Flow(Value, Flow),
    /// The workflow ends, with this output.
    Ended(Value),
    /// It failed.
    Failed(Problem),
}

impl From<Attempted<Inner>> for Inner {
    fn from(attempted: Attempted<Inner>) -> Self {
        attempted.unwrap_or_else(Inner::Failed)
    }
}

impl<'a> Walk<'a> {
    /// Begins a task, unless the run is suspended or did enough for now.
    pub(super) fn begin_task(&mut self, task: &'a Task, raw: Value) -> Outcome {
        let mut frame = Frame {
            raw,
            input: Value::Null,
            started_at: self.now,
            timeout: None,
            fences: Vec::new(),
            lock: None,
            activity: Activity::Ready,
        };
        if self.state.status == Status::Suspended {
            return Outcome::Pending(Box::new(frame));
        }
        if self.budget == 0 {
            self.put_off = true;
            return Outcome::Pending(Box::new(frame));
        }
        self.budget -= 1;
        self.state.begun += 1;
        let most = self.engine.limits.tasks_per_run;
        if self.state.begun > most {
            let detail = format!("The run began more than {most} tasks; it seems to go round for ever.");
            return Outcome::Failed(Problem::standard(Standard::Runtime, detail).at(&self.pointer));
        }
        if let Some(condition) = &task.condition {
            let scope = Scope::of_task(self, task, &frame.raw, self.now);
            match self.holds(condition, &frame.raw, &scope) {
                Ok(true) => {}
                Ok(false) => return Outcome::Done(frame.raw, Flow::Continue),
                Err(problem) => return Outcome::Failed(problem),
            }
        }
        self.tell_task("created", "createdAt", None);
        self.tell_task("started", "startedAt", None);
        match self.secure(task, &mut frame) {
            Err(problem) => self.settle(task, frame, Inner::Failed(problem)),
            Ok(true) => {
                frame.activity = Activity::Locking;
                Outcome::Pending(Box::new(frame))
            }
            Ok(false) => self.run_task(task, frame),
        }
    }

    /// Arms the task's timeout and asks for its locks; whether there are any.
    fn secure(&mut self, task: &'a Task, frame: &mut Frame) -> Attempted<bool> {
        let scope = Scope::of_task(self, task, &frame.raw, frame.started_at).with_input(&frame.raw);
        let ms = task
            .timeout
            .as_ref()
            .map(|span| self.span(span, &frame.raw, &scope))
            .transpose()?;
        let mut locks = Vec::new();
        for lock in &task.locks {
            match self.template(&Value::String(lock.clone()), &frame.raw, &scope)? {
                Value::String(name) if !name.trim().is_empty() => locks.push(name),
                other => {
                    return self.fail(
                        Standard::Expression,
                        format!("The lock `{lock}` has no name, but {other}."),
                    );
                }
            }
        }
        drop(scope);
        locks.sort();
        locks.dedup();
        if let Some(held) = locks
            .iter()
            .find(|lock| self.fences.iter().any(|fence| fence.lock == **lock))
        {
            return self.fail(
                Standard::Configuration,
                format!("The lock `{held}` is held already by a task around this one."),
            );
        }
        frame.timeout = ms.map(|ms| self.arm(ms));
        if locks.is_empty() {
            return Ok(false);
        }
        frame.lock = Some(self.command(Action::Acquire { locks }));
        Ok(true)
    }

    /// Transforms the input and does what the task does.
    fn run_task(&mut self, task: &'a Task, mut frame: Frame) -> Outcome {
        let scope = Scope::of_task(self, task, &frame.raw, frame.started_at);
        let input = self
            .fits(&task.input, &frame.raw, "input")
            .and_then(|()| self.transform(&task.input, frame.raw.clone(), &scope));
        drop(scope);
        let inner = match input {
            Ok(input) => {
                frame.input = input;
                self.with_fences(&frame, |walk| walk.perform(task, &frame))
            }
            Err(problem) => Inner::Failed(problem),
        };
        self.settle(task, frame, inner)
    }

    fn with_fences<T>(&mut self, frame: &Frame, act: impl FnOnce(&mut Self) -> T) -> T {
        let held = self.fences.len();
        self.fences.extend(frame.fences.iter().cloned());
        let result = act(self);
        self.fences.truncate(held);
        result
    }

    pub(super) fn scope<'w>(&'w self, task: &'w Task, frame: &'w Frame) -> Scope<'w> {
        Scope::of_task(self, task, &frame.raw, frame.started_at).with_input(&frame.input)
    }

    /// The list that a task runs by itself.
    pub(super) fn list_of(&self, task: &'a Task) -> Option<(&'a [Task], &'static str)> {
        match &task.kind {
            Kind::Do(body) => Some((body, "do")),
            Kind::Call(call) => match &call.function {
                Function::Own(name) => {
                    let definition: &'a crate::dsl::Definition = self.definition;
                    definition
                        .reuse
                        .functions
                        .get(name)
                        .map(|function| (std::slice::from_ref(function), "call"))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Acts within a function, which does not see its caller's variables.
    pub(super) fn apart<T>(&mut self, key: &str, act: impl FnOnce(&mut Self) -> T) -> T {
        let visible = self.visible;
        if key == "call" {
            self.visible = self.variables.len();
        }
        let result = act(self);
        self.visible = visible;
        result
    }

    pub(super) fn is_mine(&self, step: &str, seq: u64, mine: u64) -> bool {
        seq == mine && step == self.step
    }

    /// Takes what happened to a task under way.
    pub(super) fn wake_task(&mut self, task: &'a Task, mut frame: Frame, input: &Input) -> Outcome {
        if let (Activity::Ready, Input::Continue) = (&frame.activity, input) {
            return self.begin_task(task, frame.raw);
        }
        if let (Input::Fired { step, seq }, Some(timeout)) = (input, frame.timeout)
            && self.is_mine(step, *seq, timeout)
        {
            frame.timeout = None;
            let activity = std::mem::replace(&mut frame.activity, Activity::Ready);
            self.with_fences(&frame, |walk| walk.cancel_activity(task, activity));
            let problem =
                Problem::standard(Standard::Timeout, "The task took longer than its timeout allows.");
            let problem = problem.at(&self.pointer);
            return self.settle(task, frame, Inner::Failed(problem));
        }
        let activity = std::mem::replace(&mut frame.activity, Activity::Ready);
        if let (Activity::Locking, Some(lock)) = (&activity, frame.lock) {
            match input {
                Input::Granted { step, seq, fences } if self.is_mine(step, *seq, lock) => {
                    frame.fences = fences.clone();
                    return self.run_task(task, frame);
                }
                Input::Failed { step, seq, error } if self.is_mine(step, *seq, lock) => {
                    frame.lock = None;
                    let problem = error.clone().at(&self.pointer);
                    return self.settle(task, frame, Inner::Failed(problem));
                }
                _ => {}
            }
        }
        let inner = self.with_fences(&frame, |walk| walk.wake_activity(task, &frame, activity, input));
        self.settle(task, frame, inner)
    }

    fn wake_activity(&mut self, task: &'a Task, frame: &Frame, activity: Activity, input: &Input) -> Inner {
        match (activity, &task.kind) {
            (Activity::List(list), _) => match self.list_of(task) {
                Some((body, key)) => self.apart(key, |walk| {
                    walk.sequence(body, key, None, Entry::Wake(list, input)).into()
                }),
                None => Inner::Failed(self.foreign()),
            },
            (Activity::Loop { items, index, list }, Kind::For(each)) => {
                self.iterate(task, each, frame, items, index, Entry::Wake(list, input))
            }
            (Activity::Fork(branches), Kind::Fork(fork)) => self.wake_fork(fork, branches, input),
            (Activity::Try(attempt), Kind::Try(inner)) => self.wake_try(task, inner, frame, attempt, input),
            (Activity::Listen(listening), Kind::Listen(listen)) => {
                self.wake_listen(task, listen, frame, listening, input)
            }
            (Activity::Request(mine), _) => match input {
                Input::Completed { step, seq, output } if self.is_mine(step, *seq, mine) => {
                    self.answer(task, output.clone()).into()
                }
                Input::Failed { step, seq, error } if self.is_mine(step, *seq, mine) => {
                    Inner::Failed(error.clone().at(&self.pointer))
                }
                _ => Inner::Pending(Activity::Request(mine)),
            },
            (Activity::Timer(mine), _) => match input {
                Input::Fired { step, seq } if self.is_mine(step, *seq, mine) => {
                    Inner::Output(frame.input.clone())
                }
                _ => Inner::Pending(Activity::Timer(mine)),
            },
            (activity @ (Activity::Ready | Activity::Locking), _) => Inner::Pending(activity),
            _ => Inner::Failed(self.foreign()),
        }
    }

    /// Gives a task its end: output and context, timer and locks.
    fn settle(&mut self, task: &'a Task, mut frame: Frame, inner: Inner) -> Outcome {
        let (output, flow) = match inner {
            Inner::Pending(activity) => {
                frame.activity = activity;
                return Outcome::Pending(Box::new(frame));
            }
            Inner::Output(output) => (Ok(output), task.then.clone()),
            Inner::Flow(output, flow) => (Ok(output), flow),
            Inner::Ended(output) => {
                self.clean_up(&frame);
                self.tell_task("completed", "completedAt", Some(("output", &|| output.clone())));
                return Outcome::Ended(output);
            }
            Inner::Failed(problem) => (Err(problem), Flow::Continue),
        };
        let output = output.and_then(|output| self.give(task, &frame, output));
        self.clean_up(&frame);
        match output {
            Ok(output) => {
                self.tell_task("completed", "completedAt", Some(("output", &|| output.clone())));
                Outcome::Done(output, flow)
            }
            Err(problem) => {
                self.tell_task("faulted", "faultedAt", Some(("error", &|| problem.to_value())));
                Outcome::Failed(problem)
            }
        }
    }

    /// Transforms a raw output, and exports.
    fn give(&mut self, task: &'a Task, frame: &Frame, raw: Value) -> Attempted<Value> {
        let output = if task.output.transform.is_some() {
            let scope = self.scope(task, frame).with_raw_output(&raw);
            self.transform(&task.output, raw.clone(), &scope)?
        } else {
            raw.clone()
        };
        self.fits(&task.output, &output, "output")?;
        if task.export.transform.is_some() {
            let scope = self.scope(task, frame).with_raw_output(&raw).with_output(&output);
            let context = self.transform(&task.export, output.clone(), &scope)?;
            self.fits(&task.export, &context, "exported context")?;
            self.state.context = context;
        } else {
            self.fits(&task.export, &self.state.context, "exported context")?;
        }
        Ok(output)
    }

    fn clean_up(&mut self, frame: &Frame) {
        if let Some(target) = frame.timeout {
            self.cancel_command(target);
        }
        if let Some(target) = frame.lock {
            let locks = frame.fences.iter().map(|fence| fence.lock.clone()).collect();
            self.command(Action::Release { target, locks });
        }
    }

    /// Takes back what a task asked for.
    pub(super) fn cancel_task(&mut self, task: &'a Task, mut frame: Frame) {
        let activity = std::mem::replace(&mut frame.activity, Activity::Ready);
        let begun = !matches!(activity, Activity::Ready);
        self.with_fences(&frame, |walk| walk.cancel_activity(task, activity));
        self.clean_up(&frame);
        if begun {
            self.tell_task("cancelled", "cancelledAt", None);
        }
    }

    fn cancel_activity(&mut self, task: &'a Task, activity: Activity) {
        match (activity, &task.kind) {
            (Activity::Request(target) | Activity::Timer(target), _) => self.cancel_command(target),
            (Activity::List(list), _) => {
                if let Some((body, key)) = self.list_of(task) {
                    self.cancel_sequence(body, key, None, *list);
                }
            }
            (Activity::Loop { index, list, .. }, Kind::For(each)) => {
                self.cancel_sequence(&each.body, "do", Some(index), *list);
            }
            (Activity::Fork(branches), Kind::Fork(fork)) => self.cancel_branches(fork, branches),
            (Activity::Try(attempt), Kind::Try(inner)) => self.cancel_try(inner, attempt),
            (Activity::Listen(listening), Kind::Listen(listen)) => self.cancel_listen(listen, listening),
            _ => {}
        }
    }
}

impl From<Sequel> for Inner {
    fn from(sequel: Sequel) -> Self {
        match sequel {
            Sequel::Pending(list) => Inner::Pending(Activity::List(list)),
            Sequel::Done(output) => Inner::Output(output),
            Sequel::Ended(output) => Inner::Ended(output),
            Sequel::Failed(problem) => Inner::Failed(problem),
        }
    }
}
