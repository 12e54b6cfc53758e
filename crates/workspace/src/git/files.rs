//! Reading files and directories as they are at a revision.

use super::{Git, names};
use crate::error::{ToolError, ToolResult};
use base64::Engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest file that is read at all, in bytes.
const FILE_MAX: u64 = 32 << 20;

/// A part of a file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FileContent {
    /// The path that was asked for.
    pub path: String,
    /// The commit id it was read at.
    pub revision: String,
    /// The content: text, or base64 when `encoding` says so.
    pub content: String,
    /// utf-8 or base64 (when the part is not valid UTF-8 or holds NUL).
    pub encoding: String,
    /// Where this part begins, in bytes.
    pub offset: u64,
    /// The file's whole size in bytes.
    pub size: u64,
    /// Where to go on reading; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
}

/// A directory's entries.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FileList {
    /// The commit id it was read at.
    pub revision: String,
    /// The entries in git's order.
    pub entries: Vec<FileEntry>,
    /// Give this back as `cursor` to get the next entries; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One entry of a directory.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FileEntry {
    /// The path from the repository's root.
    pub path: String,
    /// file, executable, directory, symlink or submodule.
    pub kind: String,
    /// The size in bytes, of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

struct Object {
    id: String,
    kind: String,
    size: u64,
}

impl Git {
    /// Reads at most `max_bytes` of a file at a commit, from `offset`. Symlinks are followed inside the tree only.
    pub fn read_file(
        &self,
        revision: &str,
        path: &str,
        offset: u64,
        max_bytes: usize,
    ) -> ToolResult<FileContent> {
        names::check_path(path)?;
        let object = self.object_at(revision, path)?;
        if object.kind != "blob" {
            return Err(not_found(
                path,
                revision,
                &format!("it is a {}", spoken(&object.kind)),
            ));
        }
        let blob = self.blob(&object, path)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(blob.len());
        let mut end = start.saturating_add(max_bytes).min(blob.len());
        // A character is not cut in two where the part ends, unless the part would become empty.
        if end < blob.len() {
            let boundary = (end.saturating_sub(3)..=end)
                .rev()
                .find(|i| blob[*i] & 0xc0 != 0x80);
            end = boundary.filter(|i| *i > start).unwrap_or(end);
        }
        let part = &blob[start..end];
        let (content, encoding) = match std::str::from_utf8(part) {
            Ok(text) if !text.contains('\0') => (text.to_owned(), "utf-8"),
            _ => (base64::engine::general_purpose::STANDARD.encode(part), "base64"),
        };
        Ok(FileContent {
            path: path.to_owned(),
            revision: revision.to_owned(),
            content,
            encoding: encoding.to_owned(),
            offset: start as u64,
            size: object.size,
            next_offset: (end < blob.len()).then_some(end as u64),
        })
    }

    /// The text of a file at a commit, or `None` when there is no such file.
    pub fn text_at(&self, revision: &str, path: &str) -> ToolResult<Option<String>> {
        let object = match self.object_at(revision, path) {
            Ok(object) if object.kind == "blob" => object,
            Ok(_) => return Ok(None),
            Err(error) if error.code == "not_found" => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(
            String::from_utf8_lossy(&self.blob(&object, path)?).into_owned(),
        ))
    }

