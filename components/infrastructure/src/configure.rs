//! `update_config`: one key, on a branch of its own, for review.

use guildhall_guest::{
    agent::AgentCall,
    domain::{Code, request::AgentError},
    repository::{self, Change},
};
use guildhall_skills::{
    config::{self, Format},
    inputs::{self, FileChange, UpdateConfig},
    review::redact,
};
use serde_json::{Value, json};

pub(crate) async fn update_config(call: &AgentCall) -> Result<Value, AgentError> {
    let input: UpdateConfig = inputs::read(&call.skill, &call.input)?;
    let refused = |why: String| {
        repository::refused(
            Code::InvalidInput,
            format!("{} cannot get `{}`: {why}.", input.path, input.config_key),
            "Correct the input, or make the change by hand with apply_change.",
        )
    };
    let format = Format::of(&input.path).map_err(refused)?;
    // Said before anything is read: a credential is refused wherever it would go.
    if config::holds_secret(&input.config_key, &input.config_value) {
        return Err(refused(
            "it looks like a credential, and credentials are not committed; name a variable or a secret store instead"
                .into(),
        ));
    }
    let base = repository::base(call, input.base.as_ref()).await?;
    let revision = repository::resolve(call, &base).await?;
    let text = repository::read_existing(call, &revision, &input.path, config::FILE_MAX).await?;
    let edited = config::set(&text, format, &input.config_key, &input.config_value).map_err(refused)?;
    let previous = edited.previous.as_deref().map(redact);
    let told = json!({
        "path": input.path, "config_key": input.config_key, "line": edited.line, "previous": previous,
    });
    if !edited.changed(&text) {
        let mut result = told;
        result["branch"] = Value::Null;
        result["revision"] = json!(revision);
        result["changed"] = json!(false);
        result["summary"] = json!(format!("{} has this value already.", input.path));
        return Ok(result);
    }
    let branch = repository::own_branch(call, input.branch.as_ref(), "config");
    let change = Change {
        branch: &branch,
        base: &revision,
        files: &[FileChange {
            path: input.path.clone(),
            content: Some(edited.text),
        }],
        message: &format!("Set {} in {}", input.config_key, input.path),
        effect: "config",
    };
    let mut result = repository::commit(call, &change).await?;
    for (key, value) in told.as_object().into_iter().flatten() {
        result[key] = value.clone();
    }
    Ok(result)
}
