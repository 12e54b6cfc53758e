//! What the tasks do that need no answer, and how the others begin.

use super::problem::{Problem, Standard};
use super::sequence::{Entry, Sequel};
use super::state::{Activity, Frame};
use super::task::Inner;
use super::walk::{Attempted, Walk};
use crate::dsl::{Case, ForEach, Kind, Task};
use serde_json::Value;

/// Longest type of a raised error, in characters: it is a URI, and the run keeps it.
const MAX_TYPE: usize = 2_000;

impl<'a> Walk<'a> {
    pub(super) fn perform(&mut self, task: &'a Task, frame: &Frame) -> Inner {
        let input = || Entry::Start(frame.input.clone());
        match &task.kind {
            Kind::Set(template) => self
                .template(template, &frame.input, &self.scope(task, frame))
                .map(Inner::Output)
                .into(),
            Kind::Switch(cases) => self.switch(task, frame, cases).into(),
            Kind::Raise(error) => self.raise(task, frame, error).into(),
            Kind::Do(body) => self.sequence(body, "do", None, input()).into(),
            Kind::For(each) => match self.items(task, frame, each) {
                Ok(items) => self.iterate(task, each, frame, items, 0, input()),
                Err(problem) => Inner::Failed(problem),
            },
            Kind::Fork(fork) => self.begin_fork(fork, frame),
            Kind::Try(attempt) => self.begin_try(task, attempt, frame),
            Kind::Wait(span) => match self.span(span, &frame.input, &self.scope(task, frame)) {
                Ok(0) => Inner::Output(frame.input.clone()),
                Ok(ms) => Inner::Pending(Activity::Timer(self.arm(ms))),
                Err(problem) => Inner::Failed(problem),
            },
            Kind::Emit(with) => self.emit(task, frame, with).into(),
            Kind::Call(call) => self.call(task, frame, call).into(),
            Kind::Run(child) => self.run_child(task, frame, child).into(),
            Kind::Listen(listen) => self.begin_listen(listen),
        }
    }

    pub(super) fn switch(&mut self, task: &'a Task, frame: &Frame, cases: &'a [Case]) -> Attempted<Inner> {
        let scope = self.scope(task, frame);
        for case in cases {
            if let Some(when) = &case.when
                && self.holds(when, &frame.input, &scope)?
            {
                return Ok(Inner::Flow(frame.input.clone(), case.then.clone()));
            }
        }
        Ok(match cases.iter().find(|case| case.when.is_none()) {
            Some(case) => Inner::Flow(frame.input.clone(), case.then.clone()),
            None => Inner::Output(frame.input.clone()),
        })
    }

    pub(super) fn raise(&mut self, task: &'a Task, frame: &Frame, error: &Value) -> Attempted<Inner> {
        let error = self.template(error, &frame.input, &self.scope(task, frame))?;
        let text = |key: &str| match error.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        let status = error.get("status").and_then(Value::as_i64);
        let status = status.filter(|status| (0..1_000).contains(status));
        let kind = text("type").filter(|kind| (1..=MAX_TYPE).contains(&kind.chars().count()));
        let (Some(kind), Some(status)) = (kind, status) else {
            let detail = format!(
                "The raised error needs a type of 1 to {MAX_TYPE} characters and a status below 1000; it came to {}.",
                shown(&error)
            );
            return self.fail(Standard::Expression, detail);
        };
        Err(Problem {
            kind,
            status,
            title: text("title"),
            detail: text("detail"),
            instance: text("instance").or_else(|| Some(self.pointer.clone())),
        })
    }

    pub(super) fn items(&mut self, task: &'a Task, frame: &Frame, each: &ForEach) -> Attempted<Vec<Value>> {
        match self.expression(&each.items, &frame.input, &self.scope(task, frame))? {
            Value::Array(items) => Ok(items),
            other => {
                let detail = format!(
                    "`for.in` must give a list; `{}` gave {}.",
                    each.items,
                    shown(&other)
                );
                self.fail(Standard::Expression, detail)
            }
        }
    }

    pub(super) fn iterate(
        &mut self,
        task: &'a Task,
        each: &'a ForEach,
        frame: &Frame,
        items: Vec<Value>,
        mut index: usize,
        mut entry: Entry<'_>,
    ) -> Inner {
        loop {
            if let Entry::Start(data) = &entry
                && index >= items.len()
            {
                return Inner::Output(data.clone());
            }
            let outer = self.variables.len();
            self.variables
                .push((each.each.clone(), items.get(index).cloned().unwrap_or_default()));
            self.variables.push((each.at.clone(), Value::from(index)));
            let goes_on = match (&entry, &each.condition) {
                (Entry::Start(data), Some(condition)) => {
                    self.holds(condition, data, &self.scope(task, frame))
                }
                _ => Ok(true),
            };
            let sequel = match (goes_on, entry) {
                (Err(problem), _) => Sequel::Failed(problem),
                (Ok(false), Entry::Start(data)) => {
                    self.variables.truncate(outer);
                    return Inner::Output(data);
                }
                (Ok(_), entry) => self.sequence(&each.body, "do", Some(index), entry),
            };
            self.variables.truncate(outer);
            match sequel {
                Sequel::Pending(list) => {
                    return Inner::Pending(Activity::Loop { items, index, list });
                }
                Sequel::Done(output) => {
                    index += 1;
                    entry = Entry::Start(output);
                }
                Sequel::Ended(output) => return Inner::Ended(output),
                Sequel::Failed(problem) => return Inner::Failed(problem),
            }
        }
    }
}

/// A value, short enough for an error's text.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
