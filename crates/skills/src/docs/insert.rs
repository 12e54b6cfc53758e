//! Putting an entry into a file.

use super::{Entry, Section};

const PREAMBLE: &str = "# Changelog\n\nAll notable changes to this project are written down here, in the style of \
[Keep a Changelog](https://keepachangelog.com/en/1.1.0/).\n";

/// A change log with an entry in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// The whole file.
    pub text: String,
    /// Bullets that were not there before.
    pub added: usize,
}

/// Puts `entry` under the heading `## [Unreleased]`, or under `## HEADING` when one is given (a version with a date,
/// such as `[1.2.0] - 2026-11-22`). The heading, and the file, are made when they are not there. What the file says
/// already, anywhere, is not said again; everything else in it is kept byte for byte, line ends included.
pub fn insert(existing: Option<&str>, entry: &Entry, heading: Option<&str>) -> Inserted {
    let existing = existing
        .filter(|text| !text.trim().is_empty())
        .unwrap_or(PREAMBLE);
    let end = if existing.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = existing.split_inclusive('\n').map(str::to_owned).collect();
    let heading = heading.map_or_else(|| "[Unreleased]".to_owned(), one_line);
    let mut added = 0;
    for section in Section::ALL {
        let new: Vec<&Vec<String>> = entry
            .bullets
            .get(&section)
            .into_iter()
            .flatten()
            .filter(|(marker, _)| !existing.contains(marker.as_str()))
            .map(|(_, lines)| lines)
            .collect();
        if new.is_empty() {
            continue;
        }
        added += new.len();
        if let Some(last) = lines.last_mut().filter(|line| !line.ends_with('\n')) {
            last.push_str(end);
        }
        let at = place(&mut lines, &heading, section, end);
        let bullets = new.into_iter().flatten().map(|line| format!("{line}{end}"));
        lines.splice(at..at, bullets);
    }
    let text = if added == 0 {
        existing.to_owned()
    } else {
        lines.concat()
    };
    Inserted { text, added }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The line before which the section's new bullets go; makes the headings that are missing.
fn place(lines: &mut Vec<String>, heading: &str, section: Section, end: &str) -> usize {
    let outline = outline(lines);
    let wanted = plain(heading);
    let start = outline
        .iter()
        .find(|(_, level, title)| *level == 2 && plain(title) == wanted)
        .map(|(at, ..)| *at);
    let start = match start {
        Some(start) => start,
        None => make_heading(lines, &outline, heading, end),
    };
    let outline = self::outline(lines);
    let stop = outline
        .iter()
        .find(|(at, level, _)| *at > start && *level <= 2)
        .map_or_else(|| references(lines, start), |(at, ..)| *at);

    let inside: Vec<&(usize, usize, String)> = outline
        .iter()
        .filter(|(at, level, _)| *at > start && *at < stop && *level == 3)
        .collect();
    let own = inside
        .iter()
        .position(|(_, _, title)| plain(title) == plain(section.title()));
    if let Some(own) = own {
        let from = inside[own].0;
        let to = inside.get(own + 1).map_or(stop, |next| next.0);
        let last = last_text(lines, from, to);
        if last == from {
            lines.insert(from + 1, end.to_owned());
            return from + 2;
        }
        return last + 1;
    }
    // A new section goes before the first one that comes after it in the usual order.
    let order = |title: &str| {
        Section::ALL
            .iter()
            .position(|known| plain(known.title()) == plain(title))
    };
    let later = inside
        .iter()
        .find(|(_, _, title)| order(title) > order(section.title()))
        .map(|(at, ..)| *at);
    let (at, follows) = match later {
        Some(at) => (at, true),
        None => (last_text(lines, start, stop) + 1, lines.get(stop).is_some()),
    };
    let title = format!("### {}{end}", section.title());
    let mut new = vec![title, end.to_owned()];
    if later.is_none() {
        new.insert(0, end.to_owned());
        // The blank lines that follow already stand before the next heading.
        let separated = lines.get(at).is_some_and(|line| line.trim().is_empty());
        if follows && !separated {
            new.push(end.to_owned());
        }
    } else {
        new.push(end.to_owned());
    }
    let position = at + new.iter().rposition(|line| line.starts_with("###")).unwrap_or(0) + 2;
    lines.splice(at..at, new);
    position
}

/// Puts the heading before the first version and gives its line. `[Unreleased]` stays above every version.
fn make_heading(
    lines: &mut Vec<String>,
    outline: &[(usize, usize, String)],
    heading: &str,
    end: &str,
) -> usize {
    let mut versions = outline.iter().filter(|(_, level, _)| *level == 2);
    let at = versions
        .find(|(_, _, title)| plain(title) != "unreleased")
        .map_or_else(|| references(lines, 0), |(at, ..)| *at);
    let mut new = vec![format!("## {heading}{end}")];
    if lines[..at].last().is_some_and(|line| !line.trim().is_empty()) {
        new.insert(0, end.to_owned());
    }
    if at < lines.len() {
        new.push(end.to_owned());
    }
    let start = at + new.len() - 1 - usize::from(at < lines.len());
    lines.splice(at..at, new);
    start
}

/// The headings outside of code blocks: line, level, title.
fn outline(lines: &[String]) -> Vec<(usize, usize, String)> {
    let (mut headings, mut fence) = (Vec::new(), None::<char>);
    for (at, line) in lines.iter().enumerate() {
        let text = line.trim();
        let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'));
        if let Some(mark) = mark.filter(|mark| text.starts_with(&mark.to_string().repeat(3))) {
            fence = match fence {
                None => Some(mark),
                Some(open) if open == mark => None,
                open => open,
            };
            continue;
        }
        let level = line.chars().take_while(|c| *c == '#').count();
        if fence.is_none() && (1..=6).contains(&level) && line[level..].starts_with([' ', '\t']) {
            headings.push((at, level, line[level..].trim().to_owned()));
        }
    }
    headings
}

/// A title for comparing: without brackets and letter case.
fn plain(title: &str) -> String {
    title.replace(['[', ']'], "").trim().to_lowercase()
}

/// The last line with text from `from` up to `to`; `from` itself at least.
fn last_text(lines: &[String], from: usize, to: usize) -> usize {
    (from..to)
        .rev()
        .find(|at| !lines[*at].trim().is_empty())
        .unwrap_or(from)
}

/// Where the link definitions at the end of the file begin, after `start`; the end when there are none.
fn references(lines: &[String], start: usize) -> usize {
    let mut at = lines.len();
    while at > start + 1 {
        let line = lines[at - 1].trim();
        let definition = line.starts_with('[') && line.contains("]: ");
        if !definition && !line.is_empty() {
            break;
        }
        at -= 1;
    }
    if lines[at..].iter().all(|line| line.trim().is_empty()) {
        return lines.len();
    }
    // The blank line before the definitions belongs to them.
    at + lines[at..]
        .iter()
        .position(|line| !line.trim().is_empty())
        .unwrap_or(0)
}
