//! Reading files as they are at a revision.

use super::{Kind, Tools, bounded};
use crate::error::ToolResult;
use crate::git::{FileContent, FileList, Matches};
use crate::workspace::Workspace;
use schemars::JsonSchema;
use serde::Deserialize;

const READ_DEFAULT: usize = 64 << 10;
const READ_MAX: usize = 1 << 20;

pub(super) fn register(tools: &mut Tools) {
    tools.add(
        "file_read",
        Kind::Read,
        "Read a file, or a part of it, as it is at a revision.",
        read,
    );
    tools.add(
        "file_list",
        Kind::Read,
        "List a directory as it is at a revision.",
        list,
    );
    tools.add(
        "text_search",
        Kind::Read,
        "Find the lines that hold a text at a revision.",
        search,
    );
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Read {
    /// A branch, tag or commit id.
    revision: String,
    /// The path from the repository's root.
    path: String,
    /// Where to begin, in bytes; 0 when left out.
    offset: Option<u64>,
    /// How much to read at most, in bytes; 65,536 when left out, at most 1,048,576.
    max_bytes: Option<u64>,
}

fn read(workspace: &Workspace, input: Read) -> ToolResult<FileContent> {
    let revision = workspace.git.resolve(&input.revision)?;
    let max = bounded(input.max_bytes, READ_DEFAULT, READ_MAX);
    workspace
        .git
        .read_file(&revision, &input.path, input.offset.unwrap_or(0), max)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    /// A branch, tag or commit id. Use the commit id of the first answer together with a cursor.
    revision: String,
    /// The directory; the root when left out.
    path: Option<String>,
    /// Whether to list all files below it instead of its own entries.
    #[serde(default)]
    recursive: bool,
    /// How many entries to give at most; 200 when left out, at most 2,000.
    limit: Option<u64>,
    /// What `next_cursor` said.
    cursor: Option<String>,
}

fn list(workspace: &Workspace, input: List) -> ToolResult<FileList> {
    let revision = workspace.git.resolve(&input.revision)?;
    let limit = bounded(input.limit, 200, 2000);
    workspace.git.list_files(
        &revision,
        input.path.as_deref(),
        input.recursive,
        limit,
        input.cursor.as_deref(),
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// A branch, tag or commit id.
    revision: String,
    /// What to look for: plain text, unless `regex` is set.
    pattern: String,
    /// Whether the pattern is a POSIX extended regular expression.
    #[serde(default)]
    regex: bool,
    /// Only this file, or the files below this directory.
    path: Option<String>,
    /// How many lines to give at most; 100 when left out, at most 1,000.
    limit: Option<u64>,
}

fn search(workspace: &Workspace, input: Search) -> ToolResult<Matches> {
    let revision = workspace.git.resolve(&input.revision)?;
    let limit = bounded(input.limit, 100, 1000);
    workspace.git.search(
        &revision,
        &input.pattern,
        input.regex,
        input.path.as_deref(),
        limit,
    )
}
