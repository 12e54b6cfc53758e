//! Committing files to a branch by plumbing alone: no checkout is touched, no hook runs.

use super::{Git, expect_success, names};
use crate::durable;
use crate::error::{ToolError, ToolResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The trailer that names the effect which made a commit.
pub(super) const TRAILER: &str = "Guildhall-Effect";
const FILES_MAX: usize = 500;
const CONTENT_MAX: usize = 8 << 20;
const MESSAGE_MAX: usize = 64 << 10;
/// How far back a commit of an earlier attempt is looked for.
const LOOK_BACK: &str = "--max-count=2000";

/// One file to write or delete.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileChange {
    /// The path from the repository's root.
    pub path: String,
    /// The file's new text; null deletes the file.
    pub content: Option<String>,
    /// Whether the file is to be executable; left out, an existing file keeps its mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<bool>,
}

/// What is to be committed.
pub struct CommitRequest<'a> {
    /// The branch to make or extend.
    pub branch: &'a str,
    /// The commit that the branch begins at when it does not exist.
    pub base_revision: &'a str,
    /// The files.
    pub files: &'a [FileChange],
    /// The commit's message.
    pub message: &'a str,
    /// The idempotency key, recorded in the commit.
    pub effect: &'a str,
    /// The commit's time, in milliseconds since 1970: the same at each attempt.
    pub at_ms: i64,
    /// Whether an earlier attempt may have made the commit already.
    pub look_for_earlier: bool,
    /// The commit that the branch must be at.
    pub expected_head: Option<&'a str>,
    /// Where temporary indexes may be written.
    pub scratch: &'a Path,
}

/// A commit on a branch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Committed {
    /// The branch.
    pub branch: String,
    /// The commit id at which the branch now is.
    pub revision: String,
    /// Whether the branch was made by this call.
    pub created: bool,
    /// Whether there was anything to commit; false when the branch held exactly these contents already.
    pub changed: bool,
}

impl Git {
    /// Commits files to a branch, which it makes if need be. The branch must not be checked out anywhere.
    pub fn commit_files(&self, request: &CommitRequest<'_>) -> ToolResult<Committed> {
        check_request(request)?;
        let output = self
            .command()
            .args(["check-ref-format", "--branch", request.branch])
            .run()?;
        if !output.success() {
            return Err(ToolError::invalid(
                format!("{:?} is not a branch name", request.branch),
                "Use a plain name.",
            ));
        }
        if request.look_for_earlier
            && let Some((revision, parent)) = self.effect_commit(request.branch, request.effect)?
        {
            let created = parent.as_deref() == Some(request.base_revision);
            return Ok(Committed {
                branch: request.branch.into(),
                revision,
                created,
                changed: true,
            });
        }
        let head = self.branch_head(request.branch)?;
        if let Some(expected) = request.expected_head
            && head.as_deref() != Some(expected)
        {
            return Err(moved(request.branch, head.as_deref()));
        }
        if let Some(checkout) = self.checkouts_of(request.branch)?.first() {
            return Err(ToolError::new(
                "branch_checked_out",
                format!(
                    "the branch {} is checked out in {}",
                    request.branch,
                    checkout.display()
                ),
                "Commit there by hand, switch that work tree to another branch, or choose another branch name.",
            ));
        }
        let parent = head.as_deref().unwrap_or(request.base_revision);
        let tree = self.tree_with(parent, request.files, request.scratch)?;
        let parent_tree = self.expect(
            "cannot read the tree",
            ["rev-parse", &format!("{parent}^{{tree}}")],
        )?;
        if tree == parent_tree.trim() {
            return match head {
                Some(head) => Ok(Committed {
                    branch: request.branch.into(),
                    revision: head,
                    created: false,
                    changed: false,
                }),
                None => Err(ToolError::new(
                    "nothing_to_commit",
                    "the files already have exactly these contents at the base",
                    "There is nothing to do.",
                )),
            };
        }
        let message = with_trailer(request.message, request.effect);
        let commit = self.commit_tree(&tree, &[parent], &message, request.at_ms)?;
        if !self.move_branch(request.branch, &commit, head.as_deref(), "guildhall: file_commit")? {
            return Err(moved(
                request.branch,
                self.branch_head(request.branch)?.as_deref(),
            ));
        }
        Ok(Committed {
            branch: request.branch.into(),
            revision: commit,
            created: head.is_none(),
            changed: true,
        })
    }

