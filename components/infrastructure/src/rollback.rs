//! `rollback`: back to what was deployed before, under the same guards as a deployment.

use crate::{
    authorise::authorise,
    error,
    held::{Held, Lost},
    repository, tool,
};
use guildhall_guest::{
    agent::{self, AgentCall},
    domain::{Code, request::AgentError},
};
use guildhall_skills::{
    delivery::Environment,
    infra::{self, Verdict},
    inputs,
};
use serde_json::{Value, json};

pub(crate) async fn rollback(call: &AgentCall) -> Result<Value, AgentError> {
    let input: inputs::Rollback = inputs::read(&call.skill, &call.input)?;
    let repository = repository(call).await?;
    let environment = repository
        .environment(&input.environment)
        .map_err(|problem| agent::failed(*problem))?;
    let action = infra::rollback_action(&repository.name, &environment.name, environment.risk);
    authorise(call, &action, input.approval_id).await?;

    let resource = infra::deployment_lock(&environment.name);
    let mut held = Held::acquire(call, resource, &format!("roll {} back", environment.name)).await?;
    let (resource, fencing_token) = (held.resource.clone(), held.fencing_token);
    let outcome = held
        .during(roll_back(call, environment, &resource, fencing_token))
        .await;
    held.release().await;
    outcome.unwrap_or_else(|Lost| {
        let detail = format!(
            "The lock of {} was lost while it was rolled back.",
            environment.name
        );
        Err(error(Code::StaleToken, detail)
            .hint("It is tried again by itself, under a new lock.")
            .retryable()
            .into())
    })
}

async fn roll_back(
    call: &AgentCall,
    environment: &Environment,
    resource: &str,
    fencing_token: i64,
) -> Result<Value, AgentError> {
    let name = &environment.name;
    let arguments = json!({
        "environment": name,
        "idempotency_key": call.effect_key("rollback"),
        "fencing_token": fencing_token,
        "resource": resource,
    });
    let deployment = tool(call, "environment_rollback", arguments).await?;
    if deployment["status"] != "passed" {
        let detail = format!(
            "The rollback command for {name} ended with status {}.",
            deployment["status"]
        );
        return Err(error(Code::DeployFailed, detail)
            .hint("The result's output says why; deploy a good revision.")
            .into());
    }
    let revision = deployment["revision"].as_str().unwrap_or_default();
    let mut health = Value::Null;
    if environment.has_service {
        health = tool(call, "service_health", json!({"environment": name})).await?;
        if let Verdict::Unhealthy(reason) = infra::verdict(&health, revision) {
            let detail = format!("{name} was rolled back, but its service is not well: {reason}.");
            return Err(error(Code::ServiceUnhealthy, detail)
                .hint("Deploy a revision that is known to be good.")
                .into());
        }
    }
    Ok(json!({
        "environment": name,
        "revision": revision,
        "deployment": deployment,
        "health": health,
        "lock": {"resource": resource, "fencing_token": fencing_token},
        "summary": format!("Rolled {name} back to {}.", revision.get(..12).unwrap_or(revision)),
    }))
}
