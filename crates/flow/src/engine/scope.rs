//! The variables of expressions (dsl.md, "Runtime expression arguments").

use super::iso;
use super::walk::Walk;
use crate::dsl::Task;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::borrow::Cow;

/// The variables at a place. Descriptors are made when an expression asks for them.
pub(super) struct Scope<'w> {
    pub(super) variables: &'w [(String, Value)],
    pub(super) more: Vec<(&'w str, Value)>,
    pub(super) context: &'w Value,
    pub(super) run: Run<'w>,
    pub(super) task: Option<TaskPart<'w>>,
    pub(super) input: Option<&'w Value>,
    pub(super) output: Option<&'w Value>,
}

#[derive(Clone, Copy)]
pub(super) struct Run<'w> {
    id: &'w str,
    definition: &'w Value,
    input: &'w Value,
    started_at: DateTime<Utc>,
    runtime: &'w Value,
}

#[derive(Clone, Copy)]
pub(super) struct TaskPart<'w> {
    pub(super) task: &'w Task,
    pub(super) reference: &'w str,
    pub(super) raw: &'w Value,
    pub(super) raw_output: Option<&'w Value>,
    pub(super) started_at: DateTime<Utc>,
}

impl<'w> Scope<'w> {
    /// What the whole run sees.
    pub(super) fn of_run(walk: &'w Walk<'_>) -> Self {
        let state = &walk.state;
        Self {
            variables: &walk.variables[walk.visible..],
            more: Vec::new(),
            context: &state.context,
            run: Run {
                id: &state.run.id,
                definition: &walk.definition.source,
                input: &state.input,
                started_at: state.run.started_at,
                runtime: &state.run.runtime,
            },
            task: None,
            input: None,
            output: None,
        }
    }

    /// What a task sees.
    pub(super) fn of_task(
        walk: &'w Walk<'_>,
        task: &'w Task,
        raw: &'w Value,
        started_at: DateTime<Utc>,
    ) -> Self {
        Self {
            task: Some(TaskPart {
                task,
                reference: &walk.pointer,
                raw,
                raw_output: None,
                started_at,
            }),
            ..Self::of_run(walk)
        }
    }

    pub(super) fn with_input(self, input: &'w Value) -> Self {
        Self {
            input: Some(input),
            ..self
        }
    }

    pub(super) fn with_raw_output(mut self, output: &'w Value) -> Self {
        if let Some(task) = &mut self.task {
            task.raw_output = Some(output);
        }
        self
    }

    pub(super) fn with_output(self, output: &'w Value) -> Self {
        Self {
            output: Some(output),
            ..self
        }
    }

    pub(super) fn with(mut self, name: &'w str, value: Value) -> Self {
        self.more.push((name, value));
        self
    }
}

fn time(time: DateTime<Utc>) -> Value {
    json!({
        "iso8601": iso(time),
        "epoch": { "seconds": time.timestamp(), "milliseconds": time.timestamp_millis() },
    })
}

impl crate::expression::Scope for Scope<'_> {
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>> {
        if let Some((_, value)) = self.more.iter().rev().find(|(known, _)| *known == name) {
            return Some(Cow::Borrowed(value));
        }
        if let Some((_, value)) = self.variables.iter().rev().find(|(known, _)| known == name) {
            return Some(Cow::Borrowed(value));
        }
        match name {
            "context" => Some(Cow::Borrowed(self.context)),
            "input" => self.input.map(Cow::Borrowed),
            "output" => self.output.map(Cow::Borrowed),
            "runtime" => Some(Cow::Borrowed(self.run.runtime)),
            "workflow" => Some(Cow::Owned(json!({
                "id": self.run.id,
                "definition": self.run.definition,
                "input": self.run.input,
                "startedAt": time(self.run.started_at),
            }))),
            "task" => self.task.as_ref().map(|part| {
                let mut descriptor = json!({
                    "name": part.task.name,
                    "reference": part.reference,
                    "definition": part.task.source,
                    "input": part.raw,
                    "startedAt": time(part.started_at),
                });
                if let Some(output) = part.raw_output {
                    descriptor["output"] = output.clone();
                }
                Cow::Owned(descriptor)
            }),
            _ => None,
        }
    }
}
