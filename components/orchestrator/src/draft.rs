//! From a task to a plan with pinned revisions.

use crate::planner;
use futures::join;
use guildhall_guest::{
    Trace,
    domain::{Code, Problem, request::AgentError},
    tools::Tools,
};
use guildhall_skills::{
    delivery::{self, Facts, Plan, Refusal, Repository},
    planning::{Intent, Task},
    tools,
};
use serde_json::{Value, json};

/// Plans the task against the repository as it is now.
pub(crate) async fn draft(trace: &Trace, task: &Task) -> Result<Plan, Refusal> {
    let facts = facts(trace, task)
        .await
        .map_err(|problem| Refusal::Problem(Box::new(problem)))?;
    delivery::plan(task, &facts)
}

async fn facts(trace: &Trace, task: &Task) -> Result<Facts, Problem> {
    let workspace = Tools::workspace(trace);
    let resolve = async |revision: &str| {
        workspace
            .call("revision_resolve", json!({"revision": revision}))
            .await
    };
    // The two do not depend on each other, so their round trips go on at the same time.
    let (described, head) = join!(
        workspace.call("repository_describe", json!({})),
        resolve(&task.head)
    );
    let described = described.map_err(tools::problem)?;
    let head = head.map_err(tools::problem)?;
    let repository = Repository::from_tool(&described).map_err(unexpected)?;
    let base = task
        .base
        .clone()
        .unwrap_or_else(|| repository.base_branch.clone());
    let base_revision = match described["base_revision"].as_str() {
        Some(revision) if base == repository.base_branch => revision.to_owned(),
        _ => delivery::resolved(&resolve(&base).await.map_err(tools::problem)?).map_err(unexpected)?,
    };
    let head_revision = delivery::resolved(&head).map_err(unexpected)?;
    Ok(repository.facts(base, base_revision, task.head.clone(), head_revision))
}

fn unexpected(error: delivery::FactsError) -> Problem {
    Problem::new(
        Code::ToolFailed,
        format!("The workspace's answer cannot be used: {error}."),
    )
    .hint("Check that the workspace server is of the same version as the fleet.")
}

/// The skill `plan_task`: what would be started, without starting it.
pub(crate) async fn plan_task(trace: &Trace, message: &str) -> Result<Value, AgentError> {
    let (understanding, planner) = planner::understand(trace, message, &[]).await;
    let mut result = json!({
        "intent": understanding.intent,
        "planner": planner,
        "notes": understanding.notes,
        "ignored": understanding.ignored,
    });
    let summary = match &understanding.intent {
        Intent::Deliver { task } => match draft(trace, task).await {
            Ok(plan) => {
                let summary = format!("Planned {} in {} steps.", plan.title, plan.steps.len());
                result["title"] = json!(plan.title);
                result["plan"] = json!(plan.steps);
                result["risk"] = json!(plan.risk);
                result["definition"] = plan.definition;
                result["input"] = plan.input;
                summary
            }
            Err(Refusal::Ask { missing, question }) => {
                result["intent"] = json!(Intent::Unclear {
                    missing,
                    question: question.clone()
                });
                question
            }
            Err(Refusal::Problem(problem)) => return Err(guildhall_guest::agent::failed(*problem)),
        },
        Intent::Unclear { question, .. } => question.clone(),
        other => format!("This asks for no work ({}).", other.name()),
    };
    result["summary"] = json!(summary);
    Ok(result)
}
