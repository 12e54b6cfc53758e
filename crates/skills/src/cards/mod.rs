//! The skills of each agent as its card shows them: what for, with which input, for example.

mod cicd;
mod code_review;
mod documentation;
mod feature_dev;
mod infrastructure;
mod orchestrator;
#[cfg(test)]
mod tests;

pub use cicd::cicd;
pub use code_review::code_review;
pub use documentation::documentation;
pub use feature_dev::feature_dev;
pub use infrastructure::infrastructure;
pub use orchestrator::orchestrator;

use crate::inputs::{PATH_MAX, SOURCE_MAX};
use guildhall_domain::agent::Skill;
use serde_json::{Map, Value, json};

/// A skill whose input is an object with these properties. Those named in `required` must be there; others than
/// the ones named are refused.
fn skill(
    id: &str,
    name: &str,
    description: &str,
    tags: &[&str],
    examples: &[&str],
    input: Value,
    required: &[&str],
) -> Skill {
    let json_mode = || vec!["application/json".to_owned()];
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Skill {
        id: id.into(),
        name: name.into(),
        description: description.into(),
        tags: strings(tags),
        examples: strings(examples),
        input_modes: json_mode(),
        output_modes: json_mode(),
        output_schema: None,
        cost_hint: None,
        input_schema: json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": input,
            "required": required,
            "additionalProperties": false,
        }),
    }
}

fn properties(parts: &[(&str, Value)]) -> Value {
    Value::Object(
        parts
            .iter()
            .map(|(key, schema)| ((*key).to_owned(), schema.clone()))
            .collect::<Map<_, _>>(),
    )
}

fn text(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "description": description})
}

fn optional(description: &str) -> Value {
    json!({"type": ["string", "null"], "minLength": 1, "description": description})
}

fn revision(description: &str) -> Value {
    json!({"type": "string", "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$", "description": description})
}

fn optional_revision(description: &str) -> Value {
    json!({"type": ["string", "null"], "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$", "description": description})
}

fn environment() -> Value {
    json!({
        "type": "string",
        "pattern": "^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$",
        "description": "The environment's name in guildhall.toml.",
    })
}

fn approval() -> Value {
    json!({
        "type": ["string", "null"],
        "format": "uuid",
        "description": "The approval of exactly this action; needed where the action is high risk.",
    })
}

fn object(description: &str) -> Value {
    json!({"type": ["object", "null"], "description": description})
}

/// Text of at most `most` characters.
fn bounded(description: &str, most: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": most, "description": description})
}

fn optional_bounded(description: &str, most: usize) -> Value {
    json!({"type": ["string", "null"], "minLength": 1, "maxLength": most, "description": description})
}

fn path(description: &str) -> Value {
    bounded(description, PATH_MAX)
}

fn optional_path(description: &str) -> Value {
    optional_bounded(description, PATH_MAX)
}

fn source(description: &str) -> Value {
    bounded(description, SOURCE_MAX)
}

fn optional_source(description: &str) -> Value {
    optional_bounded(description, SOURCE_MAX)
}

fn language() -> Value {
    json!({
        "type": ["string", "null"], "enum": languages(),
        "description": "The language; told from names and words otherwise.",
    })
}

/// Every name of a language and null, the shortest names left to who parses them.
fn languages() -> Vec<Value> {
    let names = crate::code::Language::NAMES.iter().map(|name| json!(name));
    names.chain([Value::Null]).collect()
}

/// Where a change begins, for skills that commit one.
fn base() -> Value {
    optional("The branch or commit that a new branch begins at; the repository's base otherwise.")
}

fn own_branch() -> Value {
    optional("The branch to commit to; one named after the request otherwise.")
}

/// `get_status`, which every agent has: its own queue, from the database.
fn get_status() -> Skill {
    skill(
        "get_status",
        "Tell the agent's own queue",
        "Says how many requests wait for this agent, are at work and ended in the last hour, how old the oldest is, and the \
         last errors. From the database, of this agent only.",
        &["status", "queue"],
        &[],
        json!({}),
        &[],
    )
}

/// `explain_code`, which code-review and documentation have.
fn explain_code() -> Skill {
    skill(
        "explain_code",
        "Explain code",
        "Tells the structure of code or of a file of the repository by rules: lines, functions with complexity, types, \
         imports, marks of unfinished work. With a language model it adds an explanation in words.",
        &["explanation", "code"],
        &[],
        properties(&[
            (
                "code",
                optional_source("The code; without it the file at path is read."),
            ),
            (
                "path",
                optional_path("The file; beside code, only its name matters."),
            ),
            (
                "revision",
                optional("The branch or commit to read at; the repository's base otherwise."),
            ),
            ("language", language()),
            (
                "detail_level",
                json!({
                    "type": ["string", "null"], "enum": ["brief", "normal", "full", null],
                    "description": "How much to say; normal otherwise.",
                }),
            ),
        ]),
        &[],
    )
}
