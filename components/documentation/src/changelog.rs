//! `update_changelog`: an entry from the commits, the review, the checks and the deployment.

use guildhall_guest::{
    agent::AgentCall,
    domain::request::AgentError,
    repository::{self, Change, tool},
};
use guildhall_skills::{
    docs::{self, Commit},
    inputs::{self, FileChange, UpdateChangelog},
    report,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Where the change log is unless guildhall.toml says otherwise.
const USUAL_PATH: &str = "CHANGELOG.md";
/// Most bytes of a change log, as many as the workspace reads at once.
const CHANGELOG_MAX_BYTES: usize = 1 << 20;

pub(crate) async fn update_changelog(call: &AgentCall) -> Result<Value, AgentError> {
    let input: UpdateChangelog = inputs::read(&call.skill, &call.input)?;
    let from = input.base_revision.as_ref().unwrap_or(&input.base);
    let arguments = json!({"base": from, "head": input.head_revision});
    let change = tool(call, "change_describe", arguments).await?;
    let commits = Vec::<Commit>::deserialize(&change["commits"]).map_err(repository::unexpected)?;
    let evidence = report::evidence(
        &input.head_revision,
        input.review.as_ref(),
        input.checks.as_ref(),
        input.deployment.as_ref(),
    );
    let entry = docs::entry(&commits, &evidence);
    let changelog = repository::describe(call).await?.changelog;
    let path = changelog.unwrap_or_else(|| USUAL_PATH.to_owned());
    // What was deployed holds the change already; without a deployment, the entry goes on top of the change itself.
    let deployed = input
        .deployment
        .as_ref()
        .and_then(|deployment| deployment["revision"].as_str());
    let onto = deployed.unwrap_or(&input.head_revision);
    let existing = repository::read_text(call, onto, &path, CHANGELOG_MAX_BYTES).await?;
    let inserted = docs::insert(existing.as_deref(), &entry, input.heading.as_deref());
    if inserted.added == 0 {
        return Ok(json!({
            "branch": null, "revision": null, "path": path, "entry": entry.markdown(),
            "summary": format!("{path} has nothing to add: every commit of the change is in it, or there is none."),
        }));
    }
    let branch = repository::own_branch(call, None, "changelog");
    let head = input.head.as_deref().unwrap_or(&input.head_revision);
    let change = Change {
        branch: &branch,
        base: onto,
        files: &[FileChange {
            path: path.clone(),
            content: Some(inserted.text),
        }],
        message: &format!("Record {head} in the change log"),
        effect: "changelog",
    };
    let committed = repository::commit(call, &change).await?;
    Ok(json!({
        "branch": branch,
        "revision": committed["revision"],
        "path": path,
        "entry": entry.markdown(),
        "summary": format!("{} in {path} on branch {branch}.", entries(inserted.added)),
    }))
}

fn entries(count: usize) -> String {
    if count == 1 {
        "1 entry".into()
    } else {
        format!("{count} entries")
    }
}
