//! What the skills of cicd take.

use super::{Input, branch, environment, revision, text};
use serde::Deserialize;

/// Input of `run_checks`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunChecks {
    /// The commit to check.
    pub revision: String,
    /// The checks to run; every one of guildhall.toml otherwise.
    pub checks: Option<Vec<String>>,
}

impl Input for RunChecks {
    fn check(&self) -> Result<(), String> {
        if self.checks.as_ref().is_some_and(Vec::is_empty) {
            return Err("`checks` is empty; leave it out to run every check".into());
        }
        revision("revision", &self.revision)
    }
}

/// Input of `run_pipeline`: that of `run_checks` by the original's names, with a branch that is pinned when it begins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunPipeline {
    /// A check of guildhall.toml, or `all`.
    pub pipeline_name: String,
    /// The branch whose tip is checked; the repository's base otherwise.
    pub branch: Option<String>,
}

impl RunPipeline {
    /// The same as input of `run_checks`, at the commit that the branch was resolved to.
    pub fn at(self, revision: String) -> RunChecks {
        RunChecks {
            revision,
            checks: (self.pipeline_name != "all").then(|| vec![self.pipeline_name]),
        }
    }
}

impl Input for RunPipeline {
    fn check(&self) -> Result<(), String> {
        text("pipeline_name", &self.pipeline_name, 100)?;
        self.branch.as_ref().map_or(Ok(()), |name| branch("branch", name))
    }
}

/// Input of `validate_build`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidateBuild {
    /// The commit that was built.
    pub build_id: String,
}

impl Input for ValidateBuild {
    fn check(&self) -> Result<(), String> {
        revision("build_id", &self.build_id)
    }
}

/// Input of `deploy_artifact`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployArtifact {
    /// The commit to deploy.
    pub artifact_id: String,
    /// Where to.
    pub environment: String,
}

impl Input for DeployArtifact {
    fn check(&self) -> Result<(), String> {
        revision("artifact_id", &self.artifact_id)?;
        environment(&self.environment)
    }
}
