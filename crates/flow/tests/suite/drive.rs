//! Takes a run step by step.

use chrono::{DateTime, Duration, Utc};
use guildhall_flow::dsl::Definition;
use guildhall_flow::engine::{
    Action, Command, Engine, Event, Fence, Input, Limits, Problem, Standard, State, Status,
};
use guildhall_flow::validate;
use serde_json::{Value, json};

/// A definition whose `do` and other properties are these.
pub fn definition(text: &str) -> Definition {
    let text = format!("document: {{dsl: 1.0.3, namespace: test, name: flow, version: 1.0.0}}\n{text}");
    validate::parse(&text).unwrap_or_else(|findings| panic!("{findings}\n{text}"))
}

pub struct Drive {
    pub definition: Definition,
    pub engine: Engine,
    pub state: State,
    /// All commands, oldest first.
    pub commands: Vec<Command>,
    pub lifecycle: Vec<Value>,
    pub now: DateTime<Utc>,
}

impl Drive {
    pub fn start(text: &str, input: Value) -> Self {
        Self::bounded(text, input, Limits::default())
    }

    pub fn bounded(text: &str, input: Value, limits: Limits) -> Self {
        let definition = definition(text);
        let engine = Engine {
            limits,
            ..Engine::default()
        };
        let run = crate::world::meta("run-1");
        let now = run.started_at;
        let step = engine.start(&definition, input, run);
        Self {
            definition,
            engine,
            state: step.state,
            commands: step.commands,
            lifecycle: step.lifecycle,
            now,
        }
    }

    pub fn apply(&mut self, input: Input) -> &mut Self {
        let event = Event { now: self.now, input };
        // What a snapshot loses would be missed here.
        let text = serde_json::to_string(&self.state).expect("JSON");
        let state: State = serde_json::from_str(&text).expect("a snapshot is read again");
        assert_eq!(state, self.state);
        let step = self.engine.apply(&self.definition, state, &event);
        self.state = step.state;
        self.commands.extend(step.commands);
        self.lifecycle.extend(step.lifecycle);
        self
    }

    pub fn after(&mut self, seconds: i64) -> &mut Self {
        self.now += Duration::seconds(seconds);
        self
    }

    /// The commands that nobody took back, whose step ends so.
    pub fn open(&self, step: &str) -> Vec<&Command> {
        let cancelled = |seq: u64| {
            self.commands.iter().any(|command| match command.action {
                Action::Cancel { target } | Action::Release { target, .. } => target == seq,
                _ => false,
            })
        };
        self.commands
            .iter()
            .filter(|command| command.step.ends_with(step) && !cancelled(command.seq))
            .collect()
    }

    /// The newest command of a step, of the kind that is answered.
    pub fn asked(&self, step: &str) -> &Command {
        let quiet =
            |command: &&&Command| !matches!(command.action, Action::Cancel { .. } | Action::Release { .. });
        let open = self.open(step);
        open.iter()
            .rfind(quiet)
            .unwrap_or_else(|| panic!("nothing is asked by {step}: {:?}", self.commands))
    }

    pub fn complete(&mut self, step: &str, output: Value) -> &mut Self {
        let (step, seq) = (self.asked(step).step.clone(), self.asked(step).seq);
        self.apply(Input::Completed { step, seq, output })
    }

    pub fn fail(&mut self, step: &str, status: i64) -> &mut Self {
        let (step, seq) = (self.asked(step).step.clone(), self.asked(step).seq);
        let error = Problem::standard(Standard::Communication, "no answer").with_status(status);
        self.apply(Input::Failed { step, seq, error })
    }

    /// The timers that are armed, with the seconds until then.
    pub fn timers(&self, step: &str) -> Vec<(u64, f64)> {
        let timers = self
            .open(step)
            .into_iter()
            .filter_map(|command| match command.action {
                Action::Timer { at } => {
                    Some((command.seq, (at - self.now).num_milliseconds() as f64 / 1000.0))
                }
                _ => None,
            });
        timers.collect()
    }

    /// Lets the newest timer of a step come.
    pub fn fire(&mut self, step: &str) -> &mut Self {
        let (seq, seconds) = *self
            .timers(step)
            .last()
            .unwrap_or_else(|| panic!("no timer at {step}"));
        self.now += Duration::milliseconds((seconds * 1000.0) as i64);
        let command = self
            .commands
            .iter()
            .find(|command| command.seq == seq)
            .expect("the timer");
        let step = command.step.clone();
        self.apply(Input::Fired { step, seq })
    }

    pub fn grant(&mut self, step: &str, token: i64) -> &mut Self {
        let command = self.asked(step).clone();
        let Action::Acquire { locks } = command.action else {
            panic!("{command:?}")
        };
        let fences = locks.into_iter().map(|lock| Fence { lock, token }).collect();
        self.apply(Input::Granted {
            step: command.step,
            seq: command.seq,
            fences,
        })
    }

    pub fn deliver(&mut self, kind: &str, data: Value) -> &mut Self {
        let id = format!("e{}", self.lifecycle.len());
        let cloud_event =
            json!({"specversion": "1.0", "id": id, "source": "/test", "type": kind, "data": data});
        self.apply(Input::Delivered { cloud_event })
    }

    pub fn output(&self) -> &Value {
        assert_eq!(self.state.status, Status::Completed, "{:?}", self.state.error);
        self.state.output.as_ref().expect("an output")
    }

    pub fn error(&self) -> Value {
        assert_eq!(self.state.status, Status::Faulted, "{:?}", self.state.output);
        self.state.error.as_ref().expect("an error").to_value()
    }

    /// What is neither answered nor taken back, once the run has ended: must be nothing.
    pub fn settled(&self, answered: &[u64]) -> bool {
        self.open("").iter().all(|command| {
            answered.contains(&command.seq)
                || matches!(
                    command.action,
                    Action::Cancel { .. }
                        | Action::Release { .. }
                        | Action::Complete { .. }
                        | Action::Fault { .. }
                        | Action::Cancelled
                        | Action::Emit { .. }
                        | Action::Notify { .. }
                        | Action::Continue
                        | Action::StartChild { wait: false, .. }
                )
        })
    }
}
