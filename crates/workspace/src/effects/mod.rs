//! Effects have one outcome. A record per idempotency key says what was asked, that it was begun, and how it ended.
//!
//! A call takes the key's lock (threads and processes alike), so the same key never runs twice at once. An ended
//! effect is answered from its record; one that was begun but has no end died half-way, and is run again by code
//! that first looks whether it had already happened.

mod fences;
mod log;

pub use fences::{Fence, Fences};
pub use log::EffectLog;

use crate::durable::{self, FileLock};
use crate::error::{ToolError, ToolResult};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The longest idempotency key, in bytes.
pub const KEY_MAX: usize = 256;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    key: String,
    tool: String,
    /// SHA-256 over tool and arguments, without key and fencing token: a later attempt has a newer token.
    fingerprint: String,
    attempts: u32,
    first_started_ms: i64,
    /// What recorded steps gave, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    steps: BTreeMap<String, Value>,
    finished_ms: Option<i64>,
    /// The stored answer; present once the effect has ended.
    result: Option<Value>,
}

/// One attempt at an effect, for the code that carries it out.
pub struct Attempt<'a> {
    /// The caller's idempotency key.
    pub key: &'a str,
    /// The tool that was called.
    pub tool: &'a str,
    /// 1 for the first attempt; more when earlier ones ended without an outcome.
    pub number: u32,
    /// When the first attempt began: the same for all of them, so that commits come out identical.
    pub first_started_ms: i64,
    log: &'a EffectLog,
    record: RefCell<Record>,
    path: &'a Path,
}

impl Attempt<'_> {
    /// Writes down that `step` began, runs it, and writes down how it ended.
    pub fn step<T>(
        &self,
        step: &str,
        run: impl FnOnce() -> ToolResult<T>,
        outcome: impl FnOnce(&T) -> String,
    ) -> ToolResult<T> {
        self.log.write(self, step, "started", None)?;
        let result = run();
        let ended = match &result {
            Ok(value) => outcome(value),
            Err(error) => format!("error:{}", error.code),
        };
        self.log.write(self, step, "finished", Some(&ended))?;
        result
    }

    /// The same for a step that must not run again once it has ended, such as a command: when `keep` says so of what it
    /// gave, that is on disk before the log says that it finished, and [`Attempt::recorded`] has it for later attempts.
    pub fn recorded_step<T: Serialize>(
        &self,
        step: &str,
        run: impl FnOnce() -> ToolResult<T>,
        outcome: impl FnOnce(&T) -> String,
        keep: impl FnOnce(&T) -> bool,
    ) -> ToolResult<T> {
        let run_and_keep = || {
            let value = run()?;
            if keep(&value) {
                let encoded = serde_json::to_value(&value)
                    .map_err(|error| ToolError::internal("cannot encode what a step gave", error))?;
                let mut record = self.record.borrow_mut();
                record.steps.insert(step.to_owned(), encoded);
                save(self.path, &record)?;
            }
            Ok(value)
        };
        self.step(step, run_and_keep, outcome)
    }

    /// What a recorded step gave in an earlier attempt.
    pub fn recorded<T: DeserializeOwned>(&self, step: &str) -> ToolResult<Option<T>> {
        let record = self.record.borrow();
        let value = record.steps.get(step).cloned();
        value
            .map(serde_json::from_value)
            .transpose()
            .map_err(|error| ToolError::internal(&format!("cannot read what the step {step} gave"), error))
    }

    /// Writes down that a step was found already done by an earlier attempt.
    pub fn found_done(&self, step: &str) -> ToolResult<()> {
        self.log.write(self, step, "found_done", None)
    }
}

/// How an attempt ended.
pub enum Ended<T> {
    /// For good: the same key gets this answer from now on.
    Durably(T),
    /// Without an effect (a program that is not installed): the same key may try again.
    Openly(T),
}

/// All effects of one state directory.
pub struct Effects {
    directory: PathBuf,
    log: EffectLog,
}

