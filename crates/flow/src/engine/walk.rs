//! One walk over the tree of a run: what is known at a place, and what comes of it.

use super::command::{Action, Command, Fence, Input};
use super::problem::{Problem, Standard};
use super::scope::Scope;
use super::sequence::{Entry, Sequel};
use super::state::{MAX_DATA_DEPTH, State, Status};
use super::{Engine, Step};
use crate::dsl::{Data, Definition, Span, parse_duration, pointer};
use crate::expression::{evaluate, evaluate_template, strip};
use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

/// An error on the way to an outcome.
pub(super) type Attempted<T> = Result<T, Problem>;

pub(super) struct Walk<'a> {
    pub(super) engine: &'a Engine,
    pub(super) definition: &'a Definition,
    pub(super) state: State,
    pub(super) now: DateTime<Utc>,
    /// Tasks that may still begin.
    pub(super) budget: u32,
    /// Whether a task was put off for want of budget.
    pub(super) put_off: bool,
    /// The place, as a step.
    pub(super) step: String,
    /// The place, as a pointer.
    pub(super) pointer: String,
    /// The variables of loops and catches, outermost first.
    pub(super) variables: Vec<(String, Value)>,
    /// Where those begin that the place sees: a function does not see its caller's.
    pub(super) visible: usize,
    /// The locks held around the place.
    pub(super) fences: Vec<Fence>,
    /// The attempt of the innermost `try`.
    pub(super) attempt: u32,
    pub(super) commands: Vec<Command>,
    pub(super) lifecycle: Vec<Value>,
}

