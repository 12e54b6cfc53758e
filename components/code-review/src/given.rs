//! Reviewing what comes with the request, without the workspace.

use guildhall_guest::{
    agent::AgentCall,
    domain::{Code, request::AgentError},
};
use guildhall_skills::{
    code::Language,
    inputs::{self, ReviewCode, StaticAnalysis},
    review::{self, DiffError, Options, Review},
};
use serde_json::{Value, json};

pub(crate) fn review_code(call: &AgentCall) -> Result<Value, AgentError> {
    let input: ReviewCode = inputs::read(&call.skill, &call.input)?;
    let review = review::review_changes(&input.file_path, &input.changes, &Options::default());
    let mut result = told(review)?;
    result["file_path"] = json!(input.file_path);
    Ok(result)
}

pub(crate) fn static_analysis(call: &AgentCall) -> Result<Value, AgentError> {
    let input: StaticAnalysis = inputs::read(&call.skill, &call.input)?;
    let language = input.language.as_deref().and_then(Language::named);
    let mut result = told(review::review_language(
        &input.diff,
        language,
        &Options::default(),
    ))?;
    result["language"] = json!(language);
    Ok(result)
}

fn told(review: Result<Review, DiffError>) -> Result<Value, AgentError> {
    let review = review.map_err(|error| AgentError {
        code: Code::InvalidInput.as_str().into(),
        detail: format!("The difference is not one that can be reviewed: {error}."),
        hint: Some("Send the output of `git diff` unchanged, or the whole file instead.".into()),
        retryable: false,
    })?;
    let mut result = json!(review);
    result["by"] = json!("rules");
    Ok(result)
}
