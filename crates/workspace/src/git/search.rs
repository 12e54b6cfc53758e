//! Looking for text at a revision.

use super::{Git, names};
use crate::error::{ToolError, ToolResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A pattern's longest form, in bytes.
const PATTERN_MAX: usize = 1024;
/// A line is cut after this many characters.
const LINE_MAX: usize = 400;

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Matches {
    /// The commit id that was searched.
    pub revision: String,
    /// The lines that match.
    pub matches: Vec<Match>,
    /// Whether there are more than these.
    pub truncated: bool,
}

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Match {
    /// The file's path.
    pub path: String,
    /// The line's number, from 1.
    pub line: u64,
    /// The line, cut after 400 characters.
    pub text: String,
}

impl Git {
    /// The lines at a commit that hold `pattern`: plain text, or an extended regular expression.
    pub fn search(
        &self,
        revision: &str,
        pattern: &str,
        regex: bool,
        path: Option<&str>,
        limit: usize,
    ) -> ToolResult<Matches> {
        if pattern.is_empty() || pattern.len() > PATTERN_MAX || pattern.contains(['\0', '\n']) {
            return Err(ToolError::invalid(
                format!("a pattern is one line of 1 to {PATTERN_MAX} bytes"),
                "Search for a shorter piece of text.",
            ));
        }
        let mut command = self
            .command()
            .args([
                "grep",
                "--no-color",
                "-I",
                "-n",
                "-z",
                "--full-name",
                "--no-textconv",
                "--threads=1",
            ])
            .args([
                if regex { "-E" } else { "-F" },
                "-e",
                pattern,
                "--end-of-options",
                revision,
            ])
            .output_limit(limit.saturating_mul(4096).max(1 << 20))
            .time_limit(Duration::from_secs(20));
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            names::check_path(path)?;
            command = command.args(["--", path]);
        }
        let output = command.run()?;
        match output.code() {
            Some(0 | 1) => {}
            None if output.truncated => {}
            _ => {
                return Err(ToolError::invalid(
                    format!("git cannot search for {pattern:?}: {}", output.failure()),
                    "Mend the regular expression (POSIX extended), or search for plain text.",
                ));
            }
        }
        let text = output.text();
        let mut found = text.lines().filter_map(|line| parse(line, revision));
        let matches: Vec<Match> = found.by_ref().take(limit).collect();
        let truncated = output.truncated || found.next().is_some();
        Ok(Matches {
            revision: revision.to_owned(),
            matches,
            truncated,
        })
    }
}

/// `REVISION:path NUL line NUL text`.
fn parse(line: &str, revision: &str) -> Option<Match> {
    let mut fields = line.splitn(3, '\0');
    let path = fields
        .next()?
        .strip_prefix(revision)?
        .strip_prefix(':')?
        .to_owned();
    let line = fields.next()?.parse().ok()?;
    let text = fields.next()?;
    Some(Match {
        path,
        line,
        text: text.chars().take(LINE_MAX).filter(|c| *c != '\0').collect(),
    })
}
