//! The steps of a delivery.

use super::{Facts, PlannedStep};
use crate::planning::Operations;
use guildhall_flow::{AgentCall, ApprovalCall, Call, Definition, Requirement, Step};
use guildhall_policy::{Action, Assessment};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A deployment waits its turn for the environment's lock, which costs attempts.
const DEPLOY_ATTEMPTS: u16 = 30;
/// Seconds for a deployment with all its attempts.
const DEPLOY_TIMEOUT_S: u32 = 3_600;
/// Seconds for all checks with all their attempts.
const CHECKS_TIMEOUT_S: u32 = 3_600;

pub(super) fn build(
    operations: Operations,
    facts: &Facts,
    environment: Option<&str>,
    action: &Action,
    risk: &Assessment,
) -> (Definition, Vec<PlannedStep>) {
    let mut plan = Steps::default();
    if operations.review {
        let mut call = call("review_change", change(facts));
        call.require.push(Requirement {
            pointer: "/verdict".into(),
            one_of: vec![json!("approve"), json!("comment")],
            code: "review_blocked".into(),
            reason: "The review found something that has to be mended before the change goes further".into(),
        });
        let why = format!(
            "Reads the difference to {} and stops the run at a blocking finding.",
            facts.base
        );
        plan.agent("review", call, why);
    }
    if operations.test {
        let mut call = call("run_checks", json!({ "revision": facts.head_revision }));
        call.timeout_s = CHECKS_TIMEOUT_S;
        call.require.push(Requirement {
            pointer: "/status".into(),
            one_of: vec![json!("passed")],
            code: "checks_failed".into(),
            reason: "The repository's own checks did not all pass".into(),
        });
        let names: Vec<&str> = facts.checks.iter().map(String::as_str).collect();
        plan.agent(
            "test",
            call,
            format!("Runs the repository's own checks: {}.", names.join(", ")),
        );
    }
    if let Some(environment) = environment {
        if risk.approval_required {
            plan.approval(action, risk, environment);
        }
        let mut call = call(
            "deploy_service",
            json!({"environment": environment, "base": facts.base, "head_revision": facts.head_revision}),
        );
        if risk.approval_required {
            call.input_from
                .insert("approval_id".into(), "/approve/approval_id".into());
        }
        call.timeout_s = DEPLOY_TIMEOUT_S;
        call.max_attempts = DEPLOY_ATTEMPTS;
        let why = format!(
            "Takes the lock of {environment}, merges into {}, deploys, checks health, gives the lock back.",
            facts.base
        );
        plan.agent("deploy", call, why);
    }
    if operations.document {
        let mut input = change(facts);
        if let Some(environment) = environment {
            input["environment"] = json!(environment);
        }
        let mut call = call("update_changelog", input);
        call.input_from = [("review", "review"), ("checks", "test"), ("deployment", "deploy")]
            .into_iter()
            .filter(|(_, step)| plan.has(step))
            .map(|(key, step)| (key.to_owned(), format!("/{step}")))
            .collect();
        plan.agent(
            "document",
            call,
            "Writes the change-log entry on a branch of its own.".into(),
        );
    }
    let definition = Definition {
        name: "deliver-change".into(),
        version: "1".into(),
        steps: plan.definition,
    };
    (definition, plan.planned)
}

/// The change, pinned: the base's revision keeps the difference the same after the merge.
fn change(facts: &Facts) -> Value {
    json!({
        "base": facts.base,
        "base_revision": facts.base_revision,
        "head": facts.head,
        "head_revision": facts.head_revision,
    })
}

fn call(skill: &str, input: Value) -> AgentCall {
    AgentCall {
        skill: skill.into(),
        agent: None,
        input,
        input_from: BTreeMap::new(),
        timeout_s: 600,
        max_attempts: 3,
        require: Vec::new(),
    }
}

#[derive(Default)]
struct Steps {
    definition: Vec<Step>,
    planned: Vec<PlannedStep>,
}

impl Steps {
    fn has(&self, name: &str) -> bool {
        self.definition.iter().any(|step| step.name == name)
    }

    fn agent(&mut self, name: &str, call: AgentCall, why: String) {
        self.planned.push(PlannedStep {
            step: name.into(),
            skill: call.skill.clone(),
            why,
        });
        self.definition.push(Step {
            name: name.into(),
            call: Call::Agent(call),
        });
    }

    fn approval(&mut self, action: &Action, risk: &Assessment, environment: &str) {
        let tier = serde_json::to_value(risk.tier).unwrap_or_default();
        self.planned.push(PlannedStep {
            step: "approve".into(),
            skill: "approval".into(),
            why: format!(
                "Deploying to {environment} is {} risk: a person other than the requester has to agree.",
                tier.as_str().unwrap_or("high")
            ),
        });
        let call = ApprovalCall {
            action: action.to_value(),
            risk: serde_json::to_value(risk).unwrap_or_default(),
            expires_s: risk.approval_expires_s,
        };
        self.definition.push(Step {
            name: "approve".into(),
            call: Call::Approval(call),
        });
    }
}
