//! Having a model write the files for a description.

use guildhall_guest::{
    agent::AgentCall,
    domain::{Code, request::AgentError},
    llm::Model,
    repository::{self, Change, tool},
};
use guildhall_skills::{
    implement::{self, Proposal},
    inputs::{self, ImplementFeature},
    report, review,
};
use serde_json::{Value, json};

/// Most bytes of a file that the model is shown.
const SHOWN_MAX_BYTES: usize = 64 << 10;
/// Most tokens of the model's answer.
const ANSWER_MAX_TOKENS: u32 = 16_000;

pub(crate) async fn implement_feature(call: &AgentCall) -> Result<Value, AgentError> {
    let input: ImplementFeature = inputs::read(&call.skill, &call.input)?;
    let model = Model::required().await?;
    let base = repository::base(call, input.base.as_ref()).await?;
    let prompt = prompt(call, &input, &base).await?;
    let answer = model
        .complete(
            call.trace(),
            implement::INSTRUCTIONS,
            &prompt,
            true,
            ANSWER_MAX_TOKENS,
        )
        .await?;
    let proposal =
        Proposal::read(&answer).map_err(|why| unusable(&format!("a change that can be committed: {why}")))?;
    // The model may answer otherwise in a later attempt; at most one answer is ever committed, the first.
    let change = Change {
        branch: &input.branch,
        base: &base,
        files: &proposal.files,
        message: &proposal.message,
        effect: "commit",
    };
    let mut result = repository::commit(call, &change).await?;
    result["base"] = json!(base);
    result["model"] = json!(model.name());
    Ok(result)
}

/// `implement_feature`, and the review of what it committed.
pub(crate) async fn implement_and_review(call: &AgentCall) -> Result<Value, AgentError> {
    let mut result = implement_feature(call).await?;
    let (base, head) = (result["base"].as_str(), result["revision"].as_str());
    let (Some(base), Some(head)) = (base, head) else {
        return Err(repository::unexpected("file_commit gave no revision"));
    };
    let arguments = json!({"base": base, "head": head, "max_bytes": report::DIFF_MAX_BYTES});
    let answer = tool(call, "change_diff", arguments).await?;
    let reviewed = report::review_answer(&answer, base, None, result["branch"].as_str(), head)
        .map_err(repository::unexpected)?;
    let blocked = reviewed["verdict"] == json!(review::Verdict::Block);
    result["summary"] = json!(format!(
        "{} {}",
        result["summary"].as_str().unwrap_or_default(),
        reviewed["summary"].as_str().unwrap_or_default()
    ));
    result["status"] = json!(if blocked { "needs_revision" } else { "completed" });
    result["review"] = reviewed;
    Ok(result)
}

async fn prompt(call: &AgentCall, input: &ImplementFeature, base: &str) -> Result<String, AgentError> {
    let arguments = json!({"revision": base, "recursive": true, "limit": 1000});
    let listed = tool(call, "file_list", arguments).await?;
    let paths: Vec<&str> = listed["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["path"].as_str())
        .collect();
    let mut prompt = format!(
        "Description:\n{}\n\nFiles of the repository:\n{}\n",
        input.description,
        paths.join("\n")
    );
    for path in &input.context_files {
        let arguments = json!({"revision": base, "path": path, "max_bytes": SHOWN_MAX_BYTES});
        let file = tool(call, "file_read", arguments).await?;
        if file["encoding"] == "utf-8" {
            prompt.push_str(&format!(
                "\nContent of {path}:\n{}\n",
                file["content"].as_str().unwrap_or_default()
            ));
        }
    }
    Ok(prompt)
}

/// The model's answer is not what was wanted; another attempt may get a better one.
pub(crate) fn unusable(why: &str) -> AgentError {
    AgentError {
        code: Code::ToolFailed.as_str().into(),
        detail: format!("The model's answer is not {}.", why.trim_end_matches('.')),
        hint: Some("Try again, describe it more closely, or set llm_model to a stronger model.".into()),
        retryable: true,
    }
}
