//! Whether a document is a workflow that can be run; if not, what is wrong and where.

mod expressions;
mod finding;
mod locks;
mod names;
mod semantics;
mod structure;
mod tasks;

pub use finding::{Finding, Findings};
pub(crate) use locks::bodies;

use crate::dsl::Definition;
use crate::yaml::{self, Node, YamlError};
use serde_json::Value;

/// Most findings that one validation tells.
pub const MAX_FINDINGS: usize = 100;

/// Reads and checks a document in YAML or JSON.
pub fn parse(text: &str) -> Result<Definition, Findings> {
    let node = read(text).map_err(|error| {
        Findings(vec![Finding {
            code: "yaml",
            pointer: String::new(),
            at: error.at,
            message: error.reason,
        }])
    })?;
    check(&node)
}

/// Reads YAML. JSON is YAML but for a few escapes, so what is no YAML may still be JSON.
fn read(text: &str) -> Result<Node, YamlError> {
    yaml::parse(text).or_else(|error| match serde_json::from_str::<Value>(text) {
        Ok(value) if text.len() <= yaml::MAX_BYTES => {
            yaml::parse(&serde_json::to_string_pretty(&value).unwrap_or_default())
        }
        _ => Err(error),
    })
}

/// Checks a document that has been read.
pub fn check(node: &Node) -> Result<Definition, Findings> {
    let mut findings = structure::check(node);
    if findings.is_empty() {
        let value = node.to_value();
        match Definition::from_value(value) {
            Ok(definition) => {
                findings = semantics::check(&definition, node);
                if findings.is_empty() {
                    return Ok(definition);
                }
            }
            Err(error) => findings.push(Finding::at_pointer(
                node,
                "structure",
                &error.pointer,
                error.reason,
            )),
        }
    }
    findings.sort_by_key(|finding| finding.at);
    findings.truncate(MAX_FINDINGS);
    Err(Findings(findings))
}

/// Checks a document that comes as JSON and has no lines of its own; findings tell pointers.
pub fn check_value(value: &Value) -> Result<Definition, Findings> {
    parse(&serde_json::to_string_pretty(value).unwrap_or_default())
}
