//! What the recorded outcomes of checks say about one commit.

use serde::{Deserialize, Serialize};

/// The newest outcome of one check on a commit, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The check's name.
    pub check: String,
    /// How it ended, such as `passed`.
    pub status: String,
    /// The exit code, when it exited by itself.
    #[serde(default)]
    pub exit_code: Option<i64>,
    /// The request that it was run for.
    pub request_id: String,
    /// When it ended, RFC 3339.
    pub finished_at: String,
}

/// What a commit's checks come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildStatus {
    /// Every check of guildhall.toml ran on it and passed.
    Passed,
    /// At least one ran and did not pass.
    Failed,
    /// None failed, and at least one was not run.
    Incomplete,
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// All together.
    pub status: BuildStatus,
    /// Checks of guildhall.toml that have no outcome for the commit.
    pub missing: Vec<String>,
    /// Checks of guildhall.toml whose newest outcome is not `passed`.
    pub failed: Vec<String>,
    /// Recorded checks that guildhall.toml no longer names; they count for nothing.
    pub unknown: Vec<String>,
    /// One line for people.
    pub summary: String,
}

/// Judges a commit by the checks that guildhall.toml names now. No checks at all are nothing to pass.
pub fn validate(configured: &[String], recorded: &[Recorded], revision: &str) -> Validation {
    let outcome = |name: &String| recorded.iter().find(|recorded| &recorded.check == name);
    let missing: Vec<String> = configured
        .iter()
        .filter(|name| outcome(name).is_none())
        .cloned()
        .collect();
    let failed: Vec<String> = configured
        .iter()
        .filter(|name| outcome(name).is_some_and(|recorded| recorded.status != "passed"))
        .cloned()
        .collect();
    let unknown = recorded
        .iter()
        .filter(|recorded| !configured.contains(&recorded.check))
        .map(|recorded| recorded.check.clone())
        .collect();
    let status = match (failed.is_empty(), missing.is_empty() && !configured.is_empty()) {
        (false, _) => BuildStatus::Failed,
        (true, true) => BuildStatus::Passed,
        (true, false) => BuildStatus::Incomplete,
    };
    let short = revision.get(..12).unwrap_or(revision);
    let summary = match status {
        BuildStatus::Passed => format!("Every check passed on {short}: {}.", configured.join(", ")),
        BuildStatus::Failed => format!("On {short} these did not pass: {}.", failed.join(", ")),
        BuildStatus::Incomplete if configured.is_empty() => {
            "guildhall.toml names no checks, so nothing is known.".into()
        }
        BuildStatus::Incomplete => format!("On {short} these have not run: {}.", missing.join(", ")),
    };
    Validation {
        status,
        missing,
        failed,
        unknown,
        summary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recorded(check: &str, status: &str) -> Recorded {
        Recorded {
            check: check.into(),
            status: status.into(),
            exit_code: None,
            request_id: "r".into(),
            finished_at: "2026-11-22T08:00:00Z".into(),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_build_is_good_when_every_check_ran_and_passed() {
        for (configured, outcomes, status, says) in [
            (
                &["a", "b"][..],
                &[("a", "passed"), ("b", "passed")][..],
                BuildStatus::Passed,
                "Every check passed",
            ),
            (
                &["a", "b"],
                &[("a", "passed"), ("b", "timed_out")],
                BuildStatus::Failed,
                "did not pass: b",
            ),
            (
                &["a", "b"],
                &[("a", "passed")],
                BuildStatus::Incomplete,
                "have not run: b",
            ),
            (
                &["a", "b"],
                &[("a", "failed")],
                BuildStatus::Failed,
                "did not pass: a",
            ),
            (
                &["a"],
                &[("a", "passed"), ("old", "failed")],
                BuildStatus::Passed,
                "Every check passed",
            ),
            (&[], &[], BuildStatus::Incomplete, "names no checks"),
        ] {
            let outcomes: Vec<_> = outcomes
                .iter()
                .map(|(check, status)| recorded(check, status))
                .collect();
            let found = validate(&names(configured), &outcomes, &"a".repeat(40));
            assert_eq!(found.status, status, "{found:?}");
            assert!(found.summary.contains(says), "{found:?}");
        }
    }

    proptest! {
        #[test]
        fn passed_means_all_of_them(configured in proptest::collection::vec("[a-d]", 0..4), outcomes in proptest::collection::vec(("[a-e]", "(passed|failed)"), 0..6)) {
            let outcomes: Vec<_> = outcomes.iter().map(|(check, status)| recorded(check, status)).collect();
            let found = validate(&configured, &outcomes, "x");
            let first = |name: &String| outcomes.iter().find(|o| &o.check == name).map(|o| o.status == "passed");
            let all = !configured.is_empty() && configured.iter().all(|name| first(name) == Some(true));
            prop_assert_eq!(found.status == BuildStatus::Passed, all);
        }
    }
}
