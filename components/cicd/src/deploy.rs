//! `deploy_artifact`: the delivery that chat would plan, started for the requester of the request.

use guildhall_guest::{
    agent::{self, AgentCall},
    chain,
    domain::{Code, request::AgentError},
    repository::{self, tool},
    store::{
        Idempotency,
        run::{self, NewRun, RunOf, StartOutcome},
    },
};
use guildhall_skills::{
    delivery::{self, Refusal, Repository},
    inputs::{self, DeployArtifact},
    planning::{Operations, Task},
};
use serde_json::{Value, json};

pub(crate) async fn deploy_artifact(call: &AgentCall) -> Result<Value, AgentError> {
    let input: DeployArtifact = inputs::read(&call.skill, &call.input)?;
    let head = repository::resolve(call, &input.artifact_id).await?;
    let described = tool(call, "repository_describe", json!({})).await?;
    let repository = Repository::from_tool(&described).map_err(repository::unexpected)?;
    let base = repository.base_branch.clone();
    let base_revision = repository::resolve(call, &base).await?;
    let task = Task {
        // Review and tests stand before every deployment, whoever asks for it.
        operations: Operations {
            review: true,
            test: true,
            deploy: true,
            document: false,
        },
        head: head.clone(),
        base: None,
        environment: Some(input.environment.clone()),
    };
    let facts = repository.facts(base, base_revision, head.clone(), head.clone());
    let plan = delivery::plan(&task, &facts).map_err(|refusal| match refusal {
        Refusal::Problem(problem) => agent::failed(*problem),
        Refusal::Ask { question, .. } => {
            repository::refused(Code::InvalidInput, question, "Name the environment.")
        }
    })?;
    let key = call.effect_key("deploy_artifact");
    let new = NewRun {
        what: RunOf::Document {
            definition: &plan.definition,
            digest: &plan.digest,
        },
        input: &plan.input,
        title: &plan.title,
        requester: &call.requester,
        // A later attempt may plan against a base that has moved; what counts is that there is one run.
        idempotency: Some(Idempotency {
            key: &key,
            fingerprint: &head,
        }),
        chat: None,
    };
    let started = run::start(&call.db(), new)
        .await
        .map_err(|error| agent::failed(error.into()))?;
    let run = match (started.outcome, started.run) {
        (StartOutcome::Started | StartOutcome::Exists, Some(run)) => run,
        _ => {
            return Err(repository::refused(
                Code::Internal,
                "The run was not started, and the database does not say why.",
                "Look into the database's log.",
            ));
        }
    };
    chain::poke("workflows", call.trace());
    let waits = match plan.risk.approval_required {
        true => " It waits for the approval of another person before it deploys.",
        false => "",
    };
    Ok(json!({
        "run_id": run.id,
        "artifact_id": head,
        "environment": input.environment,
        "status": run.status,
        "plan": plan.steps,
        "risk": plan.risk,
        "notes": plan.notes,
        "summary": format!("Started the run {}: {}.{waits}", run.id, plan.title),
    }))
}
