//! Changes: what they are, committing them, merging them.

use super::{Kind, Tools, bounded};
use crate::effects::{Ended, Fence};
use crate::error::{ToolError, ToolResult};
use crate::git::{ChangeDescription, CommitRequest, Committed, Diff, FileChange, MergeRequest, Merged};
use crate::workspace::Workspace;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

const DIFF_DEFAULT: usize = 1 << 20;
const DIFF_MAX: usize = 16 << 20;

pub(super) fn register(tools: &mut Tools) {
    tools.add(
        "change_describe",
        Kind::Read,
        "Describe what a head would bring to a base: commits, files, and how far they are apart.",
        describe,
    );
    tools.add(
        "change_diff",
        Kind::Read,
        "Give the unified diff from the merge base to the head.",
        diff,
    );
    tools.add_effect::<Commit, Committed>(
        "file_commit",
        Kind::Add,
        "Commit files to a branch, which is made if need be. Never touches a checkout and refuses the base branch.",
        commit,
    );
    tools.add_effect::<Merge, Merged>(
        "change_merge",
        Kind::Change,
        "Merge a commit into a branch. A conflict changes nothing.",
        merge,
    );
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Describe {
    /// The branch, tag or commit id to merge into.
    base: String,
    /// The branch, tag or commit id to merge.
    head: String,
}

fn describe(workspace: &Workspace, input: Describe) -> ToolResult<ChangeDescription> {
    let (base, head) = (
        workspace.git.resolve(&input.base)?,
        workspace.git.resolve(&input.head)?,
    );
    workspace.git.describe_change(&base, &head)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadDiff {
    /// The branch, tag or commit id to merge into.
    base: String,
    /// The branch, tag or commit id to merge.
    head: String,
    /// How much to give at most, in bytes; 1,048,576 when left out, at most 16,777,216.
    max_bytes: Option<u64>,
}

fn diff(workspace: &Workspace, input: ReadDiff) -> ToolResult<Diff> {
    let (base, head) = (
        workspace.git.resolve(&input.base)?,
        workspace.git.resolve(&input.head)?,
    );
    workspace
        .git
        .diff(&base, &head, bounded(input.max_bytes, DIFF_DEFAULT, DIFF_MAX))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Commit {
    /// The branch to make or extend; not the base branch.
    branch: String,
    /// The branch, tag or commit id to begin at when the branch does not exist.
    base: String,
    /// The files to write or delete, at most 500 with 8 MiB.
    files: Vec<FileChange>,
    /// The commit's message.
    message: String,
    /// The same for every attempt at this effect.
    idempotency_key: String,
    /// The commit id that the branch must be at; without it, the branch may be anywhere.
    expected_head: Option<String>,
}

fn commit(workspace: &Workspace, input: Commit, arguments: &Value) -> ToolResult<Value> {
    workspace
        .effects
        .run(&input.idempotency_key, "file_commit", arguments, |attempt| {
            let base = workspace.base()?;
            if input.branch == base.branch {
                return Err(ToolError::new(
                    "base_branch_refused",
                    format!(
                        "{} is the base branch; it only changes by change_merge",
                        base.branch
                    ),
                    "Commit to another branch and have it reviewed.",
                ));
            }
            let base_revision = workspace.git.resolve(&input.base)?;
            let expected_head = input
                .expected_head
                .as_deref()
                .map(|head| workspace.git.resolve(head))
                .transpose()?;
            let request = CommitRequest {
                branch: &input.branch,
                base_revision: &base_revision,
                files: &input.files,
                message: &input.message,
                effect: attempt.key,
                at_ms: attempt.first_started_ms,
                look_for_earlier: attempt.number > 1,
                expected_head: expected_head.as_deref(),
                scratch: workspace.scratch(),
            };
            let committed = attempt.step(
                "commit",
                || workspace.git.commit_files(&request),
                |committed| {
                    format!(
                        "{}:{}",
                        if committed.changed {
                            "committed"
                        } else {
                            "unchanged"
                        },
                        committed.revision
                    )
                },
            )?;
            Ok(Ended::Durably(committed))
        })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Merge {
    /// The branch to merge into.
    base: String,
    /// The commit id to merge: exactly what was reviewed, so a whole commit id and not a branch.
    head_revision: String,
    /// The merge commit's message.
    message: String,
    /// The same for every attempt at this effect.
    idempotency_key: String,
    /// The fencing token of the lock that is held, when one is.
    fencing_token: Option<u64>,
    /// The resource that the lock is for; goes with the fencing token.
    resource: Option<String>,
}

fn merge(workspace: &Workspace, input: Merge, arguments: &Value) -> ToolResult<Value> {
    match (input.fencing_token, &input.resource) {
        (Some(fencing_token), Some(resource)) => {
            workspace.fences.admit(&Fence {
                resource: resource.clone(),
                fencing_token,
            })?;
        }
        (None, None) => {}
        _ => {
            return Err(ToolError::invalid(
                "fencing_token and resource go together",
                "Give both as the lock's reply has them, or neither.",
            ));
        }
    }
    workspace
        .effects
        .run(&input.idempotency_key, "change_merge", arguments, |attempt| {
            if !crate::git::names::looks_like_object_id(&input.head_revision) {
                return Err(ToolError::invalid(
                    format!("head_revision {:?} is not a whole commit id", input.head_revision),
                    "A branch may have moved since it was reviewed; revision_resolve gives the commit id.",
                ));
            }
            let head_revision = workspace.git.resolve(&input.head_revision)?;
            let request = MergeRequest {
                base: &input.base,
                head_revision: &head_revision,
                message: &input.message,
                effect: attempt.key,
                at_ms: attempt.first_started_ms,
                look_for_earlier: attempt.number > 1,
            };
            let merged = attempt.step(
                "merge",
                || workspace.git.merge(&request),
                |merged| {
                    format!(
                        "{}:{}",
                        if merged.already_merged {
                            "already_merged"
                        } else {
                            "merged"
                        },
                        merged.revision
                    )
                },
            )?;
            Ok(Ended::Durably(merged))
        })
}
