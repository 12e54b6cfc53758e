//! One section of a Markdown file, replaced or added, everything else kept.

/// A file with the section in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sectioned {
    /// The whole file.
    pub text: String,
    /// What became of the section.
    pub outcome: SectionOutcome,
}

/// What became of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionOutcome {
    /// It was there and says something else now.
    Replaced,
    /// It is new, at the end.
    Created,
    /// It says exactly this already.
    Unchanged,
}

/// A heading: the index of its line, its level and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Index of the line, from 0.
    pub line: usize,
    /// 1 to 6.
    pub level: usize,
    /// The text without marks at its end.
    pub text: String,
}

/// The headings of a Markdown text (ATX style), those inside fenced code left out.
pub fn headings(text: &str) -> Vec<Heading> {
    let mut found = Vec::new();
    let mut fence: Option<(char, usize)> = None;
    for (line, content) in text.lines().enumerate() {
        let indent = content.len() - content.trim_start_matches(' ').len();
        let trimmed = content.trim();
        let mark = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'));
        let length = mark.map_or(0, |mark| trimmed.chars().take_while(|c| *c == mark).count());
        match (fence, mark) {
            (Some((open, least)), Some(mark))
                if mark == open && length >= least && trimmed.len() == length =>
            {
                fence = None;
            }
            (None, Some(mark)) if length >= 3 && indent < 4 => fence = Some((mark, length)),
            _ => {}
        }
        let level = trimmed.chars().take_while(|c| *c == '#').count();
        let rest = &trimmed[level..];
        if fence.is_none()
            && indent < 4
            && (1..=6).contains(&level)
            && (rest.is_empty() || rest.starts_with([' ', '\t']))
        {
            let text = rest.trim().trim_end_matches('#').trim_end().to_owned();
            found.push(Heading { line, level, text });
        }
    }
    found
}

/// Puts `content` under the heading `section`. A section reaches to the next heading of its level or above. One that is
/// not there is added at the end, at level 2. The reason of a refusal is for people.
pub fn put_section(existing: Option<&str>, section: &str, content: &str) -> Result<Sectioned, String> {
    let existing = existing.unwrap_or_default();
    let end = if existing.contains("\r\n") { "\r\n" } else { "\n" };
    let all = headings(existing);
    let wanted = section.trim().to_lowercase();
    let same: Vec<usize> = (0..all.len())
        .filter(|at| all[*at].text.to_lowercase() == wanted)
        .collect();
    if same.len() > 1 {
        return Err(format!(
            "the file has the heading `{}` {} times",
            section.trim(),
            same.len()
        ));
    }
    let level = same.first().map_or(2, |at| all[*at].level);
    let content = content.replace("\r\n", "\n");
    let content = content.trim_matches('\n').trim_end();
    if let Some(above) = headings(content).iter().find(|heading| heading.level <= level) {
        return Err(format!(
            "the content has the heading `{}` of level {}, which would end the section of level {level}",
            above.text, above.level
        ));
    }
    if fenced_open(content) {
        return Err("the content begins a fenced block and does not end it".into());
    }
    let body: String = content.lines().map(|line| format!("{line}{end}")).collect();
    let lines: Vec<&str> = existing.split_inclusive('\n').collect();
    let Some(at) = same.first() else {
        if fenced_open(existing) {
            return Err(
                "the file begins a fenced block and does not end it, which would swallow the section".into(),
            );
        }
        let mut text = existing.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push_str(end);
        }
        if !text.trim().is_empty() && !text.ends_with(&format!("{end}{end}")) {
            text.push_str(end);
        }
        text.push_str(&format!(
            "{} {}{end}{end}{body}",
            "#".repeat(level),
            section.trim()
        ));
        return Ok(Sectioned {
            text,
            outcome: SectionOutcome::Created,
        });
    };
    let begin = all[*at].line;
    let stop = all[at + 1..]
        .iter()
        .find(|next| next.level <= level)
        .map_or(lines.len(), |next| next.line);
    let heading = lines[begin].trim_end_matches(['\n', '\r']);
    let gap = if stop < lines.len() { end } else { "" };
    let text = format!(
        "{}{heading}{end}{end}{body}{gap}{}",
        lines[..begin].concat(),
        lines[stop..].concat()
    );
    let outcome = match text == existing {
        true => SectionOutcome::Unchanged,
        false => SectionOutcome::Replaced,
    };
    Ok(Sectioned { text, outcome })
}

/// Whether the text ends inside a fenced block, which would swallow what comes behind it.
fn fenced_open(text: &str) -> bool {
    // A heading that is appended is seen unless it is inside.
    let probe = format!("{text}\n\n# probe");
    headings(&probe).last().is_none_or(|last| last.text != "probe")
}
