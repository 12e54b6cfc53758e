//! The table of operations, one file for each noun.

mod approvals;
mod chat;
mod locks;
mod ops;
mod registry;
mod requests;
mod runs;
mod tokens;
mod workflows;

use crate::Operation;
use serde_json::{Value, json};

pub(crate) fn all() -> Vec<Operation> {
    [
        chat::operations(),
        workflows::operations(),
        runs::operations(),
        approvals::operations(),
        requests::operations(),
        registry::operations(),
        locks::operations(),
        tokens::operations(),
        ops::operations(),
    ]
    .concat()
}

fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

/// An object with exactly these properties.
fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "additionalProperties": false, "properties": properties})
}

/// One line or more of text from a person. Postgres keeps no NUL.
fn text(most: u32) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": most, "pattern": "^[^\\u0000]*$"})
}

/// `{"reason": …}`, or nothing.
fn reason() -> Value {
    object(&[], json!({"reason": {"anyOf": [text(2000), {"type": "null"}]}}))
}

/// A name or the like: no control characters.
fn line(most: u32) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": most, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"})
}
