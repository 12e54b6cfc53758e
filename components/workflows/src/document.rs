//! Workflow documents in request bodies: an object, or the text of a document in YAML or JSON.

use guildhall_flow::{
    dsl::Definition,
    validate::{Finding, Findings, check_value, parse},
};
use guildhall_guest::domain::{Code, Problem, problem::Misfit};
use serde::Deserialize;
use serde_json::Value;

/// A document as it was given.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Given {
    /// The text, in YAML or JSON.
    Text(String),
    /// The document itself.
    Value(Value),
}

impl Given {
    /// Reads and checks it. What is wrong in a text is told with its line.
    pub(crate) fn read(&self) -> Result<Definition, Findings> {
        match self {
            Given::Text(text) => parse(text),
            Given::Value(value) => check_value(value),
        }
    }

    /// The same, where nothing but a good document will do.
    pub(crate) fn definition(&self) -> Result<Definition, Problem> {
        self.read().map_err(|findings| self.refuse(&findings))
    }

    /// The text to keep for people: as it was given, so that comments stay.
    pub(crate) fn source(&self) -> String {
        match self {
            Given::Text(text) => text.clone(),
            Given::Value(value) => format!("{value:#}"),
        }
    }

    /// What to say of a finding. An object has no lines of its own.
    pub(crate) fn message(&self, finding: &Finding) -> String {
        match self {
            Given::Text(_) => format!("{}: {}", finding.at, finding.message),
            Given::Value(_) => finding.message.clone(),
        }
    }

    fn refuse(&self, findings: &Findings) -> Problem {
        let errors: Vec<Misfit> = findings
            .0
            .iter()
            .map(|finding| Misfit {
                pointer: finding.pointer.clone(),
                detail: self.message(finding),
            })
            .collect();
        let first = findings.0.first().map(|finding| self.message(finding));
        let more = match errors.len() {
            0 | 1 => String::new(),
            n => format!(" ({} more in `errors`)", n - 1),
        };
        let mut problem = Problem::new(
            Code::WorkflowInvalid,
            format!(
                "The workflow cannot be run: {}{more}.",
                first.unwrap_or_default().trim_end_matches('.')
            ),
        )
        .hint("docs/workflows-dsl.md tells what is supported; POST /v1/workflows/validate tells everything that is wrong.");
        problem.errors = errors;
        problem
    }
}
