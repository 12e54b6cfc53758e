//! What the skills of code-review take.

use super::{Input, SOURCE_MAX, branch, optional, optional_revision, path, revision, text};
use serde::Deserialize;

/// Input of `review_change`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewChange {
    /// The branch that the change is compared with.
    pub base: String,
    /// The commit of the base that it is compared with; its tip otherwise.
    pub base_revision: Option<String>,
    /// The branch with the change, for the report.
    pub head: Option<String>,
    /// The commit with the change.
    pub head_revision: String,
}

impl Input for ReviewChange {
    fn check(&self) -> Result<(), String> {
        branch("base", &self.base)?;
        optional_revision("base_revision", self.base_revision.as_ref())?;
        revision("head_revision", &self.head_revision)
    }
}

/// Input of `review_code`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewCode {
    /// The file that the changes are to; its name tells what rules apply.
    pub file_path: String,
    /// A unified difference, or the whole new content of the file.
    pub changes: String,
}

impl Input for ReviewCode {
    fn check(&self) -> Result<(), String> {
        path("file_path", &self.file_path)?;
        text("changes", &self.changes, SOURCE_MAX)
    }
}

/// Input of `static_analysis`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticAnalysis {
    /// A unified difference.
    pub diff: String,
    /// Only files in this language; all otherwise.
    pub language: Option<String>,
}

impl Input for StaticAnalysis {
    fn check(&self) -> Result<(), String> {
        text("diff", &self.diff, SOURCE_MAX)?;
        language(self.language.as_ref())
    }
}

/// Refuses languages that are not known by name.
pub(super) fn language(name: Option<&String>) -> Result<(), String> {
    match name {
        Some(name) if crate::code::Language::named(name).is_none() => Err(format!(
            "`language` is `{}`; known are {}",
            name.chars().take(50).collect::<String>(),
            crate::code::Language::NAMES.join(", ")
        )),
        _ => Ok(()),
    }
}

/// Input of `review_pr`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewPr {
    /// The repository on a forge; needs a connection to that forge.
    pub repo_url: Option<String>,
    /// The pull request's number there; needs a connection to that forge.
    pub pr_number: Option<u64>,
    /// The branch that the change is compared with; the repository's base otherwise.
    pub base: Option<String>,
    /// The branch with the change, in the workspace's own repository.
    pub head: Option<String>,
}

impl Input for ReviewPr {
    fn check(&self) -> Result<(), String> {
        optional("repo_url", self.repo_url.as_ref(), 2_000)?;
        for (field, name) in [("base", &self.base), ("head", &self.head)] {
            if let Some(name) = name {
                branch(field, name)?;
            }
        }
        Ok(())
    }
}

/// Input of `explain_code`, which code-review and documentation have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainCode {
    /// The code itself; without it the file at `path` is read.
    pub code: Option<String>,
    /// The file's path from the root of the repository; beside `code`, only its name matters.
    pub path: Option<String>,
    /// The branch or commit that the file is read at; the repository's base otherwise.
    pub revision: Option<String>,
    /// The language, when the path does not tell.
    pub language: Option<String>,
    /// How much to say.
    #[serde(default)]
    pub detail_level: Option<crate::code::Detail>,
}

impl Input for ExplainCode {
    fn check(&self) -> Result<(), String> {
        if self.code.is_none() && self.path.is_none() {
            return Err("neither `code` nor `path` is given".into());
        }
        optional("code", self.code.as_ref(), SOURCE_MAX)?;
        self.path.as_ref().map_or(Ok(()), |given| path("path", given))?;
        optional("revision", self.revision.as_ref(), 200)?;
        language(self.language.as_ref())
    }
}
