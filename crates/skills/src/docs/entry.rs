//! An entry from commits and evidence.

use std::collections::BTreeMap;

/// Most commits that are listed one by one.
const COMMITS_MAX: usize = 50;
/// Most characters of a commit's subject.
const SUBJECT_MAX: usize = 160;
/// Digits of a commit id in the log.
const ID_DIGITS: usize = 12;

/// A commit of the change.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Commit {
    /// Its full id.
    pub revision: String,
    /// The first line of its message.
    pub subject: String,
}

/// What is known about how the change was delivered, each as a phrase without a full stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// For example `review: no findings`.
    pub review: Option<String>,
    /// For example `2 checks passed`.
    pub checks: Option<String>,
    /// For example `deployed to production`.
    pub deployment: Option<String>,
}

/// The sections of Keep a Changelog, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// New features.
    Added,
    /// Changes in what there was.
    Changed,
    /// Features that will go.
    Deprecated,
    /// Features that have gone.
    Removed,
    /// Mended bugs.
    Fixed,
    /// Closed holes.
    Security,
}

impl Section {
    /// Every section, in order.
    pub const ALL: [Section; 6] = [
        Section::Added,
        Section::Changed,
        Section::Deprecated,
        Section::Removed,
        Section::Fixed,
        Section::Security,
    ];

    /// The heading's text.
    pub fn title(self) -> &'static str {
        match self {
            Section::Added => "Added",
            Section::Changed => "Changed",
            Section::Deprecated => "Deprecated",
            Section::Removed => "Removed",
            Section::Fixed => "Fixed",
            Section::Security => "Security",
        }
    }
}

/// Bullets by section. A bullet is one line, with indented lines under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The bullets; each is a marker by which it is known again, and its lines.
    pub bullets: BTreeMap<Section, Vec<(String, Vec<String>)>>,
}

impl Entry {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.bullets.is_empty()
    }

    /// The entry as Markdown, without a heading for the version.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for (section, bullets) in &self.bullets {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&format!("### {}\n\n", section.title()));
            for line in bullets.iter().flat_map(|(_, lines)| lines) {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

/// Builds the entry for `commits`, newest first as git lists them; merges are left out. The evidence stands under the
/// newest commit.
pub fn entry(commits: &[Commit], evidence: &Evidence) -> Entry {
    let mut entry = Entry::default();
    let told: Vec<&Commit> = commits
        .iter()
        .filter(|commit| !is_merge(&commit.subject))
        .collect();
    for (index, commit) in told.iter().take(COMMITS_MAX).enumerate() {
        let (section, subject) = classify(&commit.subject);
        let marker = format!(
            "(`{}`)",
            commit.revision.chars().take(ID_DIGITS).collect::<String>()
        );
        let mut line = format!("- {} {marker}", sentence(subject));
        let more = told.len().saturating_sub(COMMITS_MAX);
        if index == 0 && more > 0 {
            line.push_str(&format!(", with {more} older commits that are not listed"));
        }
        let mut lines = vec![line];
        if index == 0 {
            lines.extend(evidence_line(evidence));
        }
        entry.bullets.entry(section).or_default().push((marker, lines));
    }
    entry
}

fn evidence_line(evidence: &Evidence) -> Option<String> {
    let parts: Vec<String> = [&evidence.review, &evidence.checks, &evidence.deployment]
        .into_iter()
        .flatten()
        .map(|part| clean(part))
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| format!("  - Evidence: {}.", parts.join("; ")))
}

fn is_merge(subject: &str) -> bool {
    [
        "Merge branch ",
        "Merge pull request ",
        "Merge remote-tracking ",
        "Merge commit ",
        "Merge tag ",
    ]
    .iter()
    .any(|prefix| subject.starts_with(prefix))
}

/// The section of a commit, and its subject without a Conventional Commits 1.0.0 prefix.
fn classify(subject: &str) -> (Section, &str) {
    if let Some((prefix, rest)) = subject.split_once(": ") {
        let kind = prefix.trim_end_matches('!').split('(').next().unwrap_or_default();
        let section = match kind.to_ascii_lowercase().as_str() {
            "feat" | "feature" => Some(Section::Added),
            "fix" | "bugfix" | "hotfix" => Some(Section::Fixed),
            "security" | "sec" => Some(Section::Security),
            "deprecate" => Some(Section::Deprecated),
            "remove" | "revert" => Some(Section::Removed),
            "docs" | "refactor" | "perf" | "chore" | "style" | "test" | "build" | "ci" => {
                Some(Section::Changed)
            }
            _ => None,
        };
        if let Some(section) = section {
            return (section, rest);
        }
    }
    let first = subject
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let section = match first.as_str() {
        "add" | "adds" | "added" | "introduce" | "implement" | "support" => Section::Added,
        "fix" | "fixes" | "fixed" | "mend" | "correct" | "repair" => Section::Fixed,
        "remove" | "removes" | "removed" | "drop" | "delete" => Section::Removed,
        "deprecate" | "deprecates" => Section::Deprecated,
        _ => Section::Changed,
    };
    (section, subject)
}

/// One line of text that cannot become markup: subjects come from outside.
fn clean(text: &str) -> String {
    let mut cleaned = String::new();
    let mut blank = false;
    for c in text.trim().chars().take(SUBJECT_MAX) {
        if c.is_whitespace() || c.is_control() {
            blank = true;
            continue;
        }
        if blank && !cleaned.is_empty() {
            cleaned.push(' ');
        }
        blank = false;
        if matches!(c, '<' | '>' | '[' | ']' | '`' | '\\' | '*' | '_') {
            cleaned.push('\\');
        }
        cleaned.push(c);
    }
    if text.trim().chars().count() > SUBJECT_MAX {
        cleaned.push('…');
    }
    cleaned
}

/// A subject as a sentence begins.
fn sentence(subject: &str) -> String {
    let cleaned = clean(subject);
    let mut chars = cleaned.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => "(no subject)".to_owned(),
    }
}
