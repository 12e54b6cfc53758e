//! One turn of a run: what happened since its snapshot, folded into a new one and the commands that come of it.

use guildhall_flow::{
    dsl::Definition,
    engine::{Action, Command, Detail, Engine, Event, Problem, RunMeta, Standard, State, Step},
};
use guildhall_guest::store::run::ClaimedRun;
use serde_json::{Value, json};
use std::{cell::RefCell, collections::VecDeque, rc::Rc};

/// How many definitions an instance keeps. Runs come in waves of few definitions; an instance serves few requests.
const KEPT: usize = 64;

thread_local! {
    static DEFINITIONS: RefCell<VecDeque<(String, Rc<Definition>)>> = const { RefCell::new(VecDeque::new()) };
}

/// The definitions that this instance has read, so that a claim need not bring them again. Held from before the claim until
/// after it, because another claim's definition may take a place meanwhile.
pub(crate) struct Known(Vec<(String, Rc<Definition>)>);

impl Known {
    /// Those of now.
    pub(crate) fn now() -> Known {
        Known(DEFINITIONS.with_borrow(|kept| kept.iter().cloned().collect()))
    }

    /// Their digests.
    pub(crate) fn digests(&self) -> Vec<String> {
        self.0.iter().map(|(digest, _)| digest.clone()).collect()
    }

    /// The definition of this digest: known, or read now. It was checked when it was uploaded, so that reading is all there
    /// is to do.
    fn definition(&self, digest: &str, document: Option<Value>) -> Result<Rc<Definition>, String> {
        let known = self.0.iter().find(|(known, _)| known == digest);
        let definition = match (known, document) {
            (Some((_, definition)), _) => definition.clone(),
            (None, Some(document)) => {
                let read = Definition::from_value(document)
                    .map_err(|error| format!("The run's definition cannot be read: {error}."))?;
                Rc::new(read)
            }
            (None, None) => return Err("The run has no definition.".into()),
        };
        DEFINITIONS.with_borrow_mut(|kept| {
            kept.retain(|(kept, _)| kept != digest);
            if kept.len() >= KEPT {
                kept.pop_front();
            }
            kept.push_back((digest.to_owned(), definition.clone()));
        });
        Ok(definition)
    }
}

/// What `run_advance` is to record.
pub(crate) struct Turn {
    /// The snapshot; none for a run that cannot go on.
    pub(crate) state: Option<Value>,
    /// The commands, in order.
    pub(crate) commands: Value,
    /// The lifecycle events.
    pub(crate) lifecycle: Value,
}

/// Takes a claimed run as far as it goes. What cannot be read ends it, for it would never become readable.
pub(crate) fn take(run: ClaimedRun, known: &Known) -> Result<Turn, serde_json::Error> {
    let run_id = run.run_id.to_string();
    match fold(run, known) {
        Ok(step) => Ok(Turn {
            state: Some(serde_json::to_value(&step.state)?),
            commands: serde_json::to_value(&step.commands)?,
            lifecycle: Value::Array(step.lifecycle),
        }),
        Err(detail) => {
            let fault = Command {
                step: String::new(),
                seq: 0,
                attempt: 1,
                key: run_id,
                fences: Vec::new(),
                action: Action::Fault {
                    error: Problem::standard(Standard::Configuration, detail),
                },
            };
            Ok(Turn {
                state: None,
                commands: json!([fault]),
                lifecycle: json!([]),
            })
        }
    }
}

fn fold(run: ClaimedRun, known: &Known) -> Result<Step, String> {
    let engine = Engine {
        detail: Detail::Tasks,
        ..Engine::default()
    };
    let definition = known.definition(&run.digest, run.definition)?;
    let mut step = match run.state {
        Some(state) => Step {
            state: serde_json::from_value::<State>(state)
                .map_err(|error| format!("The run's snapshot cannot be read: {error}."))?,
            commands: Vec::new(),
            lifecycle: Vec::new(),
        },
        None => {
            let meta = RunMeta {
                id: run.run_id.to_string(),
                started_at: run.started_at,
                runtime: json!({"name": "guildhall", "version": env!("CARGO_PKG_VERSION"), "metadata": {}}),
            };
            engine.start(&definition, run.input, meta)
        }
    };
    for event in run.events {
        let event: Event = serde_json::from_value(event)
            .map_err(|error| format!("An entry of the run's journal cannot be read: {error}."))?;
        let next = engine.apply(&definition, step.state, &event);
        step.state = next.state;
        step.commands.extend(next.commands);
        step.lifecycle.extend(next.lifecycle);
    }
    Ok(step)
}
