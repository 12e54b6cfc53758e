//! What a tool says when it does not do what it was asked.

use serde_json::{Value, json};
use std::fmt;

/// An expected failure of a tool: a stable code, what went wrong, and what to do next. It reaches the caller as an
/// MCP tool result with `isError: true` and `{code, message, hint, …details}` as structured content.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolError {
    /// A stable snake_case code; `docs/workspace.md` lists them all.
    pub code: &'static str,
    /// What was attempted and why it failed.
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// More fields for machines, such as the files in conflict; an object, or null for none.
    pub details: Value,
}

/// What every tool gives back.
pub type ToolResult<T> = Result<T, ToolError>;

impl ToolError {
    /// An error of this code. An empty hint is left out of what the caller sees.
    pub fn new(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
            details: Value::Null,
        }
    }

    /// The same error with fields for machines; `details` must be an object.
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// Something that ought to work did not: a full disk, a missing git, a broken repository.
    pub fn internal(attempted: &str, cause: impl fmt::Display) -> Self {
        Self::new(
            "internal",
            format!("{attempted}: {cause}"),
            "Look at the workspace server's log; the same call may be made again with the same idempotency key.",
        )
    }

    /// The arguments do not make sense, although they have the right types.
    pub fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("invalid_arguments", message, hint)
    }

    /// The structured content that the caller receives.
    pub fn to_json(&self) -> Value {
        let mut body = match &self.details {
            Value::Object(fields) => fields.clone(),
            _ => serde_json::Map::new(),
        };
        body.insert("code".into(), json!(self.code));
        body.insert("message".into(), json!(self.message));
        if !self.hint.is_empty() {
            body.insert("hint".into(), json!(self.hint));
        }
        Value::Object(body)
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.hint)
        }
    }
}

impl std::error::Error for ToolError {}
