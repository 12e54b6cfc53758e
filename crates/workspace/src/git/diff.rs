//! What a change is: its commits, its files, its text. Always from the merge base to the head.

use super::Git;
use crate::error::{ToolError, ToolResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most commits and files that a description lists.
const LIST_MAX: usize = 1000;

/// A change, in figures.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChangeDescription {
    /// The commit id of the base.
    pub base_revision: String,
    /// The commit id of the head.
    pub head_revision: String,
    /// The commit id where they parted.
    pub merge_base: String,
    /// The commits of the head that the base lacks, newest first, at most 1000.
    pub commits: Vec<CommitSummary>,
    /// The files that differ between merge base and head, at most 1000.
    pub files: Vec<ChangedFile>,
    /// How many files differ in all.
    pub files_total: usize,
    /// How many commits the head is ahead of the base.
    pub ahead: u64,
    /// How many commits the head is behind the base.
    pub behind: u64,
}

/// One commit of a change.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CommitSummary {
    /// The commit id.
    pub revision: String,
    /// The first line of its message.
    pub subject: String,
    /// The author's name.
    pub author: String,
    /// The author's mail address.
    pub email: String,
}

/// One file of a change.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChangedFile {
    /// Its path at the head, or at the base when it was deleted.
    pub path: String,
    /// Its path before, when it was renamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_path: Option<String>,
    /// added, modified, deleted, renamed, copied or type_changed.
    pub status: String,
    /// Lines added; null when binary.
    pub added: Option<u64>,
    /// Lines removed; null when binary.
    pub removed: Option<u64>,
}

/// The text of a change.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Diff {
    /// A unified diff with three lines of context; invalid UTF-8 and NUL are replaced by U+FFFD.
    pub diff: String,
    /// Whether the diff is longer than what is here. It is cut at the end of a line.
    pub truncated: bool,
    /// The length of `diff` in bytes.
    pub bytes: usize,
    /// The commit id of the merge base.
    pub merge_base: String,
    /// The commit id of the head.
    pub head_revision: String,
}

const HARMLESS: &[&str] = &[
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "-M",
    "--ignore-submodules=none",
];

impl Git {
    /// Describes what `head` would bring to `base`; both are commit ids.
    pub fn describe_change(&self, base: &str, head: &str) -> ToolResult<ChangeDescription> {
        let merge_base = self.merge_base(base, head)?;
        let counts = self.expect(
            "cannot count the commits",
            [
                "rev-list",
                "--left-right",
                "--count",
                "--end-of-options",
                &format!("{base}...{head}"),
            ],
        )?;
        let mut counts = counts.split_whitespace().map(|n| n.parse().unwrap_or(0));
        let (behind, ahead) = (counts.next().unwrap_or(0), counts.next().unwrap_or(0));
        let mut files = self.changed_files(&merge_base, head)?;
        let files_total = files.len();
        files.truncate(LIST_MAX);
        Ok(ChangeDescription {
            commits: self.commits(base, head)?,
            base_revision: base.to_owned(),
            head_revision: head.to_owned(),
            merge_base,
            files,
            files_total,
            ahead,
            behind,
        })
    }

