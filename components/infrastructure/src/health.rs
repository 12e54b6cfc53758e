//! Whether services are well, as they answer themselves.

use crate::tool;
use futures::future::join_all;
use guildhall_guest::{agent::AgentCall, domain::request::AgentError};
use guildhall_skills::inputs::{self, CheckHealth, HealthCheck};
use serde_json::{Value, json};

pub(crate) async fn check_health(call: &AgentCall) -> Result<Value, AgentError> {
    let input: CheckHealth = inputs::read(&call.skill, &call.input)?;
    ask(call, &input.environment).await
}

/// `check_health` for each of several. What one answers, or that it cannot be asked, hides nothing of the others; only
/// when none could be asked for the same reason is that the answer.
pub(crate) async fn health_check(call: &AgentCall) -> Result<Value, AgentError> {
    let input: HealthCheck = inputs::read(&call.skill, &call.input)?;
    let answers = join_all(input.services.iter().map(|service| ask(call, service))).await;
    if let Some(Err(first)) = answers.first()
        && answers
            .iter()
            .all(|answer| answer.as_ref().is_err_and(|error| error.code == first.code))
    {
        return Err(first.clone());
    }
    let mut well = 0;
    let services: Vec<Value> = input
        .services
        .iter()
        .zip(answers)
        .map(|(service, answer)| match answer {
            Ok(health) => {
                well += usize::from(health["healthy"] == true);
                health
            }
            Err(error) => json!({
                "environment": service, "healthy": null, "error": error, "summary": error.detail,
            }),
        })
        .collect();
    let total = services.len();
    Ok(json!({
        "status": if well == total { "healthy" } else { "unhealthy" },
        "healthy": well == total,
        "services": services,
        "summary": format!("{well} of {total} services are well."),
    }))
}

async fn ask(call: &AgentCall, environment: &str) -> Result<Value, AgentError> {
    let mut health = tool(call, "service_health", json!({"environment": environment})).await?;
    let well = health["healthy"] == true;
    health["environment"] = json!(environment);
    health["summary"] = json!(match (well, health["reason"].as_str()) {
        (true, _) => format!("The service of {environment} is well."),
        (false, Some(reason)) => format!("The service of {environment} is not well: {reason}."),
        (false, None) => format!("The service of {environment} is not well."),
    });
    Ok(health)
}
