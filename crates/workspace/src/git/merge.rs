//! Merging without a checkout, and bringing along a work tree that has the base branch checked out.

use super::commit::{check_message, with_trailer};
use super::process::GitCommand;
use super::{Git, expect_success, names};
use crate::error::{ToolError, ToolResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};

/// How often a merge begins anew because the base branch moved meanwhile.
const RACES_MAX: u32 = 5;

/// What is to be merged.
pub struct MergeRequest<'a> {
    /// The branch to merge into.
    pub base: &'a str,
    /// The commit id to merge.
    pub head_revision: &'a str,
    /// The merge commit's message.
    pub message: &'a str,
    /// The idempotency key, recorded in the commit.
    pub effect: &'a str,
    /// The commit's time, in milliseconds since 1970: the same at each attempt.
    pub at_ms: i64,
    /// Whether an earlier attempt may have merged already.
    pub look_for_earlier: bool,
}

/// A merged change.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Merged {
    /// The commit id on the base branch that holds the change.
    pub revision: String,
    /// Whether the base branch held the change before this call was first made.
    pub already_merged: bool,
    /// What became of a work tree that has the base branch checked out.
    pub checkout: Checkout,
}

/// What became of the work tree that has the base branch checked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checkout {
    /// No work tree has it checked out.
    None,
    /// It shows the merged state.
    Updated,
    /// Somebody changed it at the same moment: `git status` there shows the merge as undone; `git reset --merge` mends it.
    LeftBehind,
}

impl Git {
    /// Merges a commit into a branch with a merge commit. When the branch is checked out, that work tree must be
    /// clean and is brought along; otherwise nothing changes and the error is `worktree_dirty`.
    pub fn merge(&self, request: &MergeRequest<'_>) -> ToolResult<Merged> {
        check_message(request.message)?;
        for _ in 0..RACES_MAX {
            let old = self
                .branch_head(request.base)?
                .ok_or_else(|| names::unknown_branch(request.base))?;
            if self.is_ancestor(request.head_revision, &old)? {
                return self.merged_before(request, old);
            }
            let tree = self.merged_tree(&old, request)?;
            let message = with_trailer(request.message, request.effect);
            let new = self.commit_tree(&tree, &[&old, request.head_revision], &message, request.at_ms)?;
            let checkouts = self.checkouts_of(request.base)?;
            for checkout in &checkouts {
                require_clean(checkout, &old, &new)?;
            }
            if self.move_branch(request.base, &new, Some(&old), "guildhall: change_merge")? {
                let checkout = bring_along(&checkouts, &old, &new)?;
                return Ok(Merged {
                    revision: new,
                    already_merged: false,
                    checkout,
                });
            }
        }
        Err(ToolError::new(
            "branch_moved",
            format!(
                "the branch {} moved {RACES_MAX} times during the merge",
                request.base
            ),
            "Try again with the same idempotency key.",
        ))
    }

    /// The head is in the base already: by an earlier attempt of this effect, or by somebody else.
    fn merged_before(&self, request: &MergeRequest<'_>, base_head: String) -> ToolResult<Merged> {
        let checkouts = self.checkouts_of(request.base)?;
        if request.look_for_earlier
            && let Some((revision, Some(parent))) = self.effect_commit(request.base, request.effect)?
        {
            // The attempt may have died between moving the branch and bringing the work tree along.
            let checkout = if revision == base_head {
                bring_along(&checkouts, &parent, &revision)?
            } else {
                presence(&checkouts)
            };
            return Ok(Merged {
                revision,
                already_merged: false,
                checkout,
            });
        }
        Ok(Merged {
            revision: base_head,
            already_merged: true,
            checkout: presence(&checkouts),
        })
    }

