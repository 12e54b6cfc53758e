//! YAML in block style: mappings by indentation, single values only.

use super::{Edited, replaced, with_line};
use serde_json::Value;

struct Entry<'a> {
    indent: usize,
    key: &'a str,
    /// Where the value begins and ends, in bytes of the whole text; empty when it is on the lines below.
    value: std::ops::Range<usize>,
    /// Where the next line begins.
    next: usize,
}

pub(super) fn set(text: &str, path: &[&str], value: &Value) -> Result<Edited, String> {
    if text
        .lines()
        .skip(1)
        .any(|line| line.trim_end() == "---" || line.starts_with("--- "))
    {
        return Err("the file holds several documents".into());
    }
    if text.contains('\t')
        && text
            .lines()
            .any(|line| line.trim_start_matches(' ').starts_with('\t'))
    {
        return Err("the file is indented with tabs, which YAML does not allow".into());
    }
    let entries = entries(text)?;
    let says_something = |line: &str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#') && line != "---"
    };
    if entries.is_empty() && text.lines().any(says_something) {
        return Err("the file is no mapping".into());
    }
    let written = written(value);
    let edited = match locate(&entries, path)? {
        Place::Value(at) => {
            let span = entries[at].value.clone();
            let old = &text[span.clone()];
            if span.is_empty() && has_children(&entries, at, text) {
                return Err(format!(
                    "`{}` is a list or a table; only single values are set",
                    path.join(".")
                ));
            }
            if old.starts_with(['[', '{', '&', '*', '|', '>', '!']) {
                return Err(format!(
                    "`{}` holds {old}, which is not a single plain value",
                    path.join(".")
                ));
            }
            let with = if span.is_empty() {
                format!(" {written}")
            } else {
                written
            };
            let mut edited = replaced(text, span.clone(), &with);
            if span.is_empty() {
                edited.previous = None;
            }
            edited
        }
        Place::Under {
            parent,
            indent,
            depth,
        } => {
            let at = match parent {
                Some(parent) => end_of(&entries, parent),
                None => entries.last().map_or(text.len(), |last| last.next),
            };
            let mut lines = Vec::new();
            for (extra, part) in path[depth..].iter().enumerate() {
                let last = depth + extra + 1 == path.len();
                let value = if last {
                    format!(" {written}")
                } else {
                    String::new()
                };
                lines.push(format!("{}{part}:{value}", " ".repeat(indent + 2 * extra)));
            }
            let (text, line) = with_line(text, at, &lines.join(super::line_end(text)));
            Edited {
                text,
                previous: None,
                line: line + lines.len() - 1,
            }
        }
    };
    // Looked up again, the key must hold the new value, and every other key what it held.
    let after = self::entries(&edited.text)?;
    match locate(&after, path)? {
        Place::Value(at) if edited.text[after[at].value.clone()].trim() == self::written(value) => Ok(edited),
        _ => Err(format!(
            "`{}` cannot be set without changing something else",
            path.join(".")
        )),
    }
}

enum Place {
    Value(usize),
    Under {
        parent: Option<usize>,
        indent: usize,
        depth: usize,
    },
}

