//! Review of a diff by rules: no model, no clock, no IO.
//!
//! [`review`] reads a unified diff and gives a verdict with findings. Every rule is listed by [`rules`] and
//! has a page in `docs/rules/`. Only added lines raise findings, except for the rules about removed tests.
//! Nothing in the diff can switch a rule off: what a change says about itself never authorises it.

pub mod diff;
mod path;
mod redact;
mod rules;
mod sink;
mod source;
mod synthetic;

use serde::{Deserialize, Serialize};

pub use diff::{Diff, DiffError};
pub use redact::{REDACTED, redact};
pub use rules::rules;
pub use synthetic::{added, looks_like_diff, review_changes, review_language};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Info,
    /// A better way exists.
    Low,
    /// Should be changed or explained before it is merged.
    Medium,
    /// Likely to cause an outage, a loss of data or a breach.
    High,
    /// Harm is done as soon as others can read or run it.
    Critical,
}

impl Severity {
    /// The lowercase name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// What the review says about the change as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No findings.
    Approve,
    /// Findings, none of which has to hold the change up.
    Comment,
    /// At least one finding of the blocking severity.
    Block,
}

/// The area that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Credentials in the text.
    Secrets,
    /// SQL migrations.
    Database,
    /// Container images.
    Container,
    /// Continuous-integration workflows.
    Ci,
    /// Kubernetes manifests.
    Kubernetes,
    /// Infrastructure as code.
    Infrastructure,
    /// The shape of the change itself.
    Change,
    /// Tests that are removed or switched off.
    Tests,
    /// Source code in general.
    Code,
}

/// What a rule is, for lists and documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RuleInfo {
    /// Stable name, such as `sql-drop-table`; its page is `docs/rules/ID.md`.
    pub id: &'static str,
    /// A few words for people.
    pub title: &'static str,
    /// The usual severity; a finding may be rated lower (in tests and documentation) or higher by what it holds.
    pub severity: Severity,
    /// The area that the rule is about.
    pub category: Category,
    /// One sentence: what is reported, and why.
    pub description: &'static str,
}

/// One thing that a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Id of the rule.
    pub rule: String,
    /// How much it matters here.
    pub severity: Severity,
    /// Path of the file, of the old side when the file is gone; empty when the finding is about the whole change.
    pub file: String,
    /// Line number from 1: on the new side, or on the old side for something removed. None: the whole file.
    pub line: Option<u32>,
    /// What was found and why it matters.
    pub message: String,
    /// What to do instead.
    pub suggestion: String,
    /// The line, shortened, with everything that looks like a credential replaced; may be empty.
    pub excerpt: String,
}

/// The outcome of a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// What to do with the change.
    pub verdict: Verdict,
    /// The findings, the most severe first, then by file and line. At most [`Options::max_findings`].
    pub findings: Vec<Finding>,
    /// Count of files in the diff.
    pub files_reviewed: u32,
    /// Count of added lines.
    pub lines_added: u32,
    /// Count of removed lines.
    pub lines_removed: u32,
    /// One or two sentences for people.
    pub summary: String,
    /// When findings were left out: how many, and why.
    pub truncated: Option<String>,
}

/// How to review. Every field has a default, so `{}` is valid JSON for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The verdict is to block when a finding is at least this severe.
    pub block_at: Severity,
    /// The most findings to list; the verdict and the summary count all of them.
    pub max_findings: u32,
    /// A change of more lines than this (generated files left out) is called oversized.
    pub oversized_lines: u32,
    /// Ids of rules that are not applied. Never take this from the change under review.
    pub disabled_rules: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            block_at: Severity::High,
            max_findings: 100,
            oversized_lines: 1000,
            disabled_rules: Vec::new(),
        }
    }
}

/// Reviews a diff text. Fails when the text is not a diff that can be read to its end.
pub fn review(diff_text: &str, options: &Options) -> Result<Review, DiffError> {
    Ok(review_diff(&diff::parse(diff_text)?, options))
}

/// Reviews a diff that has been parsed.
pub fn review_diff(diff: &Diff, options: &Options) -> Review {
    let files: Vec<source::Source<'_>> = diff.files.iter().map(source::Source::new).collect();
    let mut sink = sink::Sink::new(options);
    rules::apply(&files, options, &mut sink);

    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let files_reviewed = count(diff.files.len());
    let lines_added = count(diff.files.iter().map(|file| file.added().count()).sum());
    let lines_removed = count(diff.files.iter().map(|file| file.removed().count()).sum());
    let verdict = match sink.worst() {
        None => Verdict::Approve,
        Some(worst) if worst >= options.block_at => Verdict::Block,
        Some(_) => Verdict::Comment,
    };
    let size = format!(
        "{}, +{lines_added} −{lines_removed} lines",
        plural(files_reviewed, "file")
    );
    let summary = match verdict {
        Verdict::Approve if files_reviewed == 0 => "The diff is empty: nothing to review.".to_owned(),
        Verdict::Approve => format!("No findings in {size}."),
        Verdict::Comment => format!("Worth a look: {} in {size}.", sink.tally()),
        Verdict::Block => format!(
            "Blocked: {} in {size}. A finding of severity {} or above blocks.",
            sink.tally(),
            options.block_at.as_str()
        ),
    };
    let (findings, truncated) = sink.into_findings();
    Review {
        verdict,
        findings,
        files_reviewed,
        lines_added,
        lines_removed,
        summary,
        truncated,
    }
}

/// `1 file`, `2 files`.
pub(crate) fn plural(count: u32, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}
