//! Excerpts that never show a credential.

use std::ops::Range;

use super::rules::change::is_hidden;
use super::rules::secrets::{credential_spans, looks_random};

/// The longest excerpt, in characters.
const EXCERPT_CHARS_MAX: usize = 160;
/// How much of a line on each side of the finding is looked at, in bytes: lines of minified files are megabytes long.
const SEEN_BYTES: usize = 2_000;
/// How much of it may be shown before it is cut to characters.
const SHOWN_BYTES: usize = 800;
/// What stands in place of a credential.
pub const REDACTED: &str = "[redacted]";

/// Replaces everything in `text` that looks like a credential, whether or not a rule would report it: known
/// formats, passwords in connection strings, values assigned to secret-sounding names, long random strings.
pub fn redact(text: &str) -> String {
    replace(text, spans(text), 0..text.len())
}

/// A line cut to a readable length around `focus` and redacted. With `secret`, the focus itself goes too.
pub(crate) fn excerpt(line: &str, focus: Range<usize>, secret: bool) -> String {
    let start = boundary(line, focus.start.min(line.len()));
    let end = boundary(line, focus.end.clamp(start, line.len()));
    let around = |bytes: usize| {
        let from = boundary(line, start.saturating_sub(bytes));
        from..boundary(line, end.saturating_add(bytes).min(line.len()))
    };
    // More is looked at than is shown: a credential that the cut goes through would not be recognised.
    let (seen, shown) = (around(SEEN_BYTES), around(SHOWN_BYTES));
    let window = &line[seen.clone()];
    let mut found = spans(window);
    if secret && start < end {
        found.push(start - seen.start..end - seen.start);
    }
    let text = replace(
        window,
        found.clone(),
        shown.start - seen.start..shown.end - seen.start,
    );
    let before = replace(window, found, shown.start - seen.start..start - seen.start);
    shorten(
        &text,
        before.chars().count(),
        shown.start > 0,
        shown.end < line.len(),
    )
}

fn spans(text: &str) -> Vec<Range<usize>> {
    let mut found = credential_spans(text);
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '=' | '-');
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let Some(start) = rest.find(is_word) else { break };
        let length = rest[start..].find(|c| !is_word(c)).unwrap_or(rest.len() - start);
        let word = at + start..at + start + length;
        at = word.end;
        if looks_random(&text[word.clone()]) {
            found.push(word);
        }
    }
    found
}

/// The part `shown` of a text, with the spans found in the text replaced.
fn replace(text: &str, mut found: Vec<Range<usize>>, shown: Range<usize>) -> String {
    found.sort_by_key(|span| (span.start, span.end));
    let mut out = String::new();
    let mut at = shown.start;
    for span in found.iter().filter(|span| span.start < shown.end) {
        if span.end <= at {
            continue;
        }
        if span.start > at {
            out.push_str(&text[at..span.start]);
        }
        if !out.ends_with(REDACTED) || span.start > at {
            out.push_str(REDACTED);
        }
        at = span.end;
    }
    if at < shown.end {
        out.push_str(&text[at..shown.end]);
    }
    out
}

/// Cuts a text to the longest excerpt, so that the character at `middle` is in it.
fn shorten(text: &str, middle: usize, cut_before: bool, cut_after: bool) -> String {
    let clean: Vec<char> = text.chars().map(shown).collect();
    let blank = clean.iter().take_while(|c| c.is_whitespace()).count();
    let fits = clean.len() - blank <= EXCERPT_CHARS_MAX;
    let skip = if fits {
        blank
    } else {
        middle.saturating_sub(EXCERPT_CHARS_MAX / 2).max(blank)
    };
    let kept: String = clean.iter().skip(skip).take(EXCERPT_CHARS_MAX).collect();
    let before = if cut_before || skip > blank { "… " } else { "" };
    let after = if cut_after || clean.len() > skip + EXCERPT_CHARS_MAX {
        " …"
    } else {
        ""
    };
    format!("{before}{}{after}", kept.trim())
}

/// What hides or reorders text in the diff would do the same in the review.
fn shown(c: char) -> char {
    match c {
        c if c.is_control() => ' ',
        c if is_hidden(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// The next character boundary at or before `at`.
fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(length: usize) -> String {
        let mut state: u32 = 7;
        let next = |state: &mut u32| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *state >> 16
        };
        (0..length)
            .map(|_| char::from(b"abcdefghijkmnpqrstuvwxyz23456789ABCDEFG"[next(&mut state) as usize % 39]))
            .collect()
    }

    #[test]
    fn an_excerpt_shows_the_place_and_not_the_secret() {
        let secret = random(40);
        let line = format!(
            "{} password = \"{secret}\" {}",
            "word ".repeat(900),
            "tail ".repeat(900)
        );
        let at = line.find(&secret).expect("it is there");
        let shown = excerpt(&line, at..at + 40, true);
        assert!(shown.contains("password = \"[redacted]\""), "{shown}");
        assert!(
            !shown.contains(&secret[..6]) && shown.chars().count() < 200,
            "{shown}"
        );
    }

    #[test]
    fn spans_that_overlap_leave_nothing_behind() {
        assert_eq!(replace("abcdef", vec![1..4, 2..5, 1..3], 0..6), "a[redacted]f");
    }
}
