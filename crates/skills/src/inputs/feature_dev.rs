//! What the skills of feature-dev take.

use super::{
    FileChange, Input, SOURCE_MAX, WORDS_MAX, branch, check_files, code_review::language, optional, path,
    text,
};
use serde::Deserialize;

/// Input of `apply_change`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyChange {
    /// The branch to commit to; made from `base` when it does not exist.
    pub branch: String,
    /// The branch or commit that a new branch begins at.
    pub base: String,
    /// The files.
    pub files: Vec<FileChange>,
    /// The commit message.
    pub message: String,
}

impl Input for ApplyChange {
    fn check(&self) -> Result<(), String> {
        branch("branch", &self.branch)?;
        text("base", &self.base, 200)?;
        if self.branch == self.base {
            return Err("`branch` and `base` are the same; a change is made on a branch of its own".into());
        }
        text("message", &self.message, 5_000)?;
        check_files(&self.files)
    }
}

/// Input of `implement_feature`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImplementFeature {
    /// What to build, in words.
    pub description: String,
    /// The branch to commit to; made from `base` when it does not exist.
    pub branch: String,
    /// The branch or commit that a new branch begins at; the repository's base otherwise.
    pub base: Option<String>,
    /// Files that the model is shown.
    #[serde(default)]
    pub context_files: Vec<String>,
}

impl Input for ImplementFeature {
    fn check(&self) -> Result<(), String> {
        text("description", &self.description, WORDS_MAX)?;
        branch("branch", &self.branch)?;
        if self.base.as_ref() == Some(&self.branch) {
            return Err("`branch` and `base` are the same; a change is made on a branch of its own".into());
        }
        if self.context_files.len() > 50 {
            return Err("`context_files` has more than 50 files".into());
        }
        self.context_files
            .iter()
            .try_for_each(|file| path("context_files", file))
    }
}

/// Input of `generate_code`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateCode {
    /// What the code is to do, in words.
    pub requirements: String,
    /// The language.
    pub language: Option<String>,
    /// Code or words that the model is shown beside.
    pub context: Option<String>,
}

impl Input for GenerateCode {
    fn check(&self) -> Result<(), String> {
        text("requirements", &self.requirements, WORDS_MAX)?;
        optional("context", self.context.as_ref(), SOURCE_MAX)?;
        language(self.language.as_ref())
    }
}

/// Input of `refactor_code`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefactorCode {
    /// The code.
    pub code: String,
    /// What is to become better, in words.
    pub goals: Option<String>,
    /// The language.
    pub language: Option<String>,
}

impl Input for RefactorCode {
    fn check(&self) -> Result<(), String> {
        text("code", &self.code, SOURCE_MAX)?;
        optional("goals", self.goals.as_ref(), WORDS_MAX)?;
        language(self.language.as_ref())
    }
}
