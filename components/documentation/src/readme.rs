//! `update_readme`: one section, on a branch of its own.

use guildhall_guest::{
    agent::AgentCall,
    domain::{Code, request::AgentError},
    repository::{self, Change},
};
use guildhall_skills::{
    docs::{self, SectionOutcome},
    inputs::{self, FileChange, UpdateReadme},
};
use serde_json::{Value, json};

/// The file unless another is named.
const USUAL_PATH: &str = "README.md";
/// Most bytes of a file that is changed.
const FILE_MAX_BYTES: usize = 1 << 20;

pub(crate) async fn update_readme(call: &AgentCall) -> Result<Value, AgentError> {
    let input: UpdateReadme = inputs::read(&call.skill, &call.input)?;
    let path = input.path.clone().unwrap_or_else(|| USUAL_PATH.to_owned());
    let base = repository::base(call, input.base.as_ref()).await?;
    let revision = repository::resolve(call, &base).await?;
    let existing = repository::read_text(call, &revision, &path, FILE_MAX_BYTES).await?;
    let put = docs::put_section(existing.as_deref(), &input.section, &input.content).map_err(|why| {
        repository::refused(
            Code::InvalidInput,
            format!("{path} cannot get the section `{}`: {why}.", input.section),
            "Correct the content or the file.",
        )
    })?;
    if put.outcome == SectionOutcome::Unchanged {
        return Ok(json!({
            "outcome": put.outcome, "path": path, "section": input.section, "branch": null, "revision": revision,
            "summary": format!("The section `{}` of {path} says this already.", input.section),
        }));
    }
    let branch = repository::own_branch(call, input.branch.as_ref(), "readme");
    let change = Change {
        branch: &branch,
        base: &revision,
        files: &[FileChange {
            path: path.clone(),
            content: Some(put.text),
        }],
        message: &format!("Write the section {} of {path}", input.section),
        effect: "readme",
    };
    let mut result = repository::commit(call, &change).await?;
    result["outcome"] = json!(put.outcome);
    result["path"] = json!(path);
    result["section"] = json!(input.section);
    Ok(result)
}
