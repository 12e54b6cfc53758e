//! The skills of the orchestrator.

use super::{bounded, get_status, optional_bounded, properties, skill};
use guildhall_domain::agent::Skill;
use serde_json::json;

/// The skills of `orchestrator`.
pub fn orchestrator() -> Vec<Skill> {
    vec![
        skill(
            "plan_task",
            "Plan a task",
            "Turns plain words into a plan with pinned revisions and a risk assessment, and starts nothing.",
            &["planning", "routing", "coordination"],
            &["review, test and deploy branch good-change"],
            properties(&[(
                "message",
                json!({
                    "type": "string", "minLength": 1, "maxLength": crate::planning::MAX_MESSAGE_BYTES,
                    "description": "What is wanted, in plain words.",
                }),
            )]),
            &["message"],
        ),
        skill(
            "decompose_task",
            "Decompose a task",
            "The same as plan_task, by the name and the input that the original platform had.",
            &["planning", "coordination"],
            &[],
            properties(&[(
                "task_description",
                bounded(
                    "What is wanted, in plain words.",
                    crate::planning::MAX_MESSAGE_BYTES,
                ),
            )]),
            &["task_description"],
        ),
        skill(
            "route_request",
            "Find who does it",
            "Names the live agent that is best placed for a capability (a skill's id, or words that a skill is found by), \
             with the reason. Asks nobody and starts nothing.",
            &["routing", "coordination"],
            &[],
            properties(&[
                (
                    "capability",
                    bounded("A skill's id, or words that a skill is found by.", 200),
                ),
                (
                    "project",
                    optional_bounded("Only agents of this project, and those for any.", 200),
                ),
            ]),
            &["capability"],
        ),
        skill(
            "aggregate_results",
            "Put results together",
            "Merges up to 100 results of requests into one: counts by outcome, the worst severity, the first failures, and \
             all findings, each once.",
            &["aggregation", "coordination"],
            &[],
            properties(&[(
                "results",
                json!({
                    "type": "array", "minItems": 1, "maxItems": crate::inputs::RESULTS_MAX, "items": {"type": "object"},
                    "description": "Requests as the API shows them, answers of a broadcast, or bare results of skills.",
                }),
            )]),
            &["results"],
        ),
        get_status(),
    ]
}
