//! What to do next, decided from the journal alone.

use crate::definition::{AgentCall, Call, Definition};
use guildhall_domain::run::{EntryKind, JournalEntry};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What `run_advance` is to do. Serialised as it takes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Make a request for the step.
    Request {
        /// The step.
        step: String,
        /// The wanted skill.
        skill: String,
        /// A particular agent.
        agent: Option<String>,
        /// The skill's input.
        input: Value,
        /// Seconds until it times out.
        timeout_s: u32,
        /// How often it is tried.
        max_attempts: u16,
    },
    /// Ask a person.
    Approval {
        /// The step.
        step: String,
        /// Exactly what would be done.
        action: Value,
        /// The risk assessment.
        risk: Value,
        /// Seconds until it lapses.
        expires_s: u32,
    },
    /// The run has ended well.
    Complete {
        /// Results by step name.
        output: Value,
    },
    /// The run has ended with an error.
    Fault {
        /// `{code, title, detail, step}`.
        error: Value,
    },
}

/// How far a step got, by the journal.
enum Progress<'a> {
    NotStarted,
    Underway,
    Completed(&'a Value),
    Failed(&'a Value),
}

/// The commands that take the run further; none while it waits or when it has ended.
pub fn next(definition: &Definition, journal: &[JournalEntry]) -> Vec<Command> {
    if journal.iter().any(|entry| is_end(&entry.kind)) {
        return Vec::new();
    }
    let mut results = Map::new();
    for (index, step) in definition.steps.iter().enumerate() {
        let pointer = definition.pointer(index);
        match progress(&pointer, journal) {
            Progress::Completed(result) => {
                if let Some(fault) = unmet_requirement(&step.call, &pointer, result) {
                    return vec![fault];
                }
                results.insert(step.name.clone(), result.clone());
            }
            Progress::Underway => return Vec::new(),
            Progress::Failed(error) => {
                return vec![Command::Fault {
                    error: step_error(&pointer, error),
                }];
            }
            Progress::NotStarted => return vec![start(&step.call, pointer, &Value::Object(results))],
        }
    }
    vec![Command::Complete {
        output: Value::Object(results),
    }]
}

fn is_end(kind: &EntryKind) -> bool {
    matches!(
        kind,
        EntryKind::RunCompleted { .. } | EntryKind::RunFaulted { .. } | EntryKind::RunCancelled { .. }
    )
}

fn progress<'a>(pointer: &str, journal: &'a [JournalEntry]) -> Progress<'a> {
    let mut progress = Progress::NotStarted;
    for entry in journal {
        match &entry.kind {
            EntryKind::StepCompleted { step, result } if step == pointer => {
                return Progress::Completed(result);
            }
            EntryKind::StepFailed { step, error } if step == pointer => return Progress::Failed(error),
            EntryKind::StepStarted { step, .. } | EntryKind::ApprovalRequested { step, .. }
                if step == pointer =>
            {
                progress = Progress::Underway;
            }
            _ => {}
        }
    }
    progress
}

fn start(call: &Call, step: String, results: &Value) -> Command {
    match call {
        Call::Agent(call) => Command::Request {
            step,
            skill: call.skill.clone(),
            agent: call.agent.clone(),
            input: full_input(call, results),
            timeout_s: call.timeout_s,
            max_attempts: call.max_attempts,
        },
        Call::Approval(call) => Command::Approval {
            step,
            action: call.action.clone(),
            risk: call.risk.clone(),
            expires_s: call.expires_s,
        },
    }
}

fn full_input(call: &AgentCall, results: &Value) -> Value {
    let mut input = call.input.as_object().cloned().unwrap_or_default();
    for (key, pointer) in &call.input_from {
        if let Some(value) = results.pointer(pointer) {
            input.insert(key.clone(), value.clone());
        }
    }
    Value::Object(input)
}

fn unmet_requirement(call: &Call, pointer: &str, result: &Value) -> Option<Command> {
    let Call::Agent(call) = call else { return None };
    let unmet = call.require.iter().find(|requirement| {
        let value = result.pointer(&requirement.pointer).unwrap_or(&Value::Null);
        !requirement.one_of.contains(value)
    })?;
    let summary = result.get("summary").and_then(Value::as_str);
    let detail = match summary {
        Some(summary) => format!("{}: {summary}", unmet.reason),
        None => unmet.reason.clone(),
    };
    Some(Command::Fault {
        error: json!({ "code": unmet.code, "title": title(&unmet.code), "detail": detail, "step": pointer }),
    })
}

fn step_error(pointer: &str, error: &Value) -> Value {
    let code = error.get("code").and_then(Value::as_str).unwrap_or("internal");
    let mut fault = json!({
        "code": code,
        "title": title(code),
        "detail": error.get("detail").and_then(Value::as_str).unwrap_or("the step failed without saying why"),
        "step": pointer,
    });
    if let Some(hint) = error.get("hint").filter(|hint| hint.is_string()) {
        fault["hint"] = hint.clone();
    }
    fault
}

fn title(code: &str) -> &'static str {
    guildhall_domain::Code::parse(code).map_or("A step failed", |code| code.title())
}

#[cfg(test)]
#[path = "interpreter_tests.rs"]
mod tests;
