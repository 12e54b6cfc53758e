//! The repository as agents see it: the workspace's tools, with errors that say whether the trouble passes.

use crate::agent::AgentCall;
use guildhall_domain::{Code, request::AgentError};
use guildhall_skills::{
    delivery::{self, Repository},
    inputs::FileChange,
    tools,
};
use serde_json::{Value, json};
use std::fmt::Display;

/// Calls a workspace tool; what passes by itself is marked as worth another attempt.
pub async fn tool(call: &AgentCall, name: &str, arguments: Value) -> Result<Value, AgentError> {
    call.tools()
        .call(name, arguments)
        .await
        .map_err(tools::retry_what_passes)
}

/// The repository as it is now.
pub async fn describe(call: &AgentCall) -> Result<Repository, AgentError> {
    let answer = tool(call, "repository_describe", json!({})).await?;
    Repository::from_tool(&answer).map_err(unexpected)
}

/// The given branch or commit, else the repository's base branch.
pub async fn base(call: &AgentCall, given: Option<&String>) -> Result<String, AgentError> {
    match given {
        Some(given) => Ok(given.clone()),
        None => Ok(describe(call).await?.base_branch),
    }
}

/// The full id of the commit that a branch, tag or commit stands for now.
pub async fn resolve(call: &AgentCall, revision: &str) -> Result<String, AgentError> {
    let answer = tool(call, "revision_resolve", json!({"revision": revision})).await?;
    delivery::resolved(&answer).map_err(unexpected)
}

/// The whole text of a file at a commit; `None` when there is none. What is no text of at most `most` bytes is
/// refused.
pub async fn read_text(
    call: &AgentCall,
    revision: &str,
    path: &str,
    most: usize,
) -> Result<Option<String>, AgentError> {
    let arguments = json!({"revision": revision, "path": path, "max_bytes": most});
    let file = match tool(call, "file_read", arguments).await {
        Err(error) if error.code == "not_found" => return Ok(None),
        file => file?,
    };
    let whole = file["next_offset"].is_null() && file["encoding"] == "utf-8";
    match file["content"].as_str().filter(|_| whole) {
        Some(content) => Ok(Some(content.to_owned())),
        None => Err(refused(
            Code::ToolFailed,
            format!("{path} is not text of at most {most} bytes."),
            "Name another file, or look at it outside Guildhall.",
        )),
    }
}

/// The whole text of a file that has to be there.
pub async fn read_existing(
    call: &AgentCall,
    revision: &str,
    path: &str,
    most: usize,
) -> Result<String, AgentError> {
    let found = read_text(call, revision, path, most).await?;
    found.ok_or_else(|| {
        refused(
            Code::NotFound,
            format!("There is no file {path} at {revision}."),
            "Name a file that is there, or another branch.",
        )
    })
}

/// Files to commit to a branch.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The branch, made from `base` when it is not there.
    pub branch: &'a str,
    /// The branch or commit that a new branch begins at.
    pub base: &'a str,
    /// The files.
    pub files: &'a [FileChange],
    /// The commit message.
    pub message: &'a str,
    /// Tells the request's commits apart.
    pub effect: &'a str,
}

/// Commits the files once, however often the request is attempted, and tells it in the shape that every committing
/// skill answers in. A later attempt that would commit something else (a model answered otherwise, or the base has moved)
/// gives what the first one committed.
pub async fn commit(call: &AgentCall, change: &Change<'_>) -> Result<Value, AgentError> {
    let arguments = json!({
        "branch": change.branch,
        "base": change.base,
        "files": change.files,
        "message": change.message,
        "idempotency_key": call.effect_key(change.effect),
    });
    let committed = match tool(call, "file_commit", arguments).await {
        Err(error) if error.code == "idempotency_conflict" && call.attempt > 1 => {
            return earlier(call, change.branch).await;
        }
        committed => committed?,
    };
    let branch = change.branch;
    let paths: Vec<&str> = change.files.iter().map(|file| file.path.as_str()).collect();
    let summary = match (committed["changed"].as_bool(), committed["created"].as_bool()) {
        (Some(false), _) => format!("{branch} has these contents already."),
        (_, Some(true)) => format!("Committed {} to the new branch {branch}.", paths.join(", ")),
        _ => format!("Committed {} to {branch}.", paths.join(", ")),
    };
    Ok(json!({
        "branch": branch,
        "revision": committed["revision"],
        "created": committed["created"],
        "changed": committed["changed"],
        "files": paths,
        "summary": summary,
    }))
}

async fn earlier(call: &AgentCall, branch: &str) -> Result<Value, AgentError> {
    Ok(json!({
        "branch": branch,
        "revision": resolve(call, branch).await?,
        "summary": format!("An earlier attempt of this request committed its change to {branch} already."),
    }))
}

/// The branch that was asked for, else one named after the run, or the request when there is no run.
pub fn own_branch(call: &AgentCall, given: Option<&String>, what: &str) -> String {
    let id = call
        .run_id
        .map_or_else(|| call.request_id.to_string(), |run| run.to_string());
    let short: String = id.chars().take(8).collect();
    given
        .cloned()
        .unwrap_or_else(|| format!("guildhall/{what}-{short}"))
}

/// The final error of a skill that cannot do what it is asked.
pub fn refused(code: Code, detail: impl Into<String>, hint: &str) -> AgentError {
    AgentError {
        code: code.as_str().into(),
        detail: detail.into(),
        hint: Some(hint.into()),
        retryable: false,
    }
}

/// The error for an answer of the workspace that has another shape than it should.
pub fn unexpected(why: impl Display) -> AgentError {
    refused(
        Code::ToolFailed,
        format!("The workspace's answer cannot be used: {why}."),
        "Check that the workspace server is of the same version as the fleet.",
    )
}