    /// Makes a commit object; equal arguments make the same commit.
    pub(super) fn commit_tree(
        &self,
        tree: &str,
        parents: &[&str],
        message: &str,
        at_ms: i64,
    ) -> ToolResult<String> {
        let date = format!("{} +0000", at_ms / 1000);
        let mut command = self.command().args(["commit-tree", "--no-gpg-sign", "-F", "-"]);
        for parent in parents {
            command = command.args(["-p", parent]);
        }
        for (role, value) in [
            ("NAME", "Guildhall"),
            ("EMAIL", "guildhall@localhost"),
            ("DATE", &date),
        ] {
            command = command
                .env(&format!("GIT_AUTHOR_{role}"), value)
                .env(&format!("GIT_COMMITTER_{role}"), value);
        }
        let output = command.arg(tree).stdin(message).run()?;
        Ok(expect_success("cannot make the commit", output)?
            .text()
            .trim()
            .to_owned())
    }

    /// The commit on a branch that this effect made, and its first parent.
    pub(super) fn effect_commit(
        &self,
        branch: &str,
        effect: &str,
    ) -> ToolResult<Option<(String, Option<String>)>> {
        if self.branch_head(branch)?.is_none() {
            return Ok(None);
        }
        let format =
            format!("--format=%H%x01%P%x01%(trailers:key={TRAILER},valueonly,unfold,separator=%x02)");
        let text = self.expect(
            "cannot read the branch's history",
            [
                "log",
                "-z",
                "--no-show-signature",
                "--first-parent",
                LOOK_BACK,
                &format,
                "--end-of-options",
                &format!("refs/heads/{branch}"),
            ],
        )?;
        Ok(text.split('\0').find_map(|line| {
            let mut fields = line.split('\u{1}');
            let (id, parents, effects) = (fields.next()?, fields.next()?, fields.next()?);
            let made = effects.split('\u{2}').any(|value| value.trim() == effect.trim());
            made.then(|| (id.to_owned(), parents.split(' ').next().map(str::to_owned)))
        }))
    }

    fn tree_with(&self, parent: &str, files: &[FileChange], scratch: &Path) -> ToolResult<String> {
        let modes = self.modes(parent, files)?;
        let mut entries = Vec::new();
        for file in files {
            let existing = modes.get(file.path.as_str()).map(String::as_str);
            entries.push(match &file.content {
                None if existing.is_none() => {
                    return Err(ToolError::new(
                        "not_found",
                        format!(
                            "{:?} cannot be deleted: it does not exist on the branch",
                            file.path
                        ),
                        "file_list shows what is there.",
                    ));
                }
                None => format!("0 {}\t{}\0", "0".repeat(parent.len()), file.path),
                Some(content) => {
                    let output = self
                        .command()
                        .args(["hash-object", "-w", "--stdin"])
                        .stdin(content.as_bytes())
                        .run()?;
                    let blob = expect_success("cannot store the file", output)?.text();
                    let mode = match (file.executable, existing) {
                        (Some(true), _) | (None, Some("100755")) => "100755",
                        _ => "100644",
                    };
                    format!("{mode} {}\t{}\0", blob.trim(), file.path)
                }
            });
        }
        let index = scratch.join(format!("index-{}", uuid::Uuid::new_v4().simple()));
        let built = (|| {
            let run = |args: &[&str], stdin: String| {
                let command = self.command().env("GIT_INDEX_FILE", &index);
                expect_success(
                    "cannot build the tree",
                    command.args(args.iter().copied()).stdin(stdin).run()?,
                )
            };
            run(&["read-tree", parent], String::new())?;
            run(&["update-index", "-z", "--add", "--index-info"], entries.concat())?;
            Ok(run(&["write-tree"], String::new())?.text().trim().to_owned())
        })();
        let _ = std::fs::remove_file(&index); // Git may not have come as far as making it.
        built
    }

