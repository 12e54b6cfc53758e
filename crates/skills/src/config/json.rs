//! JSON, edited in place.

use super::{Edited, line_end, only_that, replaced, scalar, set_in};
use serde_json::Value;
use std::ops::Range;

pub(super) fn set(text: &str, path: &[&str], value: &Value) -> Result<Edited, String> {
    let parse = |text: &str| {
        serde_json::from_str::<Value>(text).map_err(|error| format!("the file is not JSON: {error}"))
    };
    let before = parse(text)?;
    scalar(&before, path)?;
    let mut wanted = before.clone();
    set_in(&mut wanted, path, value.clone())?;
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        at: 0,
    };
    let edited = match scanner.find(path)? {
        Found::Value(span) => replaced(text, span, &value.to_string()),
        Found::Object { span, depth } => insert(text, span, &path[depth..], value),
    };
    only_that(before, &parse(&edited.text)?, path, value)?;
    Ok(edited)
}

enum Found {
    /// The bytes of the value.
    Value(Range<usize>),
    /// The object that lacks the part `depth` of the path.
    Object { span: Range<usize>, depth: usize },
}

/// Adds a member at the end of an object, on a line of its own when the others are.
fn insert(text: &str, object: Range<usize>, path: &[&str], value: &Value) -> Edited {
    let mut member = value.to_string();
    for part in path[1..].iter().rev() {
        member = format!("{{{}: {member}}}", Value::from(*part));
    }
    member = format!("{}: {member}", Value::from(path[0]));
    let inside = &text[object.start + 1..object.end - 1];
    let content = object.start + 1 + inside.trim_end().len();
    let empty = inside.trim().is_empty();
    let lines = inside.contains('\n');
    let indent: String = match inside.lines().find(|line| !line.trim().is_empty()) {
        Some(line) if lines => line.chars().take_while(|c| c.is_whitespace()).collect(),
        _ => String::new(),
    };
    let (comma, space) = match (empty, lines) {
        (true, _) => ("", String::new()),
        (false, true) => (",", format!("{}{indent}", line_end(text))),
        (false, false) => (",", " ".to_owned()),
    };
    let (head, tail) = if empty {
        (&text[..object.start + 1], &text[object.end - 1..])
    } else {
        (&text[..content], &text[content..])
    };
    let before = format!("{head}{comma}{space}");
    let line = before.matches('\n').count() + 1;
    Edited {
        text: format!("{before}{member}{tail}"),
        previous: None,
        line,
    }
}

/// Walks over a text that is known to be JSON.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn blank(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// Passes over the value that begins here and gives its bytes.
    fn skip(&mut self) -> Range<usize> {
        self.blank();
        let start = self.at;
        match self.bytes.get(self.at) {
            Some(b'"') => self.string(),
            Some(b'{' | b'[') => {
                let mut depth = 0usize;
                while let Some(byte) = self.bytes.get(self.at) {
                    match byte {
                        b'"' => {
                            self.string();
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            _ => {
                while self
                    .bytes
                    .get(self.at)
                    .is_some_and(|b| !b",}] \t\r\n".contains(b))
                {
                    self.at += 1;
                }
            }
        }
        start..self.at
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += match byte {
                b'\\' => 2,
                b'"' => {
                    self.at += 1;
                    return;
                }
                _ => 1,
            };
        }
    }

    /// The value at the path, or the innermost object on its way that does not go on.
    fn find(&mut self, path: &[&str]) -> Result<Found, String> {
        let mut depth = 0;
        loop {
            let object = {
                let mut whole = Scanner {
                    bytes: self.bytes,
                    at: self.at,
                };
                whole.skip()
            };
            if depth == path.len() {
                return Ok(Found::Value(object));
            }
            if self.bytes.get(object.start) != Some(&b'{') {
                return Err(format!("`{}` is no object", path[..depth].join(".")));
            }
            self.at = object.start + 1;
            let mut found = None;
            loop {
                self.blank();
                if self.bytes.get(self.at) != Some(&b'"') {
                    break;
                }
                let name = self.skip();
                let name: String =
                    serde_json::from_slice(&self.bytes[name]).map_err(|error| error.to_string())?;
                self.blank();
                self.at += 1;
                self.blank();
                let begin = self.at;
                self.skip();
                if name == path[depth] {
                    // The last of several counts, as for the parser.
                    found = Some(begin);
                }
                self.blank();
                if self.bytes.get(self.at) != Some(&b',') {
                    break;
                }
                self.at += 1;
            }
            match found {
                Some(begin) => self.at = begin,
                None => return Ok(Found::Object { span: object, depth }),
            }
            depth += 1;
        }
    }
}
