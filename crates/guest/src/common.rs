//! Skills that more than one agent has.

use crate::{
    agent::{self, AgentCall},
    llm::Model,
    repository,
};
use guildhall_domain::{Code, request::AgentError};
use guildhall_skills::{
    code::{self, Detail, Language},
    inputs::{self, ExplainCode, GetStatus, SOURCE_MAX},
    status,
};
use serde_json::{Value, json};

/// `get_status`: the queue of `agent`, which is the one that answers, and of no other.
pub async fn get_status(call: &AgentCall, agent: &str) -> Result<Value, AgentError> {
    let _: GetStatus = inputs::read(&call.skill, &call.input)?;
    let queue = guildhall_store::agent::queue(&call.db(), agent)
        .await
        .map_err(|error| agent::failed(error.into()))?;
    queue.map(status::told).ok_or_else(|| AgentError {
        code: Code::NotFound.as_str().into(),
        detail: format!("The agent {agent} is not in the registry."),
        hint: Some("It registers within seconds of the start; ask again.".into()),
        retryable: true,
    })
}

/// `explain_code`: the structure by rules, and in words by a model when one is configured.
pub async fn explain_code(call: &AgentCall) -> Result<Value, AgentError> {
    let input: ExplainCode = inputs::read(&call.skill, &call.input)?;
    let (text, revision) = match (&input.code, &input.path) {
        (Some(code), _) => (code.clone(), None),
        (None, Some(path)) => {
            let base = repository::base(call, input.revision.as_ref()).await?;
            let revision = repository::resolve(call, &base).await?;
            let text = repository::read_existing(call, &revision, path, SOURCE_MAX).await?;
            (text, Some(revision))
        }
        (None, None) => (String::new(), None),
    };
    let named = input.language.as_deref().and_then(Language::named);
    let language = named.unwrap_or_else(|| match &input.path {
        Some(path) => Language::of(path, &text),
        None => Language::guess(&text),
    });
    let detail = input.detail_level.unwrap_or(Detail::Normal);
    let mut result = code::explain(&text, language, input.path.as_deref(), detail);
    result["revision"] = json!(revision);
    if let Some(model) = Model::configured().await {
        let prompt = code::prompt(&result, &text);
        model
            .add_to(
                &mut result,
                "explanation",
                call.trace(),
                code::INSTRUCTIONS,
                &prompt,
            )
            .await;
    }
    Ok(result)
}