fn locate(entries: &[Entry<'_>], path: &[&str]) -> Result<Place, String> {
    let (mut from, mut to, mut parent) = (0, entries.len(), None::<usize>);
    let top = entries.iter().map(|entry| entry.indent).min().unwrap_or(0);
    for (depth, part) in path.iter().enumerate() {
        let indent = match parent {
            None => top,
            Some(parent) => {
                let own = entries[parent].indent;
                entries[from..to]
                    .first()
                    .map_or(own + 2, |entry| entry.indent.max(own + 1))
            }
        };
        let found: Vec<usize> = (from..to)
            .filter(|at| entries[*at].indent == indent && entries[*at].key == *part)
            .collect();
        match found.as_slice() {
            [] => {
                if parent.is_some_and(|parent| !entries[parent].value.is_empty()) {
                    return Err(format!("`{}` is no table", path[..depth].join(".")));
                }
                return Ok(Place::Under {
                    parent,
                    indent,
                    depth,
                });
            }
            [at] => {
                let end = (at + 1..to)
                    .find(|next| entries[*next].indent <= indent)
                    .unwrap_or(to);
                (from, to, parent) = (at + 1, end, Some(*at));
            }
            _ => {
                return Err(format!(
                    "`{}` stands in the file more than once",
                    path[..=depth].join(".")
                ));
            }
        }
    }
    parent
        .map(Place::Value)
        .ok_or_else(|| "the key is empty".to_owned())
}

/// Whether something stands below the entry that belongs to it: deeper lines, or a list at its own depth.
fn has_children(entries: &[Entry<'_>], at: usize, text: &str) -> bool {
    let entry = &entries[at];
    let rest = &text[entry.value.end..];
    let below = rest.find('\n').map_or("", |end| &rest[end + 1..]);
    let line = below
        .lines()
        .find(|line| !line.trim().is_empty() && !line.trim().starts_with('#'));
    line.is_some_and(|line| {
        let indent = line.len() - line.trim_start().len();
        indent > entry.indent || (indent == entry.indent && line.trim_start().starts_with("- "))
    })
}

/// Where the lines that belong to an entry end.
fn end_of(entries: &[Entry<'_>], at: usize) -> usize {
    let own = entries[at].indent;
    let last = entries[at..]
        .iter()
        .skip(1)
        .take_while(|entry| entry.indent > own)
        .last();
    last.map_or(entries[at].next, |last| last.next)
}

/// Every `key: value` line of a block mapping. Lists and block texts are passed over, and what they hold is not found.
fn entries(text: &str) -> Result<Vec<Entry<'_>>, String> {
    let mut found: Vec<Entry<'_>> = Vec::new();
    let mut at = 0;
    // Lines deeper than this belong to a list item or a block text.
    let mut hidden: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        let body = line.trim_end_matches(['\n', '\r']);
        let trimmed = body.trim_start();
        let indent = body.len() - trimmed.len();
        if trimmed.is_empty() || trimmed.starts_with('#') || trimmed == "---" || trimmed.starts_with('%') {
            continue;
        }
        if hidden.is_some_and(|depth| indent > depth) {
            if let Some(last) = found.last_mut() {
                last.next = at;
            }
            continue;
        }
        hidden = None;
        if trimmed.starts_with("- ") || trimmed == "-" {
            hidden = Some(indent);
            if let Some(last) = found.last_mut() {
                last.next = at;
            }
            continue;
        }
        let Some(colon) = trimmed
            .find(": ")
            .or_else(|| trimmed.ends_with(':').then(|| trimmed.len() - 1))
        else {
            return Err(format!(
                "line {} is no `key: value`",
                text[..begin].matches('\n').count() + 1
            ));
        };
        let key = trimmed[..colon].trim_matches(['"', '\'']);
        let rest = &trimmed[colon + 1..];
        let value = rest.trim_start();
        let start = begin + body.len() - value.len();
        let length = value_length(value);
        // A value that is only a comment is none; the new one goes right behind the colon.
        let span = if length == 0 {
            let colon = begin + indent + colon + 1;
            colon..colon
        } else {
            start..start + length
        };
        if value.starts_with(['|', '>']) {
            hidden = Some(indent);
        }
        found.push(Entry {
            indent,
            key,
            value: span,
            next: at,
        });
    }
    Ok(found)
}

fn value_length(text: &str) -> usize {
    if text.starts_with('#') {
        return 0;
    }
    match text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        None => text.find(" #").map_or(text, |at| &text[..at]).trim_end().len(),
        Some(quote) => {
            let mut escaped = false;
            for (at, c) in text.char_indices().skip(1) {
                match c {
                    _ if escaped => escaped = false,
                    '\\' if quote == '"' => escaped = true,
                    c if c == quote => return at + 1,
                    _ => {}
                }
            }
            text.len()
        }
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
            let word = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain);
            // Words that some reader of YAML takes for something else.
            let special = [
                "true", "false", "yes", "no", "on", "off", "null", "y", "n", "inf", "nan",
            ];
            if word && !special.contains(&text.to_ascii_lowercase().as_str()) {
                text.clone()
            } else {
                value.to_string()
            }
        }
        other => other.to_string(),
    }
}
