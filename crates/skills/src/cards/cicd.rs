//! The skills of cicd.

use super::{bounded, environment, get_status, optional, properties, revision, skill};
use guildhall_domain::agent::Skill;
use serde_json::json;

/// The skills of `cicd`.
pub fn cicd() -> Vec<Skill> {
    vec![
        skill(
            "run_checks",
            "Run the repository's checks",
            "Runs the checks that guildhall.toml names on exactly one commit, and reports exit status, duration and the \
         tail of the output of each.",
            &["test", "ci", "pipeline", "checks"],
            &["run the tests on fix-1"],
            properties(&[
                ("revision", revision("The commit to check.")),
                (
                    "checks",
                    json!({
                        "type": ["array", "null"], "minItems": 1, "items": {"type": "string"},
                        "description": "Names of checks; every one of guildhall.toml otherwise.",
                    }),
                ),
            ]),
            &["revision"],
        ),
        skill(
            "run_pipeline",
            "Run a pipeline",
            "The same as run_checks by the original platform's name: resolves the branch, then runs one check, or all, on \
             exactly that commit.",
            &["ci", "pipeline", "checks"],
            &[],
            properties(&[
                (
                    "pipeline_name",
                    bounded("A check of guildhall.toml, or `all`.", 100),
                ),
                (
                    "branch",
                    optional("The branch whose tip is checked; the repository's base otherwise."),
                ),
            ]),
            &["pipeline_name"],
        ),
        skill(
            "validate_build",
            "Validate a build",
            "Says what the recorded outcomes of checks come to for exactly one commit: whether every check of guildhall.toml \
             ran on it and passed. Runs nothing.",
            &["testing", "validation"],
            &[],
            properties(&[("build_id", revision("The commit that was built."))]),
            &["build_id"],
        ),
        skill(
            "deploy_artifact",
            "Have an artifact deployed",
            "Starts a run that reviews, tests and deploys a commit, with the approval of another person where the risk asks \
             for one. The infrastructure agent deploys it; the answer names the run.",
            &["deployment", "release"],
            &[],
            properties(&[
                ("artifact_id", revision("The commit to deploy.")),
                ("environment", environment()),
            ]),
            &["artifact_id", "environment"],
        ),
        get_status(),
    ]
}
