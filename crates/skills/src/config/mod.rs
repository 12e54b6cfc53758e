//! Setting one key of a configuration file, everything else kept byte for byte.
//!
//! Nothing is rewritten: the value's own characters are replaced, or one line is added. What cannot be done so (a value
//! that is a list or a table, a key in flow style) is refused with the reason. TOML and JSON are parsed before and
//! after, and the change is refused unless exactly the wanted value differs.

mod env;
mod json;
mod secret;
mod toml;
mod yaml;

pub use secret::holds_secret;

use serde_json::Value;

/// The most bytes of a file that is changed.
pub const FILE_MAX: usize = 1 << 20;

/// A file with the key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The whole file.
    pub text: String,
    /// What stood there, as written; `None` when the key is new.
    pub previous: Option<String>,
    /// The line of the key, from 1.
    pub line: usize,
}

impl Edited {
    /// Whether the file is another one now.
    pub fn changed(&self, before: &str) -> bool {
        self.text != before
    }
}

/// The forms of files that can be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.0.
    Toml,
    /// JSON (RFC 8259), without comments.
    Json,
    /// YAML in block style.
    Yaml,
    /// `NAME=value` lines.
    Env,
}

impl Format {
    /// The form of a file by its name.
    pub fn of(path: &str) -> Result<Format, String> {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            _ if name == ".env" || name.starts_with(".env.") => Ok(Format::Env),
            "toml" => Ok(Format::Toml),
            "json" => Ok(Format::Json),
            "yaml" | "yml" => Ok(Format::Yaml),
            "env" => Ok(Format::Env),
            _ => Err(format!("`{path}` is no .toml, .json, .yaml, .yml or .env file")),
        }
    }
}

/// Sets `key` (its parts joined by dots) to `value`: text of one line, a number or a boolean.
pub fn set(text: &str, format: Format, key: &str, value: &Value) -> Result<Edited, String> {
    if text.len() > FILE_MAX {
        return Err(format!(
            "the file has {} bytes; at most {FILE_MAX} are edited",
            text.len()
        ));
    }
    if holds_secret(key, value) {
        return Err(format!(
            "`{key}` looks like a credential, and credentials are not committed; name a variable or a secret store instead"
        ));
    }
    let parts: Vec<&str> = key.split('.').collect();
    let plain = |part: &&str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    if !parts.iter().all(plain) || parts.len() > 20 {
        return Err(format!(
            "`{key}` is no key: its parts, joined by dots, are made of letters, digits, `_` and `-`"
        ));
    }
    match format {
        Format::Toml => toml::set(text, &parts, value),
        Format::Json => json::set(text, &parts, value),
        Format::Yaml => yaml::set(text, &parts, value),
        Format::Env => env::set(text, key, value),
    }
}

/// The line end that the text uses.
fn line_end(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// The text with `line` added before byte `at`, which is the beginning of a line or the end.
fn with_line(text: &str, at: usize, line: &str) -> (String, usize) {
    let end = line_end(text);
    let before = &text[..at];
    let open = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        end
    };
    let number = before.matches('\n').count() + usize::from(!open.is_empty()) + 1;
    (format!("{before}{open}{line}{end}{}", &text[at..]), number)
}

/// The text with the bytes of `span` replaced.
fn replaced(text: &str, span: std::ops::Range<usize>, with: &str) -> Edited {
    Edited {
        text: format!("{}{with}{}", &text[..span.start], &text[span.end..]),
        previous: Some(text[span.clone()].to_owned()),
        line: text[..span.start].matches('\n').count() + 1,
    }
}

/// Sets the value at `path` in a tree, for comparison. Fails where a part is no object.
fn set_in(tree: &mut Value, path: &[&str], value: Value) -> Result<(), String> {
    let mut at = tree;
    for (depth, part) in path.iter().enumerate() {
        let map = at
            .as_object_mut()
            .ok_or_else(|| format!("`{}` is no table", path[..depth].join(".")))?;
        if depth + 1 == path.len() {
            map.insert((*part).to_owned(), value);
            return Ok(());
        }
        at = map
            .entry((*part).to_owned())
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    Ok(())
}

/// Refuses an edit after which the parsed file differs in anything but the wanted value.
fn only_that(mut before: Value, after: &Value, path: &[&str], value: &Value) -> Result<(), String> {
    set_in(&mut before, path, value.clone())?;
    if &before == after {
        return Ok(());
    }
    Err(format!(
        "`{}` cannot be set without changing something else",
        path.join(".")
    ))
}

/// Refuses to replace what is a list or a table.
fn scalar(tree: &Value, path: &[&str]) -> Result<(), String> {
    let mut at = tree;
    for part in path {
        match at.get(part) {
            Some(next) => at = next,
            None => return Ok(()),
        }
    }
    if at.is_object() || at.is_array() {
        return Err(format!(
            "`{}` is a list or a table; only single values are set",
            path.join(".")
        ));
    }
    Ok(())
}
