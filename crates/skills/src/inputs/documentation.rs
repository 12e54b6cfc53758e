//! What the skills of documentation take.

use super::{
    Input, SOURCE_MAX, branch, environment, optional, optional_revision, own_branch, path, revision, text,
};
use serde::Deserialize;
use serde_json::Value;

/// Input of `update_changelog`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateChangelog {
    /// The branch that the change was compared with.
    pub base: String,
    /// The commit of the base before the change; its tip otherwise.
    pub base_revision: Option<String>,
    /// The branch with the change, for the report.
    pub head: Option<String>,
    /// The commit with the change.
    pub head_revision: String,
    /// Where it was deployed.
    pub environment: Option<String>,
    /// A version's heading, such as `[1.2.0] - 2026-11-22`; `[Unreleased]` otherwise.
    pub heading: Option<String>,
    /// The result of `review_change`.
    pub review: Option<Value>,
    /// The result of `run_checks`.
    pub checks: Option<Value>,
    /// The result of `deploy_service`.
    pub deployment: Option<Value>,
}

impl Input for UpdateChangelog {
    fn check(&self) -> Result<(), String> {
        branch("base", &self.base)?;
        optional_revision("base_revision", self.base_revision.as_ref())?;
        revision("head_revision", &self.head_revision)?;
        if let Some(heading) = &self.heading {
            text("heading", heading, 100)?;
            if heading.contains(['\n', '\r', '#']) {
                return Err("`heading` must be one line without `#`".into());
            }
        }
        self.environment.as_deref().map_or(Ok(()), environment)
    }
}

/// Input of `generate_docs`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateDocs {
    /// The code itself; without it, the file or folder at `path` is read.
    pub code: Option<String>,
    /// A file or folder from the root of the repository; beside `code`, only its name matters.
    pub path: Option<String>,
    /// The branch or commit that it is read at; the repository's base otherwise.
    pub revision: Option<String>,
    /// The form of the answer; markdown otherwise.
    #[serde(default)]
    pub format: crate::docs::Format,
}

impl Input for GenerateDocs {
    fn check(&self) -> Result<(), String> {
        if self.code.is_none() && self.path.is_none() {
            return Err("neither `code` nor `path` is given".into());
        }
        optional("code", self.code.as_ref(), SOURCE_MAX)?;
        self.path.as_ref().map_or(Ok(()), |given| path("path", given))?;
        optional("revision", self.revision.as_ref(), 200)
    }
}

/// Input of `update_readme`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateReadme {
    /// What the section is to say, in Markdown.
    pub content: String,
    /// The section's heading, without `#`.
    pub section: String,
    /// The file; README.md otherwise.
    pub path: Option<String>,
    /// The branch or commit that a new branch begins at; the repository's base otherwise.
    pub base: Option<String>,
    /// The branch to commit to; one named after the request otherwise.
    pub branch: Option<String>,
}

impl Input for UpdateReadme {
    fn check(&self) -> Result<(), String> {
        text("content", &self.content, 64 * 1024)?;
        if self.content.contains('\0') {
            return Err("`content` holds a NUL character".into());
        }
        text("section", &self.section, 200)?;
        if self.section.contains(['\n', '\r', '#', '\0']) {
            return Err("`section` must be one line without `#`".into());
        }
        self.path.as_ref().map_or(Ok(()), |given| path("path", given))?;
        own_branch(self.branch.as_ref(), self.base.as_ref())
    }
}
