//! What agents make of the workspace tools' errors.

use guildhall_domain::{Code, Problem, request::AgentError};

/// Codes of tools after which the same call may well succeed: the tool was stopped on the way, or lost a race.
const PASSING: &[&str] = &["interrupted", "branch_moved", "git_timed_out"];

/// Marks an error as worth another attempt when its code says that the trouble passes.
pub fn retry_what_passes(mut error: AgentError) -> AgentError {
    error.retryable |= PASSING.contains(&error.code.as_str());
    error
}

/// An agent's error as the answer of a route. A code that the API knows is kept; any other becomes `tool_failed`
/// and stands in the detail.
pub fn problem(error: AgentError) -> Problem {
    let code = match error.code.as_str() {
        "unknown_revision" => Code::UnknownBranch,
        other => Code::parse(other).unwrap_or(Code::ToolFailed),
    };
    let detail = match code {
        Code::ToolFailed if error.code != code.as_str() => format!("{} ({})", error.detail, error.code),
        _ => error.detail,
    };
    let problem = Problem::new(code, detail);
    match error.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str) -> AgentError {
        AgentError {
            code: code.into(),
            detail: "d".into(),
            hint: Some("h".into()),
            retryable: false,
        }
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        for (code, retryable) in [
            ("interrupted", true),
            ("merge_conflict", false),
            ("worktree_dirty", false),
        ] {
            assert_eq!(retry_what_passes(error(code)).retryable, retryable, "{code}");
        }
        let unreachable = AgentError {
            retryable: true,
            ..error("unreachable")
        };
        assert!(retry_what_passes(unreachable).retryable);
    }

    #[test]
    fn codes_become_problems_with_their_status() {
        for (code, wanted, status, detail) in [
            ("unknown_revision", "unknown_branch", 422, "d"),
            ("repository_not_configured", "repository_not_configured", 422, "d"),
            ("unreachable", "unreachable", 502, "d"),
            ("not_configured", "not_configured", 501, "d"),
            (
                "unrelated_histories",
                "tool_failed",
                502,
                "d (unrelated_histories)",
            ),
        ] {
            let problem = problem(error(code));
            assert_eq!(
                (problem.code.as_str(), problem.status, problem.detail.as_str()),
                (wanted, status, detail)
            );
            assert_eq!(problem.hint.as_deref(), Some("h"));
        }
    }
}
