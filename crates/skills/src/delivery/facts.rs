//! What is true of the repository, read from the answers of the workspace tools.

use guildhall_domain::{Code, Problem};
use guildhall_policy::EnvironmentRisk;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// What a plan is made from. Revisions are full commit ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The repository's name.
    pub repository: String,
    /// Whether the base branch has a guildhall.toml.
    pub configured: bool,
    /// The branch that the change is compared with and merged into.
    pub base: String,
    /// The commit at the tip of the base.
    pub base_revision: String,
    /// The branch or revision with the change, as asked for.
    pub head: String,
    /// The commit with the change.
    pub head_revision: String,
    /// The checks that guildhall.toml names.
    pub checks: Vec<String>,
    /// The environments that guildhall.toml names.
    pub environments: BTreeMap<String, EnvironmentRisk>,
}

/// A tool's answer that does not have the shape it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactsError(String);

impl fmt::Display for FactsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FactsError {}

/// The answer of `repository_describe`, as far as agents need it.
#[derive(Clone, Debug, Deserialize)]
pub struct Repository {
    /// The repository's name.
    pub name: String,
    /// The branch that changes are merged into.
    pub base_branch: String,
    /// Whether the base branch has a guildhall.toml.
    pub configured: bool,
    /// The names of the checks.
    pub checks: Vec<String>,
    /// The environments.
    pub environments: Vec<Environment>,
    /// The path of the change log, when guildhall.toml names one.
    #[serde(default)]
    pub changelog: Option<String>,
}

/// An environment as it is listed.
#[derive(Clone, Debug, Deserialize)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// How much depends on it.
    pub risk: EnvironmentRisk,
    /// Whether a service runs from what is deployed.
    pub has_service: bool,
}

impl Repository {
    /// Reads the answer of `repository_describe`.
    pub fn from_tool(answer: &Value) -> Result<Repository, FactsError> {
        Repository::deserialize(answer)
            .map_err(|error| FactsError(format!("repository_describe gave something unexpected: {error}")))
    }

    /// The environment of that name; the problem names those that there are.
    pub fn environment(&self, name: &str) -> Result<&Environment, Box<Problem>> {
        if let Some(found) = self.environments.iter().find(|known| known.name == name) {
            return Ok(found);
        }
        let names: Vec<&str> = self
            .environments
            .iter()
            .map(|known| known.name.as_str())
            .collect();
        let hint = match names.as_slice() {
            [] => "guildhall.toml on the base branch names none; add [environments.NAME].".to_owned(),
            names => format!("guildhall.toml has {}.", crate::planning::list(names, "and")),
        };
        let detail = format!("{} has no environment `{name}`.", self.name);
        Err(Box::new(
            Problem::new(Code::UnknownEnvironment, detail).hint(hint),
        ))
    }

    /// The facts about a change in it: `base_revision` and `head_revision` as `revision_resolve` gave them.
    pub fn facts(self, base: String, base_revision: String, head: String, head_revision: String) -> Facts {
        Facts {
            repository: self.name,
            configured: self.configured,
            base,
            base_revision,
            head,
            head_revision,
            checks: self.checks,
            environments: self
                .environments
                .into_iter()
                .map(|known| (known.name, known.risk))
                .collect(),
        }
    }
}

/// The commit id in the answer of `revision_resolve`.
pub fn resolved(answer: &Value) -> Result<String, FactsError> {
    let revision = answer["revision"].as_str().unwrap_or_default();
    if matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(revision.to_owned());
    }
    Err(FactsError("revision_resolve gave no full commit id".to_owned()))
}