/// What to return to after a segment.
pub(super) struct Mark {
    step: usize,
    pointer: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        definition: &'a Definition,
        state: State,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            engine,
            definition,
            state,
            now,
            budget: engine.limits.tasks_per_apply,
            put_off: false,
            step: String::new(),
            pointer: String::new(),
            variables: Vec::new(),
            visible: 0,
            fences: Vec::new(),
            attempt: 1,
            commands: Vec::new(),
            lifecycle: Vec::new(),
        }
    }

    pub(super) fn into_step(self) -> Step {
        Step {
            state: self.state,
            commands: self.commands,
            lifecycle: self.lifecycle,
        }
    }

    /// Goes into a list: its key, and what tells its repetitions apart.
    pub(super) fn enter(&mut self, key: &str, index: Option<usize>) -> Mark {
        let mark = Mark {
            step: self.step.len(),
            pointer: self.pointer.len(),
        };
        self.step.push('/');
        self.step.push_str(key);
        if let Some(index) = index {
            self.step.push_str(&format!("[{index}]"));
        }
        self.pointer.push('/');
        self.pointer.push_str(key);
        mark
    }

    /// Goes to a task of the list.
    pub(super) fn enter_task(&mut self, round: u32, at: usize, name: &str) -> Mark {
        let mark = Mark {
            step: self.step.len(),
            pointer: self.pointer.len(),
        };
        let name = pointer::escape(name);
        if round > 0 {
            self.step.push_str(&format!("({round})"));
        }
        self.step.push_str(&format!("/{at}/{name}"));
        self.pointer.push_str(&format!("/{at}/{name}"));
        mark
    }

    pub(super) fn leave(&mut self, mark: Mark) {
        self.step.truncate(mark.step);
        self.pointer.truncate(mark.pointer);
    }

    /// Gives a command and tells its number.
    pub(super) fn command(&mut self, action: Action) -> u64 {
        self.state.numbered += 1;
        let seq = self.state.numbered;
        self.commands.push(Command {
            step: self.step.clone(),
            seq,
            attempt: self.attempt,
            key: format!("{}{}", self.state.run.id, self.step),
            fences: self.fences.clone(),
            action,
        });
        seq
    }

    pub(super) fn cancel_command(&mut self, target: u64) {
        self.command(Action::Cancel { target });
    }

    pub(super) fn arm(&mut self, ms: i64) -> u64 {
        // Spans are at most ten years, so this stays within what a time can hold for any clock that is near right.
        let at = self
            .now
            .checked_add_signed(Duration::milliseconds(ms))
            .unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.command(Action::Timer { at })
    }

    pub(super) fn fail<T>(&self, standard: Standard, detail: impl Into<String>) -> Attempted<T> {
        Err(Problem::standard(standard, detail).at(&self.pointer))
    }

    pub(super) fn located<T, E: Into<Problem>>(&self, outcome: Result<T, E>) -> Attempted<T> {
        outcome.map_err(|error| error.into().at(&self.pointer))
    }

    /// The value of an expression.
    pub(super) fn expression(&self, text: &str, input: &Value, scope: &Scope<'_>) -> Attempted<Value> {
        self.located(evaluate(text, input, scope))
            .and_then(|value| self.shallow(value))
    }

    /// Whether an expression holds: its value is neither null nor false.
    pub(super) fn holds(&self, text: &str, input: &Value, scope: &Scope<'_>) -> Attempted<bool> {
        Ok(!matches!(
            self.expression(text, input, scope)?,
            Value::Null | Value::Bool(false)
        ))
    }

    /// The value of a template.
    pub(super) fn template(&self, template: &Value, input: &Value, scope: &Scope<'_>) -> Attempted<Value> {
        let value = evaluate_template(template, input, scope, self.definition.mode);
        self.located(value).and_then(|value| self.shallow(value))
    }

    /// `from` or `as`: a text is an expression even without `${ }`.
    pub(super) fn transform(&self, data: &Data, input: Value, scope: &Scope<'_>) -> Attempted<Value> {
        match &data.transform {
            None => Ok(input),
            Some(Value::String(text)) => self.expression(strip(text), &input, scope),
            Some(template) => self.template(template, &input, scope),
        }
    }

    pub(super) fn fits(&self, data: &Data, value: &Value, what: &str) -> Attempted<()> {
        match &data.schema {
            None => Ok(()),
            Some(schema) => match crate::schema::check_value(schema, value) {
                Ok(()) => Ok(()),
                Err(reason) => self.fail(
                    Standard::Validation,
                    format!("The {what} does not fit its schema: {reason}"),
                ),
            },
        }
    }

    /// Data that came from outside or was made: not nested too deeply for a snapshot.
    pub(super) fn shallow(&self, value: Value) -> Attempted<Value> {
        match deeper_than(&value, MAX_DATA_DEPTH) {
            true => self.fail(
                Standard::Validation,
                format!("Data is nested more than {MAX_DATA_DEPTH} deep."),
            ),
            false => Ok(value),
        }
    }

    pub(super) fn span(&self, span: &Span, input: &Value, scope: &Scope<'_>) -> Attempted<i64> {
        match span {
            Span::Fixed(ms) => Ok(*ms),
            Span::Evaluated(text) => {
                let value = self.template(&Value::String(text.clone()), input, scope)?;
                match parse_duration(&value) {
                    Ok(ms) => Ok(ms),
                    Err(reason) => self.fail(Standard::Expression, reason),
                }
            }
        }
    }

    pub(super) fn begin_run(&mut self) {
        self.tell_started();
        match self.prepare_run() {
            Ok(input) => self.advance(Entry::Start(input)),
            Err(problem) => self.fault(problem),
        }
    }

    fn prepare_run(&mut self) -> Attempted<Value> {
        self.pointer.push('/');
        let input = self.shallow(self.state.input.clone())?;
        self.fits(&self.definition.input, &input, "input")?;
        let scope = Scope::of_run(self);
        let input = self.transform(&self.definition.input, input, &scope)?;
        if let Some(span) = &self.definition.timeout {
            let scope = Scope::of_run(self);
            let ms = self.span(span, &input, &scope)?;
            self.state.timeout = Some(self.arm(ms));
        }
        self.pointer.clear();
        Ok(input)
    }

    /// Takes what happened to whoever waits for it.
    pub(super) fn take(&mut self, input: &Input) {
        match input {
            Input::Pause if self.state.status == Status::Running => {
                self.state.status = Status::Suspended;
                self.tell_run("suspended", "suspendedAt");
            }
            Input::Resume if self.state.status == Status::Suspended => {
                self.state.status = Status::Running;
                self.tell_run("resumed", "resumedAt");
                self.wake(&Input::Continue);
            }
            Input::Pause | Input::Resume => {}
            Input::Cancel => {
                self.cancel_root();
                self.state.status = Status::Cancelled;
                self.tell_run("cancelled", "cancelledAt");
                self.command(Action::Cancelled);
            }
            Input::Fired { seq, .. } if self.state.timeout == Some(*seq) => {
                self.state.timeout = None;
                self.cancel_root();
                let problem = Problem::standard(
                    Standard::Timeout,
                    "The workflow took longer than its timeout allows.",
                );
                self.fault(problem.at("/"));
            }
            other => self.wake(other),
        }
    }

    fn wake(&mut self, input: &Input) {
        if let Some(list) = self.state.root.take() {
            self.advance(Entry::Wake(list, input));
        }
    }

    fn advance(&mut self, entry: Entry<'_>) {
        let definition = self.definition;
        match self.sequence(&definition.tasks, "do", None, entry) {
            Sequel::Pending(list) => {
                self.state.root = Some(list);
                if self.put_off && self.state.status == Status::Running {
                    self.command(Action::Continue);
                }
            }
            Sequel::Done(output) | Sequel::Ended(output) => self.complete(output),
            Sequel::Failed(problem) => self.fault(problem),
        }
    }

    fn complete(&mut self, output: Value) {
        self.pointer.push('/');
        let scope = Scope::of_run(self);
        let outcome = self
            .transform(&self.definition.output, output, &scope)
            .and_then(|output| {
                self.fits(&self.definition.output, &output, "output")
                    .map(|()| output)
            });
        self.pointer.clear();
        match outcome {
            Ok(output) => {
                self.stop_timeout();
                self.state.status = Status::Completed;
                self.state.output = Some(output.clone());
                self.tell_completed(&output);
                self.command(Action::Complete { output });
            }
            Err(problem) => self.fault(problem),
        }
    }

    fn fault(&mut self, problem: Problem) {
        self.pointer.clear();
        self.stop_timeout();
        self.state.status = Status::Faulted;
        self.state.error = Some(problem.clone());
        self.tell_faulted(&problem);
        self.command(Action::Fault { error: problem });
    }

    fn stop_timeout(&mut self) {
        if let Some(target) = self.state.timeout.take() {
            self.cancel_command(target);
        }
    }

    fn cancel_root(&mut self) {
        let definition = self.definition;
        if let Some(list) = self.state.root.take() {
            self.cancel_sequence(&definition.tasks, "do", None, *list);
        }
        self.stop_timeout();
    }
}

pub(super) fn deeper_than(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth == 0 || items.iter().any(|item| deeper_than(item, depth - 1)),
        Value::Object(map) => depth == 0 || map.values().any(|item| deeper_than(item, depth - 1)),
        _ => false,
    }
}
