//! Blanking what is not code.

use super::Language;

/// The text with the content of comments and strings replaced by blanks. Every line keeps its number and every
/// remaining character its column, counted in characters.
pub fn mask(text: &str, language: Language) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let end = if let Some(length) = comment(rest, language) {
            blank(&mut out, &rest[..length]);
            at + length
        } else if let Some((open, length, close)) =
            string(rest, at.checked_sub(1).map(|i| characters[i]), language)
        {
            // The quotes stay, so that something is seen to stand there.
            out.extend(&rest[..open]);
            blank(&mut out, &rest[open..length - close]);
            out.extend(&rest[length - close..length]);
            at + length
        } else {
            out.push(rest[0]);
            at + 1
        };
        at = end;
    }
    out
}

fn blank(out: &mut String, characters: &[char]) {
    out.extend(characters.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
}

fn starts(characters: &[char], with: &str) -> bool {
    let mut at = characters.iter();
    with.chars().all(|wanted| at.next() == Some(&wanted))
}

/// How long the comment is that begins here.
fn comment(rest: &[char], language: Language) -> Option<usize> {
    if language.line_comments().iter().any(|mark| starts(rest, mark)) {
        return Some(rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()));
    }
    if !(language.has_block_comments() && starts(rest, "/*")) {
        return None;
    }
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        if starts(&rest[at..], "/*") && (depth == 0 || language == Language::Rust) {
            depth += 1;
            at += 2;
        } else if starts(&rest[at..], "*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    Some(rest.len())
}

/// The string that begins here: how many characters open it, how many it has in all, how many close it.
fn string(rest: &[char], before: Option<char>, language: Language) -> Option<(usize, usize, usize)> {
    if language == Language::Rust {
        let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        if let Some(found) = raw_string(rest).filter(|_| !in_word) {
            return Some(found);
        }
        if let Some(length) = character(rest) {
            return Some((1, length, 1));
        }
    }
    if language == Language::Python || language == Language::Toml {
        for quote in ["\"\"\"", "'''"] {
            if starts(rest, quote) {
                let close = (3..rest.len()).find(|at| starts(&rest[*at..], quote));
                return Some(close.map_or((3, rest.len(), 0), |at| (3, at + 3, 3)));
            }
        }
    }
    let quote = *rest.first().filter(|c| language.quotes().contains(c))?;
    // An apostrophe inside a word is prose or a number's separator.
    if quote == '\'' && before.is_some_and(char::is_alphanumeric) && language != Language::Python {
        return None;
    }
    let over_lines = quote == '`' || matches!(language, Language::Rust | Language::Shell | Language::Sql);
    let escapes = !(quote == '`' && language == Language::Go) && language != Language::Sql;
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' if escapes => at += 2,
            '\n' if !over_lines => return Some((1, at, 0)),
            c if c == quote => return Some((1, at + 1, 1)),
            _ => at += 1,
        }
    }
    Some((1, rest.len(), 0))
}

/// A raw string of Rust: `r"…"`, `r#"…"#`, with `b` or `c` before it.
fn raw_string(rest: &[char]) -> Option<(usize, usize, usize)> {
    let prefix = match rest {
        ['r', ..] => 1,
        ['b' | 'c', 'r', ..] => 2,
        _ => return None,
    };
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    let open = prefix + hashes + 1;
    if rest.get(open - 1) != Some(&'"') {
        return None;
    }
    let closes = |at: usize| {
        rest[at] == '"' && rest[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    match (open..rest.len()).find(|at| closes(*at)) {
        Some(at) => Some((open, at + 1 + hashes, 1 + hashes)),
        None => Some((open, rest.len(), 0)),
    }
}

/// A character of Rust, which a lifetime is not: `'a'`, `'\n'`, `'\u{1f600}'`.
fn character(rest: &[char]) -> Option<usize> {
    match rest {
        ['\'', '\\', ..] => rest
            .iter()
            .take(14)
            .skip(3)
            .position(|c| *c == '\'')
            .map(|at| at + 4),
        ['\'', c, '\'', ..] if *c != '\'' => Some(3),
        _ => None,
    }
}
