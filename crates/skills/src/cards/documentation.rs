//! The skills of documentation.

use super::{
    base, bounded, explain_code, get_status, object, optional, optional_path, optional_revision,
    optional_source, own_branch, properties, revision, skill, text,
};
use guildhall_domain::agent::Skill;
use serde_json::json;

/// The skills of `documentation`.
pub fn documentation() -> Vec<Skill> {
    vec![
        skill(
            "update_changelog",
            "Write the change-log entry",
            "Builds an entry from the commits, the review, the checks and the deployment, puts it into the change log in the \
         style of Keep a Changelog, and commits it on a branch of its own.",
            &["documentation", "changelog", "markdown"],
            &["add a changelog entry for release-2"],
            properties(&[
                ("base", text("The branch that the change was compared with.")),
                (
                    "base_revision",
                    optional_revision("The commit of the base before the change; its tip otherwise."),
                ),
                ("head", optional("The branch with the change, for the report.")),
                ("head_revision", revision("The commit with the change.")),
                ("environment", optional("Where it was deployed.")),
                (
                    "heading",
                    optional("A version's heading such as `[1.2.0] - 2026-11-22`; `[Unreleased]` otherwise."),
                ),
                ("review", object("The result of review_change.")),
                ("checks", object("The result of run_checks.")),
                ("deployment", object("The result of deploy_service.")),
            ]),
            &["base", "head_revision"],
        ),
        skill(
            "generate_docs",
            "Document code",
            "Makes an API reference of the public items of code, or of a file or folder of the repository, from their \
             declarations and comments. With a language model it adds an introduction. Commits nothing.",
            &["documentation", "generation", "markdown"],
            &[],
            properties(&[
                (
                    "code",
                    optional_source("The code; without it the file or folder at path is read."),
                ),
                (
                    "path",
                    optional_path("A file or folder; beside code, only its name matters."),
                ),
                (
                    "revision",
                    optional("The branch or commit to read at; the repository's base otherwise."),
                ),
                (
                    "format",
                    json!({"type": "string", "enum": ["markdown", "json"], "description": "The form; markdown otherwise."}),
                ),
            ]),
            &[],
        ),
        skill(
            "update_readme",
            "Write a section of the README",
            "Replaces one section of a Markdown file, or adds it, everything else kept, and commits that to a branch of its \
             own.",
            &["documentation", "readme", "markdown"],
            &[],
            properties(&[
                (
                    "content",
                    bounded("What the section is to say, in Markdown.", 65_536),
                ),
                ("section", bounded("The section's heading, without `#`.", 200)),
                ("path", optional_path("The file; README.md otherwise.")),
                ("base", base()),
                ("branch", own_branch()),
            ]),
            &["content", "section"],
        ),
        explain_code(),
        get_status(),
    ]
}
