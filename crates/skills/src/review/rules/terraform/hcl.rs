//! HCL as far as rules need it: blocks and their attributes, also when only a part of a file is seen.

use std::collections::HashMap;

use crate::review::source::NewLine;

/// A block such as `resource "aws_s3_bucket" "logs" { ... }`. Block 0 of a region is what surrounds it.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    /// The words before the brace, without quotes; empty for the surroundings.
    pub header: Vec<String>,
    pub parent: usize,
    /// The blocks inside of it.
    pub children: Vec<usize>,
    /// Where the first attribute of each name is.
    names: HashMap<String, usize>,
    pub attributes: Vec<Attribute<'a>>,
    /// The line of the header.
    pub line: Option<NewLine<'a>>,
    /// True when both braces are in the region.
    pub closed: bool,
}

/// `name = value`, where a list or object may go over several lines.
#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub name: String,
    /// The value with its lines joined by spaces, without comments.
    pub value: String,
    pub lines: Vec<NewLine<'a>>,
}

impl<'a> Attribute<'a> {
    /// The first added line that holds one of the words, or else the first added one.
    pub fn added_with(&self, words: &[&str]) -> Option<NewLine<'a>> {
        let holds = |line: &&NewLine<'a>| line.added && words.iter().any(|word| line.text.contains(word));
        self.lines
            .iter()
            .find(holds)
            .or_else(|| self.lines.iter().find(|line| line.added))
            .copied()
    }
}

impl<'a> Block<'a> {
    fn new(header: &str, parent: usize, line: NewLine<'a>) -> Self {
        let header = header
            .split_whitespace()
            .map(|word| word.trim_matches('"').to_owned())
            .collect();
        Block {
            header,
            parent,
            line: Some(line),
            ..Block::default()
        }
    }

    fn add(&mut self, name: &str, value: &str, line: NewLine<'a>) {
        self.names.entry(name.to_owned()).or_insert(self.attributes.len());
        self.attributes.push(Attribute {
            name: name.to_owned(),
            value: value.to_owned(),
            lines: vec![line],
        });
    }

    /// The value of an attribute, without quotes.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.names.get(name).and_then(|at| self.attributes.get(*at))?;
        Some(found.value.trim_matches('"'))
    }
}

/// The blocks of one region, in order of their headers.
pub(super) fn blocks<'a>(lines: &[NewLine<'a>]) -> Vec<Block<'a>> {
    let mut blocks = vec![Block::default()];
    let mut stack = vec![0usize];
    let mut open: i64 = 0;
    for line in lines {
        let text = code(line.text);
        let current = *stack.last().unwrap_or(&0);
        if open > 0 {
            open += balance(text);
            if let Some(attribute) = blocks[current].attributes.last_mut() {
                attribute.value.push(' ');
                attribute.value.push_str(text);
                attribute.lines.push(*line);
            }
        } else if let Some((name, value)) = assignment(text) {
            open = balance(value).max(0);
            blocks[current].add(name, value, *line);
        } else if let Some(header) = text.strip_suffix('{') {
            blocks.push(Block::new(header, current, *line));
            stack.push(blocks.len() - 1);
        } else if text.starts_with('}') {
            match stack.pop() {
                Some(closed) if closed > 0 => blocks[closed].closed = true,
                _ => stack = vec![0],
            }
        } else if let Some((header, body)) = one_line(text) {
            let mut block = Block::new(header, current, *line);
            block.closed = true;
            if let Some((name, value)) = assignment(body) {
                block.add(name, value, *line);
            }
            blocks.push(block);
        }
    }
    for at in 1..blocks.len() {
        let parent = blocks[at].parent;
        blocks[parent].children.push(at);
    }
    blocks
}

/// `header { name = value }` on one line.
fn one_line(text: &str) -> Option<(&str, &str)> {
    let (header, body) = text.split_once('{')?;
    Some((header.trim(), body.strip_suffix('}')?.trim()))
}

/// The line without a comment. A `#` or `//` inside quotes belongs to the text.
fn code(text: &str) -> &str {
    let mut quoted = false;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' if at == 0 || bytes[at - 1] != b'\\' => quoted = !quoted,
            b'#' if !quoted => return text[..at].trim(),
            b'/' if !quoted && bytes.get(at + 1) == Some(&b'/') => return text[..at].trim(),
            _ => {}
        }
    }
    text.trim()
}

fn assignment(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim().trim_matches('"');
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    (plain && !value.starts_with('=')).then_some((name, value.trim()))
}

/// Opening minus closing brackets outside of quotes.
fn balance(text: &str) -> i64 {
    let mut quoted = false;
    let mut sum = 0;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' | '(' if !quoted => sum += 1,
            ']' | '}' | ')' if !quoted => sum -= 1,
            _ => {}
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_their_attributes_and_know_their_parents() {
        let text = "resource \"a\" \"b\" {\n  x = [ # c\n    \"1\",\n  ]\n  in {\n    y = true\n  }\n  z { w = 1 }\n}\ntail = 2";
        let lines: Vec<NewLine<'_>> = text
            .lines()
            .map(|text| NewLine {
                number: 1,
                added: true,
                in_tests: false,
                text,
            })
            .collect();
        let found = blocks(&lines);
        let headers: Vec<String> = found.iter().map(|block| block.header.join(" ")).collect();
        assert_eq!(headers, ["", "resource a b", "in", "z"]);
        assert_eq!(found[1].value("x"), Some("[ \"1\", ]"));
        assert_eq!(
            (found[2].value("y"), found[2].parent, found[1].closed),
            (Some("true"), 1, true)
        );
        assert_eq!(
            (found[3].value("w"), found[0].value("tail")),
            (Some("1"), Some("2"))
        );
    }
}