    /// The unified diff from the merge base to `head`, cut at a line after at most `max_bytes`.
    pub fn diff(&self, base: &str, head: &str, max_bytes: usize) -> ToolResult<Diff> {
        let merge_base = self.merge_base(base, head)?;
        let output = self
            .command()
            .args([
                "diff",
                "--unified=3",
                "--src-prefix=a/",
                "--dst-prefix=b/",
                "--no-indent-heuristic",
            ])
            .args(HARMLESS.iter().copied())
            .args(["--end-of-options", &merge_base, head])
            .output_limit(max_bytes)
            .run()?;
        let output = super::expect_success("cannot read the diff", output)?;
        let mut bytes = output.stdout.as_slice();
        if output.truncated {
            bytes = &bytes[..bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1)];
        }
        let diff = String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
        Ok(Diff {
            truncated: output.truncated,
            bytes: diff.len(),
            diff,
            merge_base,
            head_revision: head.to_owned(),
        })
    }

    fn merge_base(&self, base: &str, head: &str) -> ToolResult<String> {
        let output = self
            .command()
            .args(["merge-base", "--end-of-options", base, head])
            .run()?;
        match output.code() {
            Some(0) => Ok(output.text().lines().next().unwrap_or_default().to_owned()),
            Some(1) => Err(ToolError::new(
                "unrelated_histories",
                format!("{base} and {head} have no commit in common"),
                "Start the branch from the base branch.",
            )),
            _ => Err(ToolError::internal(
                "cannot find the merge base",
                output.failure(),
            )),
        }
    }

    fn commits(&self, base: &str, head: &str) -> ToolResult<Vec<CommitSummary>> {
        let text = self.expect(
            "cannot list the commits",
            [
                "log",
                "-z",
                "--no-show-signature",
                &format!("--max-count={LIST_MAX}"),
                "--format=%H%x01%an%x01%ae%x01%s",
                "--end-of-options",
                head,
                &format!("^{base}"),
            ],
        )?;
        let commits = text.split('\0').filter(|line| !line.is_empty()).map(|line| {
            let mut fields = line.splitn(4, '\u{1}').map(str::to_owned);
            let mut next = || fields.next().unwrap_or_default();
            let (revision, author, email, subject) = (next(), next(), next(), next());
            CommitSummary {
                revision,
                subject,
                author,
                email,
            }
        });
        Ok(commits.collect())
    }

    fn changed_files(&self, merge_base: &str, head: &str) -> ToolResult<Vec<ChangedFile>> {
        let listed = |format: &str| {
            let output = self
                .command()
                .args(["diff", format, "-z"])
                .args(HARMLESS.iter().copied())
                .args(["--end-of-options", merge_base, head])
                .run()?;
            super::expect_success("cannot list the changed files", output).map(|output| output.text())
        };
        let mut files = parse_name_status(&listed("--name-status")?);
        // Both formats list the same files in the same order.
        for (file, counts) in files.iter_mut().zip(parse_numstat(&listed("--numstat")?)) {
            (file.added, file.removed) = counts;
        }
        Ok(files)
    }
}

fn parse_name_status(text: &str) -> Vec<ChangedFile> {
    let mut fields = text.split('\0').filter(|field| !field.is_empty());
    let mut files = Vec::new();
    while let Some(status) = fields.next() {
        let (name, two_paths) = match status.as_bytes()[0] {
            b'A' => ("added", false),
            b'D' => ("deleted", false),
            b'R' => ("renamed", true),
            b'C' => ("copied", true),
            b'T' => ("type_changed", false),
            _ => ("modified", false),
        };
        let first = fields.next().unwrap_or_default().to_owned();
        let (path, previous_path) = match two_paths {
            true => (fields.next().unwrap_or_default().to_owned(), Some(first)),
            false => (first, None),
        };
        files.push(ChangedFile {
            path,
            previous_path,
            status: name.into(),
            added: None,
            removed: None,
        });
    }
    files
}

fn parse_numstat(text: &str) -> Vec<(Option<u64>, Option<u64>)> {
    let mut fields = text.split('\0').filter(|field| !field.is_empty());
    let mut counts = Vec::new();
    while let Some(field) = fields.next() {
        let mut parts = field.splitn(3, '\t');
        let added = parts.next().and_then(|n| n.parse().ok());
        let removed = parts.next().and_then(|n| n.parse().ok());
        if parts.next().is_some_and(str::is_empty) {
            // A rename: its two paths follow as fields of their own.
            fields.next();
            fields.next();
        }
        counts.push((added, removed));
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_take_two_fields_and_keep_the_rest_aligned() {
        let files = parse_name_status("M\0a\0R087\0old name\0new name\0A\0bin\0");
        let paths: Vec<_> = files
            .iter()
            .map(|f| (f.status.as_str(), f.path.as_str()))
            .collect();
        assert_eq!(
            paths,
            [("modified", "a"), ("renamed", "new name"), ("added", "bin")]
        );
        assert_eq!(files[1].previous_path.as_deref(), Some("old name"));
        let counts = parse_numstat("1\t2\ta\x003\t0\t\0old name\0new name\0-\t-\tbin\0");
        assert_eq!(counts, [(Some(1), Some(2)), (Some(3), Some(0)), (None, None)]);
    }
}
