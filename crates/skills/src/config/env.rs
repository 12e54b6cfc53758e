//! `NAME=value` files.

use super::{Edited, replaced, with_line};
use serde_json::Value;

pub(super) fn set(text: &str, key: &str, value: &Value) -> Result<Edited, String> {
    if key.contains(['.', '-']) || key.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("`{key}` is no name of a variable"));
    }
    let written = written(value);
    let mut at = 0;
    let mut found = None;
    for line in text.split_inclusive('\n') {
        let (begin, body) = (at, line.trim_end_matches(['\n', '\r']));
        at += line.len();
        let rest = body.trim_start();
        let rest = rest.strip_prefix("export ").map_or(rest, str::trim_start);
        let Some((name, old)) = rest.split_once('=') else {
            continue;
        };
        if name.trim_end() == key {
            let start = begin + body.len() - old.len();
            // The last one counts, as for a shell.
            found = Some(start..begin + body.len());
        }
    }
    if let Some(span) = found {
        return Ok(replaced(text, span, &written));
    }
    let (text, line) = with_line(text, text.len(), &format!("{key}={written}"));
    Ok(Edited {
        text,
        previous: None,
        line,
    })
}

fn written(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+".contains(c);
    if text.chars().all(plain) {
        return text;
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '`') || (c == '$' && !text.starts_with("${")) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}
