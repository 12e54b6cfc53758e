//! From names to commits. A branch wins over a tag of the same name, and a whole object id over both.

use super::{Git, names};
use crate::error::{ToolError, ToolResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One commit, found by a name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Resolved {
    /// The commit id in hexadecimal.
    pub revision: String,
    /// The branch, when the name was that of a local branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The first line of the commit's message.
    pub subject: String,
    /// The author's name.
    pub author: String,
    /// When it was committed, RFC 3339.
    pub committed_at: String,
}

impl Git {
    /// The commit that a branch, tag, commit id or `name~n` stands for, as a whole object id.
    pub fn resolve(&self, revision: &str) -> ToolResult<String> {
        names::check_revision(revision)?;
        let (name, steps) = revision.split_at(revision.find(['~', '^']).unwrap_or(revision.len()));
        let is_branch = !names::looks_like_object_id(name) && names::check_branch(name).is_ok();
        let start = match is_branch.then(|| self.branch_head(name)).transpose()?.flatten() {
            Some(head) => Some(format!("{head}{steps}")),
            None if name.is_empty() => None,
            None => Some(revision.to_owned()),
        };
        let commit = start.map(|start| self.peel(&start)).transpose()?.flatten();
        commit.ok_or_else(|| names::unknown_revision(revision))
    }

    /// The commit that a local branch points to.
    pub fn branch_head(&self, branch: &str) -> ToolResult<Option<String>> {
        names::check_branch(branch)?;
        self.peel(&format!("refs/heads/{branch}"))
    }

    fn peel(&self, name: &str) -> ToolResult<Option<String>> {
        let output = self
            .command()
            .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(format!("{name}^{{commit}}"))
            .run()?;
        let text = output.text();
        let id = text.trim();
        Ok((output.success() && names::looks_like_object_id(id)).then(|| id.to_owned()))
    }

    /// Resolves a name and says what the commit is.
    pub fn revision(&self, revision: &str) -> ToolResult<Resolved> {
        let id = self.resolve(revision)?;
        let is_branch = !names::looks_like_object_id(revision)
            && names::check_branch(revision).is_ok()
            && self.branch_head(revision)?.is_some();
        let text = self.expect(
            "cannot read the commit",
            [
                "log",
                "-1",
                "--no-show-signature",
                "--format=%s%x00%an%x00%cI",
                "--end-of-options",
                &id,
            ],
        )?;
        let mut fields = text.trim_end_matches('\n').split('\0').map(str::to_owned);
        let mut next = || fields.next().unwrap_or_default();
        Ok(Resolved {
            subject: next(),
            author: next(),
            committed_at: next(),
            branch: is_branch.then(|| revision.to_owned()),
            revision: id,
        })
    }

    /// Whether `ancestor` is `descendant` or comes before it.
    pub fn is_ancestor(&self, ancestor: &str, descendant: &str) -> ToolResult<bool> {
        let output = self
            .command()
            .args([
                "merge-base",
                "--is-ancestor",
                "--end-of-options",
                ancestor,
                descendant,
            ])
            .run()?;
        match output.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(ToolError::internal(
                "cannot compare the histories",
                output.failure(),
            )),
        }
    }

    /// The branch that HEAD names, if it names one.
    pub fn head_branch(&self) -> ToolResult<Option<String>> {
        let output = self
            .command()
            .args(["symbolic-ref", "--quiet", "--short", "HEAD"])
            .run()?;
        let text = output.text();
        Ok(output
            .success()
            .then(|| text.trim().to_owned())
            .filter(|name| !name.is_empty()))
    }

    /// Moves a branch from `old` to `new`, or makes it when `old` is `None`; `false` when it is no longer at `old`.
    pub(super) fn move_branch(
        &self,
        branch: &str,
        new: &str,
        old: Option<&str>,
        why: &str,
    ) -> ToolResult<bool> {
        let missing = "0".repeat(new.len());
        let output = self
            .command()
            .args([
                "update-ref",
                "--no-deref",
                "-m",
                why,
                &format!("refs/heads/{branch}"),
                new,
                old.unwrap_or(&missing),
            ])
            .run()?;
        if output.success() {
            return Ok(true);
        }
        if self.branch_head(branch)?.as_deref() != old {
            return Ok(false);
        }
        Err(ToolError::internal(
            &format!("cannot move the branch {branch}"),
            output.failure(),
        ))
    }
}
