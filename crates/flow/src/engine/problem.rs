//! Errors of workflows (dsl-reference.md, "Error"; RFC 7807).

use crate::expression::ExpressionError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where the standard types live.
const STANDARD: &str = "https://serverlessworkflow.io/spec/1.0.0/errors/";
/// Where earlier texts of the specification, its examples and its conformance kit have them.
const ELSEWHERE: [&str; 4] = [
    "https://serverlessworkflow.io/dsl/errors/types/",
    "https://serverlessworkflow.io.io/dsl/errors/types/",
    "https://serverlessworkflow.io/errors/types/",
    "https://https://serverlessworkflow.io/spec/1.0.0/errors/",
];

/// An error that a task raised, or met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// URI of its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its status, as of HTTP.
    pub status: i64,
    /// Summary, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What happened this time, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// JSON pointer to the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// The standard types (dsl-reference.md, "Standard Error Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// Settings that are wrong or missing.
    Configuration,
    /// Data that does not fit its schema.
    Validation,
    /// An expression without a value.
    Expression,
    /// Whoever asks is not known.
    Authentication,
    /// Whoever asks may not.
    Authorization,
    /// It took too long.
    Timeout,
    /// Another service did not answer well.
    Communication,
    /// Anything else while running.
    Runtime,
}

impl Standard {
    fn parts(self) -> (&'static str, i64, &'static str) {
        match self {
            Self::Configuration => ("configuration", 400, "Configuration Error"),
            Self::Validation => ("validation", 400, "Validation Error"),
            Self::Expression => ("expression", 400, "Expression Error"),
            Self::Authentication => ("authentication", 401, "Authentication Error"),
            Self::Authorization => ("authorization", 403, "Authorization Error"),
            Self::Timeout => ("timeout", 408, "Timeout"),
            Self::Communication => ("communication", 500, "Communication Error"),
            Self::Runtime => ("runtime", 500, "Runtime Error"),
        }
    }
}

impl Problem {
    /// A standard error with its usual status and title.
    pub fn standard(standard: Standard, detail: impl Into<String>) -> Self {
        let (name, status, title) = standard.parts();
        Self {
            kind: format!("{STANDARD}{name}"),
            status,
            title: Some(title.to_owned()),
            detail: Some(detail.into()),
            instance: None,
        }
    }

    /// With another status.
    pub fn with_status(self, status: i64) -> Self {
        Self { status, ..self }
    }

    /// At a task, unless it is said already where.
    pub(super) fn at(self, pointer: &str) -> Self {
        Self {
            instance: self.instance.or_else(|| Some(pointer.to_owned())),
            ..self
        }
    }

    /// As `$error` has it.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Whether it has the properties that a catch asks for. Types that only differ in where the specification had them
    /// at the time are the same.
    pub fn fits(&self, with: &Map<String, Value>) -> bool {
        with.iter().all(|(key, wanted)| {
            let text = |own: &Option<String>| own.as_deref().map_or(Value::Null, Value::from);
            match key.as_str() {
                "type" => wanted
                    .as_str()
                    .is_some_and(|wanted| same_type(wanted, &self.kind)),
                "status" => wanted.as_i64() == Some(self.status),
                "title" => *wanted == text(&self.title),
                "details" => *wanted == text(&self.detail),
                "instance" => *wanted == text(&self.instance),
                _ => false,
            }
        })
    }
}

fn same_type(a: &str, b: &str) -> bool {
    fn standard(kind: &str) -> Option<&str> {
        ELSEWHERE
            .iter()
            .chain([&STANDARD])
            .find_map(|base| kind.strip_prefix(base))
    }
    a == b || matches!((standard(a), standard(b)), (Some(a), Some(b)) if a == b)
}

impl From<ExpressionError> for Problem {
    fn from(error: ExpressionError) -> Self {
        Self::standard(Standard::Expression, error.to_string())
    }
}
