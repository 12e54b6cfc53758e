//! The workflow document of a delivery.
//!
//! What the requester and the repository say goes into the run's input and is only referred to from the document: a branch
//! whose name looks like an expression stays a name, and deliveries of the same shape share one document.

use super::{Facts, PlannedStep};
use crate::planning::Operations;
use guildhall_domain::Code;
use guildhall_policy::{Action, Assessment};
use serde_json::{Map, Value, json};

/// A deployment waits its turn for the environment's lock, which costs attempts.
const DEPLOY_ATTEMPTS: u16 = 30;
const ATTEMPTS: u16 = 3;

/// A document, what its run is given, and its steps for people.
pub(super) struct Drafted {
    pub(super) document: Value,
    pub(super) input: Value,
    pub(super) steps: Vec<PlannedStep>,
}

pub(super) fn draft(
    operations: Operations,
    facts: &Facts,
    environment: Option<&str>,
    action: &Action,
    risk: &Assessment,
) -> Drafted {
    let mut tasks = Tasks::default();
    if operations.review {
        let why = format!(
            "Reads the difference to {} and stops the run at a blocking finding.",
            facts.base
        );
        let change = json!("${ $workflow.input.change }");
        tasks.agent(
            "review",
            "review_change",
            change,
            ATTEMPTS,
            json!({"minutes": 10}),
            why,
        );
        tasks.stop_unless(
            "review",
            r#"$context.review.verdict | . == "approve" or . == "comment""#,
            Code::ReviewBlocked,
            "The review found something that has to be mended before the change goes further",
        );
    }
    if operations.test {
        let names: Vec<&str> = facts.checks.iter().map(String::as_str).collect();
        let why = format!("Runs the repository's own checks: {}.", names.join(", "));
        let revision = json!({"revision": "${ $workflow.input.change.head_revision }"});
        tasks.agent("test", "run_checks", revision, ATTEMPTS, json!({"hours": 1}), why);
        tasks.stop_unless(
            "test",
            r#"$context.test.status == "passed""#,
            Code::ChecksFailed,
            "The repository's own checks did not all pass",
        );
    }
    if let Some(environment) = environment {
        let mut input = json!({
            "environment": "${ $workflow.input.environment }",
            "base": "${ $workflow.input.change.base }",
            "head_revision": "${ $workflow.input.change.head_revision }",
        });
        if risk.approval_required {
            tasks.approval(risk, environment);
            input["approval_id"] = json!("${ $context.approve.approval_id }");
        }
        let why = format!(
            "Takes the lock of {environment}, merges into {}, deploys, checks health, gives the lock back.",
            facts.base
        );
        let limit = json!({"hours": 1});
        tasks.agent("deploy", "deploy_service", input, DEPLOY_ATTEMPTS, limit, why);
    }
    if operations.document {
        let mut input = Map::new();
        for key in ["base", "base_revision", "head", "head_revision"] {
            input.insert(key.into(), json!(format!("${{ $workflow.input.change.{key} }}")));
        }
        if environment.is_some() {
            input.insert("environment".into(), json!("${ $workflow.input.environment }"));
        }
        for (key, step) in [("review", "review"), ("checks", "test"), ("deployment", "deploy")] {
            if tasks.has(step) {
                input.insert(key.into(), json!(format!("${{ $context.{step} }}")));
            }
        }
        let why = "Writes the change-log entry on a branch of its own.".into();
        tasks.agent(
            "document",
            "update_changelog",
            Value::Object(input),
            ATTEMPTS,
            json!({"minutes": 10}),
            why,
        );
    }
    let mut input = json!({"change": {
        "base": facts.base,
        // Pinned, so that the difference stays the same after the merge.
        "base_revision": facts.base_revision,
        "head": facts.head,
        "head_revision": facts.head_revision,
    }});
    if let Some(environment) = environment {
        input["environment"] = json!(environment);
        if risk.approval_required {
            input["action"] = action.to_value();
            input["risk"] = serde_json::to_value(risk).unwrap_or_default();
        }
    }
    let document = json!({
        "document": {
            "dsl": "1.0.3",
            "namespace": "guildhall",
            "name": "deliver-change",
            "version": "1.0.0",
            "title": "Take a change from its branch to where it runs",
        },
        "do": tasks.tasks,
        "output": {"as": "${ $context }"},
    });
    Drafted {
        document,
        input,
        steps: tasks.planned,
    }
}

#[derive(Default)]
struct Tasks {
    tasks: Vec<Value>,
    planned: Vec<PlannedStep>,
}

impl Tasks {
    fn has(&self, name: &str) -> bool {
        self.planned.iter().any(|step| step.step == name)
    }

    fn push(&mut self, name: &str, task: Value) {
        self.tasks.push(json!({ name: task }));
    }

    /// A step whose result later ones find in the context under its name.
    fn step(&mut self, name: &str, skill: &str, call: &str, with: Value, why: String) {
        self.planned.push(PlannedStep {
            step: name.into(),
            skill: skill.into(),
            why,
        });
        let export = format!("${{ $context + {{{name}: .}} }}");
        self.push(
            name,
            json!({"call": call, "with": with, "export": {"as": export}}),
        );
    }

    fn agent(&mut self, name: &str, skill: &str, input: Value, attempts: u16, timeout: Value, why: String) {
        let with = json!({"skill": skill, "input": input, "attempts": attempts, "timeout": timeout});
        self.step(name, skill, "agent", with, why);
    }

    /// Ends the run with an error of this code, in the name of `step`, unless `condition` holds.
    fn stop_unless(&mut self, step: &str, condition: &str, code: Code, reason: &str) {
        let name = code.as_str().replace('_', "-");
        let origin = self
            .tasks
            .iter()
            .position(|task| task.get(step).is_some())
            .map(|index| format!("/do/{index}/{step}"));
        let reason = Value::from(reason);
        let task = json!({
            "if": format!("${{ {condition} | not }}"),
            "raise": {"error": {
                "type": format!("https://guildhall.dev/errors/{name}"),
                "status": code.status(),
                "title": code.title(),
                "detail": format!("${{ [{reason}, $context.{step}.summary] | map(strings) | join(\": \") }}"),
                "instance": origin,
            }},
        });
        self.push(&name, task);
    }

    fn approval(&mut self, risk: &Assessment, environment: &str) {
        let tier = serde_json::to_value(risk.tier).unwrap_or_default();
        let why = format!(
            "Deploying to {environment} is {} risk: a person other than the requester has to agree.",
            tier.as_str().unwrap_or("high")
        );
        let with = json!({
            "action": "${ $workflow.input.action }",
            "risk": "${ $workflow.input.risk }",
            "expires": {"seconds": risk.approval_expires_s},
        });
        self.step("approve", "approval", "approval", with, why);
    }
}
