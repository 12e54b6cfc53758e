//! The skills of infrastructure.

use super::{
    approval, base, bounded, environment, get_status, optional_bounded, own_branch, path, properties,
    revision, skill, text,
};
use guildhall_domain::agent::Skill;
use serde_json::json;

/// The skills of `infrastructure`.
pub fn infrastructure() -> Vec<Skill> {
    vec![
        skill(
            "deploy_service",
            "Deploy a change",
            "Under the environment's lock: merges the commit, deploys the result by the repository's own command, checks \
             the service's health, and rolls back when it is not well. High risk needs an approval.",
            &["deployment", "infrastructure", "release"],
            &["deploy release-2 to staging"],
            properties(&[
                ("environment", environment()),
                ("base", text("The branch that the change is merged into.")),
                ("head_revision", revision("The commit with the change.")),
                ("approval_id", approval()),
            ]),
            &["environment", "base", "head_revision"],
        ),
        skill(
            "rollback",
            "Roll back an environment",
            "Under the environment's lock: puts back what was deployed before, and checks its health. High risk needs an \
             approval.",
            &["deployment", "rollback", "infrastructure"],
            &[],
            properties(&[("environment", environment()), ("approval_id", approval())]),
            &["environment"],
        ),
        skill(
            "check_health",
            "Check a service's health",
            "Asks the deployed service over HTTP whether it is well, and reports what it answered.",
            &["health", "monitoring", "infrastructure"],
            &[],
            properties(&[("environment", environment())]),
            &["environment"],
        ),
        skill(
            "health_check",
            "Check several services",
            "The same as check_health for up to 20 environments at once; one that cannot be asked says why.",
            &["health", "monitoring"],
            &[],
            properties(&[(
                "services",
                json!({
                    "type": "array", "minItems": 1, "maxItems": crate::inputs::SERVICES_MAX, "items": environment(),
                    "description": "The environments whose services are asked.",
                }),
            )]),
            &["services"],
        ),
        skill(
            "update_config",
            "Change a configuration key",
            "Sets one key of a TOML, JSON, YAML or .env file, everything else kept byte for byte, and commits that to a branch \
             of its own for review. Refuses credentials.",
            &["configuration", "git"],
            &[],
            properties(&[
                ("path", path("The file, from the root of the repository.")),
                ("config_key", bounded("The key, its parts joined by dots.", 300)),
                (
                    "config_value",
                    json!({
                        "type": ["string", "number", "boolean"], "maxLength": 10_000,
                        "description": "The new value: text of one line, a number or a boolean.",
                    }),
                ),
                ("base", base()),
                ("branch", own_branch()),
            ]),
            &["path", "config_key", "config_value"],
        ),
        skill(
            "generate_infrastructure",
            "Write an infrastructure file",
            "Writes a Docker Compose or Kubernetes file from the facts of a service by rules, or any such file from a \
             description by the configured language model, reviews it by the review's rules, and commits nothing.",
            &["infrastructure", "docker", "kubernetes", "terraform"],
            &[],
            properties(&[
                (
                    "provider",
                    json!({
                        "type": "string", "enum": ["compose", "kubernetes", "terraform"],
                        "description": "What the file is for.",
                    }),
                ),
                (
                    "service",
                    json!({
                        "type": ["object", "null"],
                        "properties": {
                            "name": {"type": "string", "minLength": 1, "maxLength": 50, "description": "Its name."},
                            "image": {
                                "type": "string", "pattern": ":", "maxLength": 300,
                                "description": "Its image, pinned by tag or digest.",
                            },
                            "port": {"type": ["integer", "null"], "minimum": 1, "maximum": 65535, "description": "Where it listens."},
                            "replicas": {"type": ["integer", "null"], "minimum": 1, "maximum": 100, "description": "How many."},
                            "environment": {
                                "type": "object", "maxProperties": 100, "additionalProperties": {"type": "string"},
                                "description": "Variables without credentials.",
                            },
                        },
                        "required": ["name", "image"],
                        "additionalProperties": false,
                        "description": "The facts, when rules are to write the file.",
                    }),
                ),
                (
                    "description",
                    optional_bounded(
                        "What is wanted, when a model is to write the file.",
                        crate::inputs::WORDS_MAX,
                    ),
                ),
            ]),
            &["provider"],
        ),
        get_status(),
    ]
}
