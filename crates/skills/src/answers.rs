//! How the orchestrator answers questions, in words.

use guildhall_domain::{
    agent::Agent,
    approval::Approval,
    run::{Run, RunStatus, StepView},
};

/// A run with its timeline: one line for the run, one for each step.
pub fn run(run: &Run) -> String {
    let mut text = run_line(run);
    for step in &run.steps {
        text.push_str("\n  ");
        text.push_str(&step_line(step));
    }
    if let Some(error) = &run.error {
        let detail = error["detail"]
            .as_str()
            .or(error["title"].as_str())
            .unwrap_or("no reason was recorded");
        text.push_str(&format!("\n  It ended because: {detail}"));
    }
    text
}

/// Runs, one line each.
pub fn runs(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "There are no runs yet.".to_owned();
    }
    runs.iter().map(run_line).collect::<Vec<_>>().join("\n")
}

fn run_line(run: &Run) -> String {
    let status = match run.status {
        RunStatus::Pending => "is accepted and about to begin",
        RunStatus::Running => "is being worked on",
        RunStatus::Waiting => "waits for a step",
        RunStatus::Suspended => "is held",
        RunStatus::Completed => "is completed",
        RunStatus::Faulted => "has failed",
        RunStatus::Cancelled => "was cancelled",
    };
    format!("Run {} ({}) {status}.", run.id, run.title)
}

fn step_line(step: &StepView) -> String {
    let name = &step.name;
    let who = step
        .agent
        .as_deref()
        .map(|agent| format!(" by {agent}"))
        .unwrap_or_default();
    let said = |value: &Option<serde_json::Value>, key: &str| {
        value
            .as_ref()
            .and_then(|value| value[key].as_str())
            .map(|text| format!(": {text}"))
            .unwrap_or_default()
    };
    let told = match step.status.as_str() {
        "completed" => said(&step.result, "summary"),
        "faulted" => said(&step.error, "detail"),
        _ => String::new(),
    };
    format!("{name}{who} {}{told}", step.status)
}

/// Approvals that wait, one line each, with the command that decides.
pub fn approvals(approvals: &[Approval]) -> String {
    if approvals.is_empty() {
        return "No approval is pending.".to_owned();
    }
    let line = |approval: &Approval| {
        let action = &approval.action;
        let operation = action["operation"].as_str().unwrap_or("do something");
        let environment = action["environment"].as_str().unwrap_or("no environment");
        format!(
            "Approval {} waits: {operation} to {environment}, asked for by {}, {} risk, until {}.",
            approval.id,
            approval.requester,
            approval.risk["tier"].as_str().unwrap_or("unknown"),
            approval.expires_at.format("%Y-%m-%d %H:%M UTC")
        )
    };
    approvals.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Agents, one line each.
pub fn agents(agents: &[Agent]) -> String {
    if agents.is_empty() {
        return "No agent has registered yet; they do so within seconds of the start.".to_owned();
    }
    let line = |agent: &Agent| {
        let skills: Vec<&str> = agent.card.skills.iter().map(|skill| skill.id.as_str()).collect();
        let status = agent.status.as_str();
        format!("{} ({status}): {}", agent.id, skills.join(", "))
    };
    agents.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_tells_its_steps_and_why_it_ended() {
        let value = json!({
            "id": "0d6b4a2e-52a1-4c1f-9a51-1b5f0d1c2e3f", "name": "deliver-change", "status": "faulted",
            "requester": "ada", "title": "test fix-1", "definition": {}, "output": null,
            "error": {"code": "checks_failed", "detail": "test exited with 101."}, "journal_position": 4,
            "created_at": "2026-11-22T08:00:00Z", "finished_at": "2026-11-22T08:01:00Z",
            "steps": [{
                "step": "/do/0/test", "name": "test", "kind": "agent", "status": "completed", "agent": "cicd", "skill": "run_checks", "attempts": 1,
                "started_at": "2026-11-22T08:00:00Z", "finished_at": null, "result": {"summary": "1 of 1 failed"}, "error": null,
            }],
        });
        let text = run(&serde_json::from_value(value).expect("a run"));
        assert_eq!(
            text,
            "Run 0d6b4a2e-52a1-4c1f-9a51-1b5f0d1c2e3f (test fix-1) has failed.\n  test by cicd completed: 1 of 1 failed\n  \
             It ended because: test exited with 101."
        );
        assert_eq!(runs(&[]), "There are no runs yet.");
        assert_eq!(approvals(&[]), "No approval is pending.");
    }
}
