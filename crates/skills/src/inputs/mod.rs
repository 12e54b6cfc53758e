//! What each skill takes, as types with the rules that types alone cannot hold. The schemas in [`crate::cards`] say
//! the same to callers; a test holds the two together.

mod cicd;
mod code_review;
mod documentation;
mod feature_dev;
mod infrastructure;
mod orchestrator;
#[cfg(test)]
mod tests;

pub use cicd::{DeployArtifact, RunChecks, RunPipeline, ValidateBuild};
pub use code_review::{ExplainCode, ReviewChange, ReviewCode, ReviewPr, StaticAnalysis};
pub use documentation::{GenerateDocs, UpdateChangelog, UpdateReadme};
pub use feature_dev::{ApplyChange, GenerateCode, ImplementFeature, RefactorCode};
pub use infrastructure::{
    CheckHealth, DeployService, GenerateInfrastructure, HealthCheck, Rollback, SERVICES_MAX, UpdateConfig,
};
pub use orchestrator::{AggregateResults, DecomposeTask, GetStatus, PlanTask, RESULTS_MAX, RouteRequest};

use crate::planning::{is_branch_name, is_environment_name};
use guildhall_domain::{Code, request::AgentError};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Most files in one change.
pub const FILES_MAX: usize = 100;
/// Most bytes of all files of one change together.
pub const BYTES_MAX: usize = 512 * 1024;
/// Most bytes of a source text or difference that is given with a request.
pub const SOURCE_MAX: usize = 256 * 1024;
/// Most bytes of a text in plain words, such as what a feature is to do.
pub const WORDS_MAX: usize = 20_000;
/// Most characters of a path.
pub const PATH_MAX: usize = 1_000;

/// An input that can be checked after it was parsed.
pub trait Input: DeserializeOwned {
    /// What is wrong with it, naming the field.
    fn check(&self) -> Result<(), String>;
}

/// Reads the input of `skill`; the error is final and says what does not fit.
pub fn read<T: Input>(skill: &str, input: &Value) -> Result<T, AgentError> {
    let parsed = T::deserialize(input).map_err(|error| error.to_string());
    let checked = parsed.and_then(|input| input.check().map(|()| input));
    checked.map_err(|why| AgentError {
        code: Code::InvalidInput.as_str().into(),
        detail: format!("The input of {skill} does not fit: {why}."),
        hint: Some("The agent's card, at GET /v1/agents, has the skill's input schema.".into()),
        retryable: false,
    })
}

/// A file of a change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct FileChange {
    /// Its path from the root of the repository.
    pub path: String,
    /// Its whole new content; `None` deletes it.
    pub content: Option<String>,
}

/// Refuses what is no plain path inside the repository, before it reaches the workspace, which refuses it as well.
fn path(field: &str, path: &str) -> Result<(), String> {
    text(field, path, PATH_MAX)?;
    let hostile = path.contains('\\')
        || path.chars().any(char::is_control)
        || path
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == ".." || part.eq_ignore_ascii_case(".git"));
    if hostile {
        return Err(format!(
            "`{field}` must be a plain path from the root of the repository, without `..`, `.git` or a leading `/`"
        ));
    }
    Ok(())
}

/// Refuses a branch to commit to that is also where it would begin.
fn own_branch(name: Option<&String>, base: Option<&String>) -> Result<(), String> {
    if let Some(name) = name {
        branch("branch", name)?;
        if base == Some(name) {
            return Err("`branch` and `base` are the same; a change is made on a branch of its own".into());
        }
    }
    base.map_or(Ok(()), |base| text("base", base, 200))
}

fn optional(field: &str, value: Option<&String>, most: usize) -> Result<(), String> {
    value.map_or(Ok(()), |value| text(field, value, most))
}

fn branch(field: &str, name: &str) -> Result<(), String> {
    if is_branch_name(name) {
        Ok(())
    } else {
        Err(format!("`{field}` is `{name}`, which cannot be a branch"))
    }
}

fn revision(field: &str, id: &str) -> Result<(), String> {
    let full =
        matches!(id.len(), 40 | 64) && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if full {
        Ok(())
    } else {
        Err(format!(
            "`{field}` must be a full commit id, so that nothing moves under it"
        ))
    }
}

fn optional_revision(field: &str, id: Option<&String>) -> Result<(), String> {
    id.map_or(Ok(()), |id| revision(field, id))
}

fn environment(name: &str) -> Result<(), String> {
    if is_environment_name(name) {
        return Ok(());
    }
    Err(format!(
        "`environment` is `{name}`, which cannot be the name of an environment"
    ))
}

fn text(field: &str, text: &str, most: usize) -> Result<(), String> {
    match text.trim().len() {
        0 => Err(format!("`{field}` is empty")),
        length if length > most => Err(format!("`{field}` has {length} bytes; at most {most} are taken")),
        _ => Ok(()),
    }
}

/// Whether `files` may be committed: how many, how large, and no path twice. The workspace refuses unsafe paths.
pub fn check_files(files: &[FileChange]) -> Result<(), String> {
    if files.is_empty() || files.len() > FILES_MAX {
        return Err(format!(
            "`files` has {} files; 1 to {FILES_MAX} are taken",
            files.len()
        ));
    }
    for (index, file) in files.iter().enumerate() {
        path(&format!("files/{index}/path"), &file.path)?;
        if files[..index].iter().any(|earlier| earlier.path == file.path) {
            return Err(format!("`files` has `{}` twice", file.path));
        }
    }
    let bytes: usize = files
        .iter()
        .filter_map(|file| file.content.as_ref())
        .map(String::len)
        .sum();
    if bytes > BYTES_MAX {
        return Err(format!(
            "`files` have {bytes} bytes together; at most {BYTES_MAX} are taken"
        ));
    }
    Ok(())
}