    /// The modes of those of the files that exist, after refusing all that would go through or over something else
    /// than plain files and directories.
    fn modes(&self, parent: &str, files: &[FileChange]) -> ToolResult<BTreeMap<String, String>> {
        let mut wanted: BTreeMap<&str, bool> = BTreeMap::new();
        for file in files {
            for (at, _) in file.path.match_indices('/') {
                wanted.entry(&file.path[..at]).or_insert(false);
            }
            wanted.insert(&file.path, true);
        }
        let text = self.expect(
            "cannot list the tree",
            ["ls-tree", "-r", "-t", "-z", "--full-tree", parent],
        )?;
        let mut modes = BTreeMap::new();
        for line in text.split('\0').filter(|line| !line.is_empty()) {
            let Some((about, path)) = line.split_once('\t') else {
                continue;
            };
            let Some(is_file) = wanted.get(path) else { continue };
            let mode = about.split(' ').next().unwrap_or_default();
            let fits = if *is_file {
                matches!(mode, "100644" | "100755")
            } else {
                mode == "040000"
            };
            if !fits {
                let kind = match mode {
                    "120000" => "a symlink",
                    "160000" => "a submodule",
                    "040000" => "a directory",
                    _ => "a file",
                };
                return Err(ToolError::new(
                    "path_refused",
                    format!("the path {path:?} is refused: it is {kind} on the branch"),
                    "Only plain files in plain directories can be written.",
                ));
            }
            if *is_file {
                modes.insert(path.to_owned(), mode.to_owned());
            }
        }
        Ok(modes)
    }
}

/// The message with the trailer that names its effect, in one trailer block with those that it has already.
pub(super) fn with_trailer(message: &str, effect: &str) -> String {
    let message = message.trim_end();
    let last = message.rsplit("\n\n").next().unwrap_or_default();
    let is_trailer = |line: &str| {
        line.split_once(": ").is_some_and(|(key, _)| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
    };
    let joins = message.contains("\n\n") && last.lines().all(is_trailer);
    format!(
        "{message}{}{TRAILER}: {}\n",
        if joins { "\n" } else { "\n\n" },
        effect.trim()
    )
}

/// Refuses messages that could pass for another effect's, or that are no messages.
pub(super) fn check_message(message: &str) -> ToolResult<()> {
    let claims = |line: &str| {
        line.trim_start()
            .to_ascii_lowercase()
            .starts_with("guildhall-effect")
    };
    if message.trim().is_empty()
        || message.len() > MESSAGE_MAX
        || message.contains('\0')
        || message.lines().any(claims)
    {
        return Err(ToolError::invalid(
            format!("a commit message has 1 to {MESSAGE_MAX} bytes, no NUL and no {TRAILER} line of its own"),
            "Say what the commit does in one line, then why.",
        ));
    }
    Ok(())
}

fn check_request(request: &CommitRequest<'_>) -> ToolResult<()> {
    names::check_branch(request.branch)?;
    check_message(request.message)?;
    let bytes: usize = request
        .files
        .iter()
        .filter_map(|file| file.content.as_ref())
        .map(String::len)
        .sum();
    if request.files.len() > FILES_MAX || bytes > CONTENT_MAX {
        return Err(ToolError::new(
            "too_large",
            format!("one commit takes at most {FILES_MAX} files and {CONTENT_MAX} bytes"),
            "Split it into several commits.",
        ));
    }
    if request.files.is_empty() {
        return Err(ToolError::invalid(
            "there are no files to commit",
            "Give at least one file.",
        ));
    }
    let mut seen = BTreeSet::new();
    for file in request.files {
        names::check_path(&file.path)?;
        let written = file.content.is_some();
        if !seen.insert((&file.path, written)) || seen.contains(&(&file.path, !written)) {
            return Err(ToolError::invalid(
                format!("{:?} is named twice", file.path),
                "Name each file once.",
            ));
        }
    }
    debug_assert!(
        request.at_ms <= durable::now_ms(),
        "a commit's time lies in the past"
    );
    Ok(())
}

fn moved(branch: &str, head: Option<&str>) -> ToolError {
    ToolError::new(
        "branch_moved",
        match head {
            Some(head) => format!("the branch {branch} is at {head}, not where it was expected"),
            None => format!("the branch {branch} does not exist, although a head was expected"),
        },
        "Read the branch again, and repeat the change on top of it with a new idempotency key.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trailer_joins_a_block_of_trailers_and_else_makes_one() {
        assert_eq!(with_trailer("Fix", "k"), "Fix\n\nGuildhall-Effect: k\n");
        assert_eq!(with_trailer("Fix: it\n", "k"), "Fix: it\n\nGuildhall-Effect: k\n");
        assert_eq!(
            with_trailer("Fix\n\nWhy.\n\nSigned-off-by: A <a@b>\n", "k"),
            "Fix\n\nWhy.\n\nSigned-off-by: A <a@b>\nGuildhall-Effect: k\n"
        );
        assert!(check_message("Fix\n\nguildhall-effect: other").is_err());
        assert!(check_message(" \n").is_err());
    }
}
