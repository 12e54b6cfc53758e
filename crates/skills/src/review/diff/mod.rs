//! Unified diffs, as `git diff`, `git show`, `git format-patch` and `diff -u` write them.
//!
//! [`parse`] is strict about what matters to a reviewer: every added line is either in the result or the
//! text is refused, so nothing slips past review because a header was odd or a text was cut off.

mod parse;
mod path;
mod render;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use parse::parse;

/// A whole diff: the files it touches, in its own order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The touched files.
    pub files: Vec<FileDiff>,
}

/// What happened to a file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// The file is new.
    Added,
    /// The file is gone.
    Deleted,
    /// The file stayed where it is.
    Modified,
    /// The file moved, and may have changed on the way.
    Renamed,
    /// The file was copied from another one.
    Copied,
}

/// The changes to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDiff {
    /// Path before the change, without git's `a/`; none for an added file.
    pub old_path: Option<String>,
    /// Path after the change, without git's `b/`; none for a deleted file.
    pub new_path: Option<String>,
    /// What happened to the file as a whole.
    pub change: Change,
    /// File mode before, as git writes it (`100644`); none when the diff does not say.
    pub old_mode: Option<String>,
    /// File mode after, as git writes it (`120000` is a symbolic link, `160000` a submodule).
    pub new_mode: Option<String>,
    /// True when the content is binary, so that no hunks show it.
    pub binary: bool,
    /// For a rename or copy: how much stayed the same, in percent.
    pub similarity: Option<u8>,
    /// The changed regions, in file order.
    pub hunks: Vec<Hunk>,
}

/// One changed region of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// First line on the old side, from 1 (0 when the old side is empty).
    pub old_start: u32,
    /// Count of lines on the old side.
    pub old_lines: u32,
    /// First line on the new side, from 1 (0 when the new side is empty).
    pub new_start: u32,
    /// Count of lines on the new side.
    pub new_lines: u32,
    /// The text after the second `@@`, usually the enclosing function; may be empty.
    pub section: String,
    /// The lines: context, removed and added.
    pub lines: Vec<Line>,
}

/// Which side of the change a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineKind {
    /// On both sides.
    Context,
    /// On the new side only.
    Added,
    /// On the old side only.
    Removed,
}

/// One line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which side it belongs to.
    pub kind: LineKind,
    /// Its text without the marker and the line feed; a carriage return is kept.
    pub text: String,
    /// Line number on the old side, from 1; none for an added line.
    pub old_line: Option<u32>,
    /// Line number on the new side, from 1; none for a removed line.
    pub new_line: Option<u32>,
    /// False when the diff says that the file ends here without a line feed.
    pub newline: bool,
}

impl FileDiff {
    /// The path to show people: the new one, or the old one of a deleted file.
    pub fn path(&self) -> &str {
        self.new_path
            .as_deref()
            .or(self.old_path.as_deref())
            .unwrap_or("")
    }

    /// All lines of all hunks, in order.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.hunks.iter().flat_map(|hunk| &hunk.lines)
    }

    /// The added lines of all hunks, in order.
    pub fn added(&self) -> impl Iterator<Item = &Line> {
        self.lines().filter(|line| line.kind == LineKind::Added)
    }

    /// The removed lines of all hunks, in order.
    pub fn removed(&self) -> impl Iterator<Item = &Line> {
        self.lines().filter(|line| line.kind == LineKind::Removed)
    }
}

impl Line {
    /// The line's text without a trailing carriage return.
    pub fn content(&self) -> &str {
        self.text.strip_suffix('\r').unwrap_or(&self.text)
    }
}

/// Why a text was refused as a diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffError {
    /// Line of the diff text, from 1, where reading stopped.
    pub line: u32,
    /// What was wrong there.
    pub kind: DiffErrorKind,
}

/// The ways in which a text fails to be a diff that can be reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiffErrorKind {
    /// A combined diff of a merge commit (`diff --cc`), which has no single old side.
    Combined,
    /// The text is not empty, and no file header is in it.
    NotADiff,
    /// A hunk header (`@@ -1,2 +1,3 @@`) that cannot be read.
    HunkHeader,
    /// A hunk that no file header precedes.
    HunkWithoutFile,
    /// A hunk with fewer lines than its header says: the text was cut off or edited.
    HunkTooShort,
    /// Lines after a hunk that its header does not count: the text was edited.
    HunkTooLong,
    /// A file header whose paths cannot be read.
    Path,
}

impl fmt::Display for DiffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (why, next) = match self.kind {
            DiffErrorKind::Combined => (
                "it is a combined diff of a merge commit",
                "make it against one parent: `git diff BASE...HEAD` or `git show --first-parent`",
            ),
            DiffErrorKind::NotADiff => (
                "no file header (`diff --git` or `---`/`+++`) is in it",
                "send the output of `git diff`",
            ),
            DiffErrorKind::HunkHeader => (
                "a hunk header does not have the form `@@ -1,2 +1,3 @@`",
                "send the output of `git diff` unchanged",
            ),
            DiffErrorKind::HunkWithoutFile => (
                "a hunk comes before any file header",
                "send the whole output of `git diff`, headers included",
            ),
            DiffErrorKind::HunkTooShort => (
                "a hunk has fewer lines than its header says, so the text was cut off or edited",
                "send the whole output of `git diff`, or review fewer files at a time",
            ),
            DiffErrorKind::HunkTooLong => (
                "a hunk has more lines than its header says, so the text was edited",
                "send the output of `git diff` unchanged",
            ),
            DiffErrorKind::Path => (
                "the paths of a file header cannot be read",
                "send the output of `git diff` with its default prefixes",
            ),
        };
        write!(f, "cannot read the diff at line {}: {why}; {next}", self.line)
    }
}

impl std::error::Error for DiffError {}