    /// Lists a directory at a commit: its own entries, or all files below it.
    pub fn list_files(
        &self,
        revision: &str,
        path: Option<&str>,
        recursive: bool,
        limit: usize,
        cursor: Option<&str>,
    ) -> ToolResult<FileList> {
        let (tree, prefix) = match path.filter(|path| !path.is_empty()) {
            None => (format!("{revision}^{{tree}}"), String::new()),
            Some(path) => {
                names::check_path(path)?;
                let object = self.object_at(revision, path)?;
                if object.kind != "tree" {
                    return Err(not_found(path, revision, "it is not a directory"));
                }
                (object.id, format!("{path}/"))
            }
        };
        let skip = match cursor {
            None => 0,
            Some(cursor) => cursor.parse::<usize>().map_err(|_| {
                ToolError::invalid(
                    "the cursor is not one that this tool gave",
                    "Leave it out to begin at the start.",
                )
            })?,
        };
        let mut command = self.command().args(["ls-tree", "-z", "-l", "--full-tree"]);
        if recursive {
            command = command.args(["-r"]);
        }
        let output = command.args(["--end-of-options", &tree]).run()?;
        let text = super::expect_success("cannot list the directory", output)?.text();
        let mut entries = text.split('\0').filter(|line| !line.is_empty()).skip(skip);
        let listed: Vec<FileEntry> = entries
            .by_ref()
            .take(limit)
            .filter_map(|line| entry(line, &prefix))
            .collect();
        // The revision is a commit id when it comes back with the cursor, so a position is a stable cursor.
        let next_cursor = entries.next().map(|_| (skip + limit).to_string());
        Ok(FileList {
            revision: revision.to_owned(),
            entries: listed,
            next_cursor,
        })
    }

    fn blob(&self, object: &Object, path: &str) -> ToolResult<Vec<u8>> {
        if object.size > FILE_MAX {
            return Err(ToolError::new(
                "too_large",
                format!("{path:?} has {} bytes; at most {FILE_MAX} are read", object.size),
                "Read another file, or look at it outside the workspace tools.",
            ));
        }
        let output = self.command().args(["cat-file", "blob", &object.id]).run()?;
        Ok(super::expect_success("cannot read the file", output)?.stdout)
    }

    /// The object at a path, through symlinks as far as they stay in the tree.
    fn object_at(&self, revision: &str, path: &str) -> ToolResult<Object> {
        let output = self
            .command()
            .args([
                "cat-file",
                "--batch-check=%(objectname) %(objecttype) %(objectsize)",
                "--follow-symlinks",
            ])
            .stdin(format!("{revision}:{path}\n"))
            .run()?;
        let text = super::expect_success("cannot look up the path", output)?.text();
        let answer = text.lines().next().unwrap_or_default();
        let words: Vec<&str> = answer.split(' ').collect();
        match words.as_slice() {
            [id, kind, size] if names::looks_like_object_id(id) => Ok(Object {
                id: (*id).to_owned(),
                kind: (*kind).to_owned(),
                size: size.parse().unwrap_or(u64::MAX),
            }),
            ["symlink", _] => Err(ToolError::new(
                "path_refused",
                format!("the path {path:?} is refused: a symlink on it leads out of the repository"),
                "Read a file that is part of the repository.",
            )),
            ["dangling", _] => Err(not_found(path, revision, "it is a symlink to nothing")),
            ["loop", _] => Err(not_found(path, revision, "its symlinks go round in a circle")),
            ["notdir", _] => Err(not_found(
                path,
                revision,
                "a part of it is a file, not a directory",
            )),
            _ => Err(not_found(path, revision, "it does not exist there")),
        }
    }
}

fn spoken(kind: &str) -> &str {
    match kind {
        "tree" => "directory",
        "commit" => "submodule",
        other => other,
    }
}

fn not_found(path: &str, revision: &str, why: &str) -> ToolError {
    ToolError::new(
        "not_found",
        format!("there is no file {path:?} at {revision}: {why}"),
        "file_list shows what is there.",
    )
}

fn entry(line: &str, prefix: &str) -> Option<FileEntry> {
    let (about, name) = line.split_once('\t')?;
    let mut words = about.split_whitespace();
    let (mode, _kind, _id, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let kind = match mode {
        "040000" => "directory",
        "100755" => "executable",
        "120000" => "symlink",
        "160000" => "submodule",
        _ => "file",
    };
    Some(FileEntry {
        path: format!("{prefix}{name}"),
        kind: kind.into(),
        size: size.parse().ok(),
    })
}
