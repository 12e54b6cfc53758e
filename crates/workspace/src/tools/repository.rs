//! What the repository is, and what a name in it stands for.

use super::{Kind, Tools};
use crate::config::Risk;
use crate::error::ToolResult;
use crate::git::Resolved;
use crate::workspace::Workspace;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) fn register(tools: &mut Tools) {
    tools.add(
        "repository_describe",
        Kind::Read,
        "Describe the repository: its base branch and what the committed guildhall.toml there allows.",
        describe,
    );
    tools.add(
        "revision_resolve",
        Kind::Read,
        "Find the commit that a branch, tag or commit id stands for.",
        resolve,
    );
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Describe {}

#[derive(Serialize, JsonSchema)]
struct Description {
    /// The path of the repository on the server's machine.
    path: String,
    /// The repository's name.
    name: String,
    /// The branch that changes are merged into.
    base_branch: String,
    /// The commit id that it is at.
    base_revision: String,
    /// Whether the base branch has a guildhall.toml.
    configured: bool,
    /// The names of the checks that may be run.
    checks: Vec<String>,
    /// The environments that may be deployed to.
    environments: Vec<EnvironmentSummary>,
    /// The path of the change log, when one is named.
    changelog: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct EnvironmentSummary {
    /// Its name.
    name: String,
    /// How much a mistake costs there.
    risk: Risk,
    /// Whether a service runs from what is deployed.
    has_service: bool,
    /// Whether the service has a health URL.
    has_health: bool,
    /// Whether it has a rollback command of its own.
    has_rollback: bool,
    /// The lock that must be held for changing it.
    resource: String,
    /// The commit id that is deployed there.
    current_revision: Option<String>,
}

fn describe(workspace: &Workspace, _: Describe) -> ToolResult<Description> {
    let base = workspace.base()?;
    let configured = base.configuration.is_some();
    let (mut checks, mut environments, mut changelog) = (Vec::new(), Vec::new(), None);
    if let Some(configuration) = base.configuration {
        checks = configuration.checks.into_keys().collect();
        changelog = configuration.docs.changelog;
        for (name, environment) in configuration.environments {
            let (_, record) = workspace.environments.look(&name)?;
            let service = environment.service.as_ref();
            environments.push(EnvironmentSummary {
                risk: environment.risk,
                has_service: service.is_some(),
                has_health: service.is_some_and(|service| service.health.is_some()),
                has_rollback: environment.rollback.is_some(),
                resource: super::environments::resource_of(&name),
                current_revision: record.current.map(|current| current.revision),
                name,
            });
        }
    }
    Ok(Description {
        path: workspace.path().display().to_string(),
        name: workspace.git.name(),
        base_branch: base.branch,
        base_revision: base.revision,
        configured,
        checks,
        environments,
        changelog,
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Resolve {
    /// A local branch, a tag or a commit id; `~n` and `^n` may follow.
    revision: String,
}

fn resolve(workspace: &Workspace, input: Resolve) -> ToolResult<Resolved> {
    workspace.git.revision(&input.revision)
}
