//! An API reference from the code itself: its public items with what their comments say.

use crate::code::{Language, Outline, outline};
use serde::Deserialize;
use serde_json::{Value, json};

/// The form of a generated document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One Markdown text.
    #[default]
    Markdown,
    /// The items as JSON.
    Json,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Most bytes of a generated Markdown text.
const MARKDOWN_MAX: usize = 512 * 1024;

/// A reference of the public items of these files. Files without any are named, not described.
pub fn reference(sources: &[Source], format: Format) -> Value {
    let read: Vec<(&Source, Outline)> = sources
        .iter()
        .map(|source| {
            (
                source,
                outline(&source.text, Language::of(&source.path, &source.text)),
            )
        })
        .collect();
    let public = |found: &Outline| {
        found.functions.iter().filter(|f| f.public).count() + found.types.iter().filter(|t| t.public).count()
    };
    let items: usize = read.iter().map(|(_, found)| public(found)).sum();
    let undocumented: Vec<String> = read
        .iter()
        .flat_map(|(source, found)| undocumented(&source.path, found))
        .collect();
    let mut result = json!({
        "by": "rules",
        "files": sources.len(),
        "items": items,
        "undocumented": undocumented.iter().take(100).collect::<Vec<_>>(),
        "summary": format!(
            "{items} public items in {} files, {} of them without a comment.",
            sources.len(),
            undocumented.len()
        ),
    });
    match format {
        Format::Markdown => {
            let (text, truncated) = markdown(&read);
            result["markdown"] = json!(text);
            result["truncated"] = json!(truncated);
        }
        Format::Json => {
            let files = read.iter().map(|(source, found)| {
                let functions: Vec<_> = found.functions.iter().filter(|f| f.public).collect();
                let types: Vec<_> = found.types.iter().filter(|t| t.public).collect();
                json!({"path": source.path, "language": found.language, "functions": functions, "types": types})
            });
            result["reference"] = Value::Array(files.collect());
        }
    }
    result
}

fn undocumented(path: &str, found: &Outline) -> Vec<String> {
    let functions = found.functions.iter().filter(|f| f.public && f.doc.is_none());
    let types = found.types.iter().filter(|t| t.public && t.doc.is_none());
    let mut lines: Vec<(usize, &str)> = functions.map(|f| (f.line, f.name.as_str())).collect();
    lines.extend(types.map(|t| (t.line, t.name.as_str())));
    lines.sort_unstable();
    lines
        .into_iter()
        .map(|(line, name)| format!("{path}:{line} {name}"))
        .collect()
}

fn markdown(read: &[(&Source, Outline)]) -> (String, bool) {
    let mut text = String::from("# API reference\n");
    let mut empty = Vec::new();
    for (source, found) in read {
        let mut parts: Vec<(usize, String)> = Vec::new();
        for function in found.functions.iter().filter(|f| f.public) {
            let language = found.language.as_str();
            let doc = function.doc.as_deref().unwrap_or("(no comment)");
            let code = fenced(&function.signature, language);
            parts.push((
                function.line,
                format!("\n### `{}`\n\n{code}\n\n{}\n", function.name, quoted(doc)),
            ));
        }
        for item in found.types.iter().filter(|t| t.public) {
            let doc = item.doc.as_deref().unwrap_or("(no comment)");
            parts.push((
                item.line,
                format!("\n### {} `{}`\n\n{}\n", item.kind, item.name, quoted(doc)),
            ));
        }
        if parts.is_empty() {
            empty.push(source.path.as_str());
            continue;
        }
        parts.sort_by_key(|(line, _)| *line);
        text.push_str(&format!("\n## {}\n", source.path));
        for (_, part) in parts {
            if text.len() + part.len() > MARKDOWN_MAX {
                return (text, true);
            }
            text.push_str(&part);
        }
    }
    if !empty.is_empty() {
        text.push_str(&format!("\nWithout public items: {}.\n", empty.join(", ")));
    }
    (text, false)
}

/// A fence longer than any in the text.
fn fenced(text: &str, language: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}")
}

/// A comment's headings become bold, so that they do not take part in the document's own outline.
fn quoted(doc: &str) -> String {
    let inside = super::headings(doc);
    doc.lines()
        .enumerate()
        .map(
            |(at, line)| match inside.iter().find(|heading| heading.line == at) {
                Some(heading) => format!("**{}**", heading.text),
                None => line.to_owned(),
            },
        )
        .collect::<Vec<_>>()
        .join("\n")
}
