//! Private keys in PEM, PuTTY and age form.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Severity::{Critical, Medium};
use super::formats::compile;
use crate::review::sink::Sink;
use crate::review::source::{NewLine, Source};

static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"-{5}BEGIN ((?:[A-Z0-9]+ ){0,3})PRIVATE KEY(?: BLOCK)?-{5}|PuTTY-User-Key-File-[0-9]|AGE-SECRET-KEY-1[A-Z0-9]{40,}",
    )
});

/// How far below a header its content begins: after the lines of an encrypted or PuTTY key.
const LINES_AHEAD: usize = 6;

pub(super) fn apply<'a>(source: &Source<'a>, sink: &mut Sink<'a>) {
    let mark = |line: &NewLine<'a>| {
        line.text.contains("PRIVATE KEY") || line.text.contains("KEY-") || line.text.contains("PuTTY-")
    };
    if !source.added().any(|line| mark(&line)) {
        return;
    }
    for region in source.regions() {
        for (at, line) in region
            .iter()
            .enumerate()
            .filter(|(_, line)| line.added && mark(line))
        {
            let Some(header) = HEADER.find(line.text) else {
                continue;
            };
            let next = &region[at + 1..region.len().min(at + 1 + LINES_AHEAD)];
            // A header alone is code or prose about keys.
            let here = header.as_str().starts_with("AGE-") || has_content(&line.text[header.end()..]);
            if !here && !next.iter().any(|line| line.added && has_content(line.text)) {
                continue;
            }
            let encrypted = header.as_str().contains("ENCRYPTED")
                || next
                    .iter()
                    .any(|line| line.text.contains("4,ENCRYPTED") || line.text.contains("Encryption: aes"));
            let severity = if encrypted { Medium } else { Critical };
            let message = if encrypted {
                "A private key is added; it is encrypted, so it is as safe as its passphrase."
            } else {
                "A private key is added, with its content and without a passphrase."
            };
            let span = header.start()..line.text.len();
            sink.report(super::report(
                source,
                *line,
                "secret-private-key",
                severity,
                message.to_owned(),
                span,
            ));
        }
    }
}

/// True when the text holds a run of base64 as long as a line of a key.
fn has_content(text: &str) -> bool {
    let in_key = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    text.split(|c| !in_key(c))
        .any(|run| run.len() >= 40 && run.bytes().any(|byte| byte.is_ascii_digit()))
}

/// From the end of each header to the end of the text: a key on one line has no other end.
pub(super) fn spans(text: &str) -> Vec<Range<usize>> {
    if !text.contains("KEY") {
        return Vec::new();
    }
    HEADER
        .find_iter(text)
        .map(|header| header.start()..text.len())
        .collect()
}
