//! What a declaration says of itself: its signature, and the comment that belongs to it.

use super::Language;

/// Most characters of a signature or a mark.
const SHOWN_MAX: usize = 200;

pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The declaration up to its body, on one line.
pub(super) fn signature(lines: &[&str], bare: &[&str], at: usize, language: Language) -> String {
    let stop: &[char] = match language {
        Language::Python => &[':'],
        Language::Sql => &['$'],
        _ => &['{', ';'],
    };
    let mut parts = Vec::new();
    // Inside brackets a semicolon ends nothing: `[u8; 4]`.
    let mut depth = 0i32;
    for (line, bare) in lines.iter().zip(bare).skip(at).take(20) {
        // A colon ends Python's only where the line ends with it: annotations have colons too.
        let cut = match language {
            Language::Python => bare
                .trim_end()
                .ends_with(':')
                .then(|| bare.trim_end().chars().count() - 1),
            _ => bare.chars().position(|c| {
                depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
                depth <= 0 && stop.contains(&c)
            }),
        };
        let kept: String = cut.map_or_else(|| (*line).to_owned(), |cut| line.chars().take(cut).collect());
        parts.push(kept.trim().to_owned());
        if cut.is_some() {
            break;
        }
    }
    let whole = parts.join(" ");
    shorten(
        crate::review::redact(whole.split_whitespace().collect::<Vec<_>>().join(" ").as_str())
            .trim_end_matches("=>")
            .trim(),
    )
}

/// What is said about what is declared at `at`: the comment lines directly before it, or Python's docstring.
pub(super) fn doc(lines: &[&str], at: usize, language: Language) -> Option<String> {
    if language == Language::Python
        && let Some(found) = docstring(lines, at)
    {
        return Some(found);
    }
    let mut said = Vec::new();
    for line in lines[..at].iter().rev() {
        let line = line.trim();
        let attribute = line.starts_with("#[") || line.starts_with('@');
        if attribute && said.is_empty() {
            continue;
        }
        let comment = match language {
            Language::Rust => line.starts_with("///") || line.starts_with("/**") || line.starts_with('*'),
            Language::Sql => line.starts_with("--"),
            Language::Python | Language::Shell => line.starts_with('#') && !line.starts_with("#!"),
            _ => ["//", "/*", "*"].iter().any(|mark| line.starts_with(mark)),
        };
        if !comment || said.len() > 60 {
            break;
        }
        let text = line
            .trim_start_matches(['/', '*', '!', '#', '-'])
            .trim_end_matches("*/");
        said.push(text.strip_prefix(' ').unwrap_or(text).trim_end().to_owned());
    }
    said.reverse();
    let text = said.join("\n").trim().to_owned();
    (!text.is_empty()).then(|| crate::review::redact(&text))
}

fn docstring(lines: &[&str], at: usize) -> Option<String> {
    let header = (at..lines.len().min(at + 20)).find(|i| lines[*i].trim_end().ends_with(':'))?;
    let first = lines.get(header + 1)?.trim();
    let quote = ["\"\"\"", "'''"]
        .into_iter()
        .find(|quote| first.starts_with(quote))?;
    let mut said = String::new();
    for line in &lines[header + 1..lines.len().min(header + 60)] {
        let text = line.trim().trim_start_matches(quote);
        if let Some((last, _)) = text
            .split_once(quote)
            .filter(|_| !said.is_empty() || !text.is_empty())
        {
            said.push_str(last);
            break;
        }
        let closed = line.trim().len() > quote.len() && line.trim().ends_with(quote);
        said.push_str(text.trim_end_matches(quote));
        said.push('\n');
        if closed || (line.trim() == quote && said.trim().len() > 1 && said.lines().count() > 1) {
            break;
        }
    }
    let text = said.trim().to_owned();
    (!text.is_empty()).then(|| crate::review::redact(&text))
}
