//! Where rules put what they find: it counts everything, and keeps no more than can be shown.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::redact::excerpt;
use super::{Finding, Options, Severity, plural};

/// The most findings of one rule in one file that are listed: the hundredth adds nothing to the twentieth.
const PER_RULE_AND_FILE_MAX: u32 = 20;
/// The most findings that are kept for sorting, so that memory stays bounded on any diff.
const KEPT_MAX: usize = 20_000;
/// The longest path that is shown, in bytes.
const PATH_BYTES_MAX: usize = 1024;

/// A finding before its excerpt is cut and redacted.
pub(crate) struct Report<'a> {
    pub rule: &'static str,
    pub severity: Severity,
    pub file: &'a str,
    pub line: Option<u32>,
    pub message: String,
    pub suggestion: Cow<'static, str>,
    /// The whole source line, or an empty text.
    pub text: &'a str,
    /// Bytes of `text` that the finding is about; the excerpt shows this place.
    pub focus: Range<usize>,
    /// True when the focus is a credential.
    pub secret: bool,
}

pub(crate) struct Sink<'a> {
    disabled: HashSet<&'a str>,
    findings_max: usize,
    kept: Vec<Report<'a>>,
    seen: HashSet<(&'static str, &'a str, Option<u32>)>,
    per_rule_and_file: HashMap<(&'static str, &'a str), u32>,
    /// Count of findings by severity, from info to critical.
    counts: [u32; 5],
}

impl<'a> Sink<'a> {
    pub fn new(options: &'a Options) -> Self {
        Sink {
            disabled: options.disabled_rules.iter().map(String::as_str).collect(),
            findings_max: usize::try_from(options.max_findings).unwrap_or(usize::MAX),
            kept: Vec::new(),
            seen: HashSet::new(),
            per_rule_and_file: HashMap::new(),
            counts: [0; 5],
        }
    }

    /// Takes a finding. A second one of the same rule on the same line says nothing new and is dropped.
    pub fn report(&mut self, report: Report<'a>) {
        if self.disabled.contains(report.rule) {
            return;
        }
        let key = (report.rule, report.file);
        let listed = self.per_rule_and_file.entry(key).or_default();
        let room = *listed < PER_RULE_AND_FILE_MAX && self.kept.len() < KEPT_MAX;
        if room && !self.seen.insert((report.rule, report.file, report.line)) {
            return;
        }
        self.counts[report.severity as usize] = self.counts[report.severity as usize].saturating_add(1);
        if room {
            *listed += 1;
            self.kept.push(report);
        }
    }

    /// True when this rule has already reported this line.
    pub fn has_secret_at(&self, file: &str, line: u32) -> bool {
        self.kept
            .iter()
            .rev()
            .take_while(|kept| kept.file == file && kept.line == Some(line))
            .any(|kept| kept.rule.starts_with("secret-"))
    }

    pub fn worst(&self) -> Option<Severity> {
        use Severity::{Critical, High, Info, Low, Medium};
        [Critical, High, Medium, Low, Info]
            .into_iter()
            .find(|severity| self.counts[*severity as usize] > 0)
    }

    fn total(&self) -> u32 {
        self.counts
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// `3 findings (1 critical, 2 low)`.
    pub fn tally(&self) -> String {
        use Severity::{Critical, High, Info, Low, Medium};
        let parts: Vec<String> = [Critical, High, Medium, Low, Info]
            .into_iter()
            .filter(|severity| self.counts[*severity as usize] > 0)
            .map(|severity| format!("{} {}", self.counts[severity as usize], severity.as_str()))
            .collect();
        format!("{} ({})", plural(self.total(), "finding"), parts.join(", "))
    }

    /// The findings to list, the most severe first, and a note when some were left out.
    pub fn into_findings(mut self) -> (Vec<Finding>, Option<String>) {
        let total = self.total();
        self.kept.sort_by(|x, y| {
            let place = |report: &Report<'a>| (report.file, report.line, report.rule);
            y.severity.cmp(&x.severity).then_with(|| place(x).cmp(&place(y)))
        });
        self.kept.truncate(self.findings_max);
        let listed = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
        let truncated = (total > listed).then(|| {
            format!(
                "{} of {} listed, {} left out: at most {} per review and {PER_RULE_AND_FILE_MAX} per rule and file \
                 are shown, the most severe first",
                listed,
                plural(total, "finding"),
                total - listed,
                self.findings_max,
            )
        });
        (self.kept.into_iter().map(finding).collect(), truncated)
    }
}

fn finding(report: Report<'_>) -> Finding {
    let mut end = report.file.len().min(PATH_BYTES_MAX);
    while !report.file.is_char_boundary(end) {
        end -= 1;
    }
    Finding {
        rule: report.rule.to_owned(),
        severity: report.severity,
        file: report.file[..end].to_owned(),
        line: report.line,
        message: report.message,
        suggestion: report.suggestion.into_owned(),
        excerpt: excerpt(report.text, report.focus, report.secret),
    }
}
