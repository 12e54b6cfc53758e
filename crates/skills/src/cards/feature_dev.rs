//! The skills of feature-dev.

use super::{
    base, bounded, get_status, language, optional_bounded, optional_source, properties, skill, source, text,
};
use guildhall_domain::agent::Skill;
use serde_json::{Value, json};

/// What `implement_feature` and `implement_and_review` take.
fn feature() -> Value {
    properties(&[
        ("description", bounded("What to build.", crate::inputs::WORDS_MAX)),
        ("branch", branch()),
        ("base", base()),
        (
            "context_files",
            json!({
                "type": "array", "maxItems": 50, "items": {"type": "string"},
                "description": "Files that the model is shown, without credentials.",
            }),
        ),
    ])
}

fn branch() -> Value {
    text("The branch to commit to; made from base when it does not exist.")
}

/// The skills of `feature-dev`.
pub fn feature_dev() -> Vec<Skill> {
    vec![
        skill(
            "apply_change",
            "Commit files to a branch",
            "Commits the given files to a branch of its own, once, however often it is asked.",
            &["development", "coding", "git"],
            &[],
            properties(&[
                ("branch", branch()),
                ("base", text("The branch or commit that a new branch begins at.")),
                (
                    "files",
                    json!({
                        "type": "array", "minItems": 1, "maxItems": crate::inputs::FILES_MAX,
                        "items": {
                            "type": "object",
                            "properties": {
                                "path": {"type": "string", "minLength": 1, "description": "From the root of the repository."},
                                "content": {"type": ["string", "null"], "description": "The whole new content; null deletes."},
                            },
                            "required": ["path"],
                            "additionalProperties": false,
                        },
                    }),
                ),
                (
                    "message",
                    json!({"type": "string", "minLength": 1, "maxLength": 5000, "description": "The commit message."}),
                ),
            ]),
            &["branch", "base", "files", "message"],
        ),
        skill(
            "implement_feature",
            "Implement a feature",
            "Has the configured language model write the files for a description, and commits them to a branch of its own. \
             Nothing it writes is merged without review, checks and approval.",
            &["development", "coding", "model"],
            &[],
            feature(),
            &["description", "branch"],
        ),
        skill(
            "implement_and_review",
            "Implement a feature and review it",
            "The same as implement_feature, and then the review of what was committed, as review_change gives it.",
            &["development", "review", "model"],
            &[],
            feature(),
            &["description", "branch"],
        ),
        skill(
            "generate_code",
            "Generate code",
            "Has the configured language model write code for requirements, and reviews it by the review's rules. Commits \
             nothing.",
            &["development", "generation", "model"],
            &[],
            properties(&[
                (
                    "requirements",
                    bounded("What the code is to do, in words.", crate::inputs::WORDS_MAX),
                ),
                ("language", language()),
                (
                    "context",
                    optional_source("Code or words that the model is shown beside."),
                ),
            ]),
            &["requirements"],
        ),
        skill(
            "refactor_code",
            "Refactor code",
            "Has the configured language model rewrite code towards goals, reviews it by the review's rules, and tells how its \
             structure changed. Commits nothing.",
            &["refactoring", "quality", "model"],
            &[],
            properties(&[
                ("code", source("The code.")),
                (
                    "goals",
                    optional_bounded("What is to become better, in words.", crate::inputs::WORDS_MAX),
                ),
                ("language", language()),
            ]),
            &["code"],
        ),
        get_status(),
    ]
}
