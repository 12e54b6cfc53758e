//! TOML, edited line by line and held against its parsed form.

use super::{Edited, line_end, only_that, replaced, scalar, set_in, with_line};
use serde_json::Value;

pub(super) fn set(text: &str, path: &[&str], value: &Value) -> Result<Edited, String> {
    let before = parse(text)?;
    scalar(&before, path)?;
    // Said by name here, or the parser would say it of the file that is not made.
    set_in(&mut before.clone(), path, value.clone())?;
    let edited = edit(text, path, &written(value)?);
    only_that(before, &parse(&edited.text)?, path, value)?;
    Ok(edited)
}

fn parse(text: &str) -> Result<Value, String> {
    let tree: toml::Table =
        toml::from_str(text).map_err(|error| format!("the file is not TOML: {}", error.message()))?;
    serde_json::to_value(tree).map_err(|error| error.to_string())
}

fn written(value: &Value) -> Result<String, String> {
    match value {
        // A basic string, whatever it holds, so that the next change finds where it ends.
        Value::String(text) => Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
        Value::Bool(yes) => Ok(yes.to_string()),
        Value::Number(number) if number.is_u64() && number.as_i64().is_none() => {
            Err(format!("{number} is more than a TOML integer holds"))
        }
        Value::Number(number) => Ok(number.to_string()),
        _ => Err("only text, numbers and booleans are set".into()),
    }
}

/// Sets the key where it stands: in its table, as a dotted key, or as a new line.
fn edit(text: &str, path: &[&str], written: &str) -> Edited {
    let mut table: Vec<String> = Vec::new();
    let mut in_list = false;
    // Where a new line goes: behind the last line of the table that is nearest to the key.
    let (mut best, mut place) = (None::<usize>, text.len());
    let mut at = 0;
    let mut multi: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        let body = line.trim_end_matches(['\n', '\r']);
        if let Some(quote) = multi {
            if body.contains(quote) {
                multi = None;
            }
            continue;
        }
        let trimmed = body.trim();
        if trimmed.starts_with('[') {
            in_list = trimmed.starts_with("[[");
            table = keys(
                trimmed
                    .trim_matches(['[', ']'])
                    .split(']')
                    .next()
                    .unwrap_or_default(),
            );
        } else if let Some((name, rest)) = split_key(body) {
            for quote in ["\"\"\"", "'''"] {
                if rest.trim_start().starts_with(quote) && rest.matches(quote).count() == 1 {
                    multi = Some(quote);
                }
            }
            let whole: Vec<String> = table.iter().cloned().chain(keys(name)).collect();
            if !in_list && whole == path {
                let value = rest.trim_start();
                let start = begin + body.len() - value.len();
                return replaced(text, start..start + value_length(value), written);
            }
        } else if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let inside = !in_list && table.len() < path.len() && table.iter().zip(path).all(|(a, b)| a == b);
        if inside && best.is_none_or(|depth| table.len() >= depth) {
            best = Some(table.len());
            place = at;
        }
    }
    let last = path[path.len() - 1];
    let parents = &path[..path.len() - 1];
    match best {
        Some(depth) if depth == parents.len() || (depth > 0) => {
            let (text, line) = with_line(text, place, &format!("{} = {written}", path[depth..].join(".")));
            Edited {
                text,
                previous: None,
                line,
            }
        }
        _ if parents.is_empty() => {
            // Before the first table, or it would belong to the last one.
            let first = text
                .split_inclusive('\n')
                .scan(0, |at, line| {
                    let begin = *at;
                    *at += line.len();
                    Some((begin, line))
                })
                .find(|(_, line)| line.trim_start().starts_with('['))
                .map_or(text.len(), |(begin, _)| begin);
            let (text, line) = with_line(text, first, &format!("{last} = {written}"));
            Edited {
                text,
                previous: None,
                line,
            }
        }
        _ => {
            let end = line_end(text);
            let gap = if text.trim().is_empty() { "" } else { end };
            let (text, line) = with_line(
                text,
                text.len(),
                &format!("{gap}[{}]{end}{last} = {written}", parents.join(".")),
            );
            let offset = 1 + usize::from(!gap.is_empty());
            Edited {
                text,
                previous: None,
                line: line + offset,
            }
        }
    }
}

/// The parts of a key or table name, quotes taken off.
fn keys(name: &str) -> Vec<String> {
    name.split('.')
        .map(|part| part.trim().trim_matches(['"', '\'']).to_owned())
        .collect()
}

/// `name` and what stands behind its `=`; nothing for a line that sets no key.
fn split_key(body: &str) -> Option<(&str, &str)> {
    let trimmed = body.trim_start();
    if trimmed.starts_with('#') {
        return None;
    }
    let (name, rest) = body.split_once('=')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-. \t\"'".contains(c);
    name.chars().all(plain).then_some((name.trim(), rest))
}

/// How many bytes the single value at the beginning of `text` has.
fn value_length(text: &str) -> usize {
    for quote in ["\"\"\"", "'''"] {
        if let Some(at) = text.strip_prefix(quote).and_then(|rest| rest.find(quote)) {
            return at + 2 * quote.len();
        }
    }
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        return text.find('#').map_or(text, |at| &text[..at]).trim_end().len();
    };
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
