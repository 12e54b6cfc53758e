//! YAML as far as rules need it: keys with their indentation, also when only a part of a file is seen.

use std::ops::Range;

use crate::review::source::NewLine;

/// One `key: value`, or one `- value` of a list.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub line: NewLine<'a>,
    /// Column of the key, from 0; the dash of a list item counts as indentation.
    pub indent: usize,
    /// Empty for a plain list item.
    pub key: &'a str,
    /// Without a comment and without the quotes around it.
    pub value: &'a str,
    /// True when a dash opens it.
    pub item: bool,
    /// Lines of the region that a block text (`|` or `>`) takes up; empty otherwise.
    pub block: Range<usize>,
}

/// The entries of one region. Lines of block texts are not entries.
pub(super) fn entries<'a>(lines: &[NewLine<'a>]) -> Vec<Entry<'a>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        at += 1;
        let Some(mut entry) = entry(line) else { continue };
        if entry.value.starts_with(['|', '>']) && entry.value.len() <= 3 {
            let start = at;
            let parent = entry.indent;
            let inside = |line: &NewLine<'_>| {
                let trimmed = line.text.trim_start();
                trimmed.is_empty() || line.text.len() - trimmed.len() > parent
            };
            while at < lines.len() && inside(&lines[at]) {
                at += 1;
            }
            entry.block = start..at;
        }
        found.push(entry);
    }
    found
}

fn entry<'a>(line: NewLine<'a>) -> Option<Entry<'a>> {
    let trimmed = line.text.trim_start();
    let mut indent = line.text.len() - trimmed.len();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return None;
    }
    let mut rest = trimmed;
    let mut item = false;
    while let Some(after) = rest.strip_prefix("- ") {
        let inner = after.trim_start();
        indent += rest.len() - inner.len();
        rest = inner;
        item = true;
    }
    let (key, value) = match key_length(rest) {
        Some(length) => (unquote(&rest[..length]), &rest[length + 1..]),
        None if item => ("", rest),
        None => return None,
    };
    Some(Entry {
        line,
        indent,
        key,
        value: unquote(without_comment(value)),
        item,
        block: 0..0,
    })
}

/// The length of the key that the text begins with.
fn key_length(text: &str) -> Option<usize> {
    let end = text
        .find(": ")
        .or_else(|| text.trim_end().strip_suffix(':').map(str::len))?;
    let key = &text[..end];
    let plain = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-./\"'$*".contains(&byte));
    plain.then_some(end)
}

fn without_comment(value: &str) -> &str {
    let value = value.trim();
    if value.starts_with('#') {
        return "";
    }
    value.find(" #").map_or(value, |at| value[..at].trim_end())
}

fn unquote(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// The entries that belong to `entries[at]`: those after it that stand deeper, or its list items.
pub(super) fn children<'e, 'a>(entries: &'e [Entry<'a>], at: usize) -> &'e [Entry<'a>] {
    let parent = &entries[at];
    let inside = |entry: &&Entry<'a>| entry.indent > parent.indent;
    let count = entries[at + 1..].iter().take_while(inside).count();
    &entries[at + 1..at + 1 + count]
}

/// The items of a list written in one line, such as `["a", b]`.
pub(super) fn inline_items(value: &str) -> impl Iterator<Item = &str> {
    let inner = value
        .strip_prefix('[')
        .and_then(|value| value.strip_suffix(']'))
        .unwrap_or("");
    inner
        .split(',')
        .map(|item| unquote(item.trim()))
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_know_their_depth_and_block_texts() {
        let text = "jobs:\n  a: # x\n    steps:\n      - run: |\n          echo: 1\n\n          b\n        name: 'c'\n      - plain";
        let lines: Vec<NewLine<'_>> = text
            .lines()
            .map(|text| NewLine {
                number: 1,
                added: true,
                in_tests: false,
                text,
            })
            .collect();
        let found = entries(&lines);
        let brief: Vec<(usize, &str, &str)> = found
            .iter()
            .map(|entry| (entry.indent, entry.key, entry.value))
            .collect();
        assert_eq!(
            brief,
            [
                (0, "jobs", ""),
                (2, "a", ""),
                (4, "steps", ""),
                (8, "run", "|"),
                (8, "name", "c"),
                (8, "", "plain")
            ]
        );
        assert_eq!(found[3].block, 4..7);
        assert_eq!(children(&found, 2).len(), 3);
        assert_eq!(inline_items("[\"a\", b]").collect::<Vec<_>>(), ["a", "b"]);
    }
}