impl Effects {
    /// Opens or makes the store under `state_dir`.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        Ok(Self {
            directory: durable::private_directory(state_dir.join("effects"))?,
            log: EffectLog::new(state_dir.join("effects.log")),
        })
    }

    /// Runs `effect` unless the key's outcome is known already. The answer is the effect's own plus
    /// `replayed: bool`. An error leaves the key open: whoever asks again with it runs again.
    pub fn run<T: Serialize>(
        &self,
        key: &str,
        tool: &str,
        arguments: &Value,
        effect: impl FnOnce(&Attempt<'_>) -> ToolResult<Ended<T>>,
    ) -> ToolResult<Value> {
        check_key(key)?;
        let name = durable::name_of(key);
        let path = self.directory.join(format!("{name}.json"));
        let _lock = FileLock::acquire(&self.directory.join(format!("{name}.lock")))?;
        let fingerprint = fingerprint(tool, arguments);
        let earlier: Option<Record> = durable::read_json(&path)?;
        if let Some(record) = &earlier {
            if record.fingerprint != fingerprint {
                return Err(conflict(key, &record.tool));
            }
            if let Some(result) = &record.result {
                return Ok(marked(result.clone(), true));
            }
        }
        let mut record = earlier.unwrap_or_else(|| Record {
            key: key.to_owned(),
            tool: tool.to_owned(),
            fingerprint,
            attempts: 0,
            first_started_ms: durable::now_ms(),
            steps: BTreeMap::new(),
            finished_ms: None,
            result: None,
        });
        record.attempts += 1;
        save(&path, &record)?;
        let attempt = Attempt {
            key,
            tool,
            number: record.attempts,
            first_started_ms: record.first_started_ms,
            log: &self.log,
            record: RefCell::new(record),
            path: &path,
        };
        let (result, ended) = match effect(&attempt)? {
            Ended::Durably(result) => (result, true),
            Ended::Openly(result) => (result, false),
        };
        let result = serde_json::to_value(result)
            .map_err(|error| ToolError::internal("cannot encode the result", error))?;
        if ended {
            let mut record = attempt.record.into_inner();
            record.finished_ms = Some(durable::now_ms());
            record.result = Some(result.clone());
            save(&path, &record)?;
        }
        Ok(marked(result, false))
    }
}

fn save(path: &Path, record: &Record) -> ToolResult<()> {
    durable::write_json(path, record).map_err(|error| {
        ToolError::internal(
            &format!("cannot write the effect record {}", path.display()),
            error,
        )
    })
}

fn marked(mut result: Value, replayed: bool) -> Value {
    if let Value::Object(fields) = &mut result {
        fields.insert("replayed".into(), json!(replayed));
    }
    result
}

fn fingerprint(tool: &str, arguments: &Value) -> String {
    let mut arguments = arguments.clone();
    if let Value::Object(fields) = &mut arguments {
        fields.remove("idempotency_key");
        fields.remove("fencing_token");
        fields.retain(|_, value| !value.is_null());
    }
    durable::name_of(&format!("{tool}\n{}", canonical(&arguments)))
}

/// One spelling for equal values: whether serde_json sorts object keys depends on a feature that any crate may set.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let sorted: std::collections::BTreeMap<_, _> = fields.iter().collect();
            let fields: Vec<_> = sorted
                .into_iter()
                .map(|(name, value)| format!("{}:{}", json!(name), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

fn check_key(key: &str) -> ToolResult<()> {
    if key.is_empty() || key.len() > KEY_MAX || key.chars().any(|c| c.is_control()) {
        return Err(ToolError::invalid(
            format!("an idempotency key has 1 to {KEY_MAX} bytes and no control characters"),
            "Derive it from run and step, so that every attempt of the same step carries the same key.",
        ));
    }
    Ok(())
}

fn conflict(key: &str, tool: &str) -> ToolError {
    ToolError::new(
        "idempotency_conflict",
        format!("the idempotency key {key:?} was used before, for {tool} with other arguments"),
        "Use a new key for a new effect, or repeat the first call's arguments exactly.",
    )
}

#[cfg(test)]
mod tests;
