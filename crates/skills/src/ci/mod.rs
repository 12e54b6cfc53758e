//! What the cicd agent knows: what the outcomes of several checks come to, when they ran and later.

mod validate;

pub use validate::{BuildStatus, Recorded, Validation, validate};

use serde::{Deserialize, Serialize};

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It ran and exited with 0.
    Passed,
    /// It ran and exited otherwise, or was killed.
    Failed,
    /// It did not end in time and was stopped.
    TimedOut,
    /// Its program could not be started.
    NotStarted,
}

/// How all checks together ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// There was at least one, and each passed.
    Passed,
    /// Anything else.
    Failed,
}

/// One check as far as the summary needs it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CheckOutcome {
    /// Its name in guildhall.toml.
    pub check: String,
    /// How it ended.
    pub status: CheckStatus,
    /// The exit code, when it exited by itself.
    #[serde(default)]
    pub exit_code: Option<i64>,
    /// The signal that ended it, as a number or a name.
    #[serde(default)]
    pub signal: Option<serde_json::Value>,
    /// Wall time in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
}

/// What the checks come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// All together.
    pub status: Status,
    /// One line for people.
    pub summary: String,
}

/// Sums up the outcomes. No checks at all are a failure: nothing was shown to work.
pub fn summarise(checks: &[CheckOutcome]) -> Summary {
    if checks.is_empty() {
        let summary = "No check was run, so nothing is known to work.".to_owned();
        return Summary {
            status: Status::Failed,
            summary,
        };
    }
    let milliseconds = checks
        .iter()
        .fold(0u64, |sum, check| sum.saturating_add(check.duration_ms));
    let total = duration(milliseconds);
    let bad: Vec<String> = checks
        .iter()
        .filter(|check| check.status != CheckStatus::Passed)
        .map(describe)
        .collect();
    if bad.is_empty() {
        let names: Vec<&str> = checks.iter().map(|check| check.check.as_str()).collect();
        let summary = format!("{} passed in {total}: {}.", count(checks.len()), names.join(", "));
        return Summary {
            status: Status::Passed,
            summary,
        };
    }
    let summary = format!(
        "{} of {} did not pass in {total}: {}.",
        bad.len(),
        count(checks.len()),
        bad.join("; ")
    );
    Summary {
        status: Status::Failed,
        summary,
    }
}

fn count(number: usize) -> String {
    if number == 1 {
        "1 check".into()
    } else {
        format!("{number} checks")
    }
}

fn describe(check: &CheckOutcome) -> String {
    let why = match check.status {
        CheckStatus::Passed => "passed".to_owned(),
        CheckStatus::TimedOut => format!(
            "was stopped after {}: it did not end in time",
            duration(check.duration_ms)
        ),
        CheckStatus::NotStarted => "could not be started".to_owned(),
        CheckStatus::Failed => match (&check.exit_code, &check.signal) {
            (Some(code), _) => format!("exited with {code}"),
            (None, Some(serde_json::Value::String(signal))) => format!("was ended by {signal}"),
            (None, Some(signal)) if !signal.is_null() => format!("was ended by signal {signal}"),
            _ => "failed".to_owned(),
        },
    };
    format!("{} {why}", check.check)
}

/// A duration for people: `340 ms`, `2.5 s`, `3 min 20 s`.
pub fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds % 60_000 / 1_000
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(name: &str, status: CheckStatus, exit_code: Option<i64>, duration_ms: u64) -> CheckOutcome {
        CheckOutcome {
            check: name.into(),
            status,
            exit_code,
            signal: None,
            duration_ms,
        }
    }

    #[test]
    fn summaries_say_what_happened() {
        let passed = check("test", CheckStatus::Passed, Some(0), 1_240);
        let failed = check("lint", CheckStatus::Failed, Some(101), 300);
        let hung = check("e2e", CheckStatus::TimedOut, None, 200_000);
        let mut killed = check("fuzz", CheckStatus::Failed, None, 5);
        killed.signal = Some(9.into());
        let table = [
            (
                vec![],
                Status::Failed,
                "No check was run, so nothing is known to work.",
            ),
            (
                vec![passed.clone()],
                Status::Passed,
                "1 check passed in 1.2 s: test.",
            ),
            (
                vec![passed.clone(), failed],
                Status::Failed,
                "1 of 2 checks did not pass in 1.5 s: lint exited with 101.",
            ),
            (
                vec![hung],
                Status::Failed,
                "1 of 1 check did not pass in 3 min 20 s: e2e was stopped after 3 min 20 s: it did not end in time.",
            ),
            (
                vec![killed],
                Status::Failed,
                "1 of 1 check did not pass in 5 ms: fuzz was ended by signal 9.",
            ),
        ];
        for (checks, status, summary) in table {
            assert_eq!(
                summarise(&checks),
                Summary {
                    status,
                    summary: summary.into()
                }
            );
        }
    }

    #[test]
    fn a_status_that_is_not_known_is_no_check_result() {
        assert!(serde_json::from_str::<CheckOutcome>(r#"{"check":"t","status":"fine"}"#).is_err());
        assert!(serde_json::from_str::<CheckOutcome>(r#"{"check":"t"}"#).is_err());
    }

    proptest! {
        #[test]
        fn only_all_passed_is_passed(statuses in proptest::collection::vec(0u8..4, 0..6), ms: u64) {
            use CheckStatus::*;
            let checks: Vec<CheckOutcome> = statuses
                .iter()
                .map(|n| check("c", [Passed, Failed, TimedOut, NotStarted][usize::from(*n)], None, ms))
                .collect();
            let all = !checks.is_empty() && checks.iter().all(|c| c.status == Passed);
            prop_assert_eq!(summarise(&checks).status == Status::Passed, all);
        }
    }
}
