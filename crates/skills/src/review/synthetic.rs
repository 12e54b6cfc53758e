//! Reviewing what is no difference: a file's content, or a difference without its headers.

use super::diff::{Change, FileDiff, Hunk, Line, LineKind};
use super::{Diff, DiffError, Options, Review, diff, review_diff};
use crate::code::Language;

/// The difference that adds a file with this content.
pub fn added(path: &str, content: &str) -> Diff {
    let texts: Vec<&str> = content.split_inclusive('\n').collect();
    let count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
    let lines = texts.iter().zip(1..).map(|(text, number)| Line {
        kind: LineKind::Added,
        text: text.strip_suffix('\n').unwrap_or(text).to_owned(),
        old_line: None,
        new_line: Some(number),
        newline: text.ends_with('\n'),
    });
    let hunk = Hunk {
        old_start: 0,
        old_lines: 0,
        new_start: u32::from(count > 0),
        new_lines: count,
        section: String::new(),
        lines: lines.collect(),
    };
    Diff {
        files: vec![FileDiff {
            old_path: None,
            new_path: Some(path.to_owned()),
            change: Change::Added,
            old_mode: None,
            new_mode: Some("100644".into()),
            binary: false,
            similarity: None,
            hunks: if count == 0 { vec![] } else { vec![hunk] },
        }],
    }
}

/// Whether a text is meant as a difference.
pub fn looks_like_diff(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_end).skip_while(|line| line.is_empty());
    let first = lines.next().unwrap_or_default();
    first.starts_with("diff --git ")
        || hunk_header(first)
        || (first.starts_with("--- ") && lines.next().is_some_and(|line| line.starts_with("+++ ")))
}

fn hunk_header(line: &str) -> bool {
    line.starts_with("@@ -") && line[3..].contains(" @@")
}

/// Reviews changes to one file: a difference, with or without headers, or else the file's whole new content.
pub fn review_changes(path: &str, changes: &str, options: &Options) -> Result<Review, DiffError> {
    if !looks_like_diff(changes) {
        return Ok(review_diff(&added(path, changes), options));
    }
    let text = changes.trim_start_matches(['\n', '\r']);
    if hunk_header(text.lines().next().unwrap_or_default()) {
        return super::review(&format!("--- a/{path}\n+++ b/{path}\n{text}"), options);
    }
    super::review(text, options)
}

/// Reviews the files of a difference that are in `language`; all of them without one.
pub fn review_language(
    text: &str,
    language: Option<Language>,
    options: &Options,
) -> Result<Review, DiffError> {
    let mut diff = diff::parse(text)?;
    if let Some(language) = language {
        diff.files
            .retain(|file| Language::of(file.path(), "") == language);
    }
    Ok(review_diff(&diff, options))
}