    fn merged_tree(&self, old: &str, request: &MergeRequest<'_>) -> ToolResult<String> {
        let output = self
            .command()
            .args(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"])
            .args(["--end-of-options", old, request.head_revision])
            .run()?;
        let text = output.text();
        let mut fields = text.split('\0').filter(|field| !field.is_empty());
        let tree = fields.next().unwrap_or_default().trim().to_owned();
        match output.code() {
            Some(0) if names::looks_like_object_id(&tree) => Ok(tree),
            Some(1) => {
                let files: Vec<&str> = fields.collect();
                Err(ToolError::new(
                    "merge_conflict",
                    format!(
                        "{} does not merge into {}: {}",
                        request.head_revision,
                        request.base,
                        files.join(", ")
                    ),
                    format!(
                        "Merge {} into the branch, resolve the conflicts there, and ask again.",
                        request.base
                    ),
                )
                .with_details(json!({ "files": files })))
            }
            _ if output.stderr.contains("unrelated histories") => Err(ToolError::new(
                "unrelated_histories",
                format!(
                    "{} and {} have no commit in common",
                    request.base, request.head_revision
                ),
                "Start the branch from the base branch.",
            )),
            _ => Err(ToolError::internal("cannot merge", output.failure())),
        }
    }

    /// The work trees that have a branch checked out.
    pub(super) fn checkouts_of(&self, branch: &str) -> ToolResult<Vec<PathBuf>> {
        let text = self.expect(
            "cannot list the work trees",
            ["worktree", "list", "--porcelain", "-z"],
        )?;
        let wanted = format!("branch refs/heads/{branch}");
        let mut checkouts = Vec::new();
        for worktree in text.split("\0\0") {
            let path = worktree
                .split('\0')
                .find_map(|line| line.strip_prefix("worktree "));
            if let Some(path) = path
                && worktree.split('\0').any(|line| line == wanted)
                && Path::new(path).is_dir()
            {
                checkouts.push(PathBuf::from(path));
            }
        }
        Ok(checkouts)
    }
}

fn presence(checkouts: &[PathBuf]) -> Checkout {
    if checkouts.is_empty() {
        Checkout::None
    } else {
        Checkout::Updated
    }
}

fn in_checkout(checkout: &Path, args: &[&str]) -> ToolResult<super::process::Output> {
    GitCommand::in_directory(checkout)
        .args(args.iter().copied())
        .run()
}

/// The work tree has nothing uncommitted, and going from `old` to `new` would overwrite nothing that is not git's.
fn require_clean(checkout: &Path, old: &str, new: &str) -> ToolResult<()> {
    let dirty = |what: String| {
        Err(ToolError::new(
            "worktree_dirty",
            format!(
                "{} has the base branch checked out and {what}",
                checkout.display()
            ),
            "Commit, stash or move the changes there, or switch it to another branch; then ask again.",
        ))
    };
    let status = in_checkout(
        checkout,
        &["status", "--porcelain=v1", "-z", "--untracked-files=no"],
    )?;
    let status = expect_success("cannot look at the work tree", status)?.text();
    let changed: Vec<&str> = status
        .split('\0')
        .filter(|line| !line.is_empty())
        .take(10)
        .collect();
    if !changed.is_empty() {
        return dirty(format!("has uncommitted changes ({})", changed.join(", ")));
    }
    refresh(checkout)?;
    let rehearsal = in_checkout(checkout, &["read-tree", "-n", "-m", "-u", old, new])?;
    if !rehearsal.success() {
        return dirty(format!(
            "the merge would overwrite files there: {}",
            rehearsal.failure()
        ));
    }
    Ok(())
}

/// A touched file has another time but the same content; git must learn that before it moves the tree.
fn refresh(checkout: &Path) -> ToolResult<()> {
    in_checkout(checkout, &["update-index", "-q", "--refresh"]).map(drop)
}

/// Moves clean work trees from `old` to `new` after the branch has moved.
fn bring_along(checkouts: &[PathBuf], old: &str, new: &str) -> ToolResult<Checkout> {
    let mut outcome = presence(checkouts);
    for checkout in checkouts {
        refresh(checkout)?;
        let is_at = |revision: &str| {
            let index = in_checkout(checkout, &["diff-index", "--cached", "--quiet", revision, "--"])?;
            let tree = in_checkout(checkout, &["diff-files", "--quiet"])?;
            ToolResult::Ok(index.success() && tree.success())
        };
        if is_at(new)? {
            continue;
        }
        // Only a tree that shows exactly the old state is moved; read-tree refuses to overwrite anything else.
        if !is_at(old)? || !in_checkout(checkout, &["read-tree", "-m", "-u", old, new])?.success() {
            outcome = Checkout::LeftBehind;
        }
    }
    Ok(outcome)
}
