//! The skills of code-review.

use super::{
    explain_code, get_status, language, optional, optional_bounded, optional_revision, path, properties,
    revision, skill, source, text,
};
use guildhall_domain::agent::Skill;
use serde_json::json;

/// The skills of `code-review`.
pub fn code_review() -> Vec<Skill> {
    vec![
        skill(
            "review_change",
            "Review a change",
            "Reads the real difference between base and head, and reports findings with file, line, severity, rule and \
         suggestion. Blocks on leaked credentials, dangerous migrations and the like.",
            &["review", "security", "code-quality", "git"],
            &["review feature/login against main"],
            properties(&[
                ("base", text("The branch that the change is compared with.")),
                (
                    "base_revision",
                    optional_revision("The commit of the base; its tip otherwise."),
                ),
                ("head", optional("The branch with the change, for the report.")),
                ("head_revision", revision("The commit with the change.")),
            ]),
            &["base", "head_revision"],
        ),
        skill(
            "review_code",
            "Review code",
            "Applies the review's rules to a difference, or to the whole content of one file, that comes with the request. \
             Reads nothing else.",
            &["review", "security", "code-quality"],
            &[],
            properties(&[
                ("file_path", path("The file; its name tells what rules apply.")),
                (
                    "changes",
                    source("A unified difference, or the whole new content of the file."),
                ),
            ]),
            &["file_path", "changes"],
        ),
        skill(
            "static_analysis",
            "Analyse a difference",
            "Applies the review's rules to a difference that comes with the request; with a language, to the files in it only.",
            &["analysis", "code-quality"],
            &[],
            properties(&[
                ("diff", source("A unified difference.")),
                ("language", language()),
            ]),
            &["diff"],
        ),
        skill(
            "review_pr",
            "Review a pull request",
            "Reviews a pull request whose branch is in the workspace's repository: the same as review_change, at the tips of \
             the branches. One that is known by its number only needs a connection to the forge.",
            &["review", "git", "pull-request"],
            &[],
            properties(&[
                ("repo_url", optional_bounded("The repository on a forge.", 2_000)),
                (
                    "pr_number",
                    json!({"type": ["integer", "null"], "minimum": 1, "description": "The number on the forge."}),
                ),
                (
                    "base",
                    optional("The branch to compare with; the repository's base otherwise."),
                ),
                ("head", optional("The branch with the change.")),
            ]),
            &[],
        ),
        explain_code(),
        get_status(),
    ]
}
