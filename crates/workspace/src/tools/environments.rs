//! Environments and their services. Everything that changes one is fenced by the lock `deployment:ENVIRONMENT`.

use super::{Kind, Tools};
use crate::config::{Environment, Risk, Service};
use crate::durable;
use crate::effects::{Attempt, Ended, Fence};
use crate::environments::{
    Action, DeployRequest, Deployed, Deployment, Health, Held, ServiceState, ServiceStatus, health,
};
use crate::error::{ToolError, ToolResult};
use crate::workspace::Workspace;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

pub(super) fn register(tools: &mut Tools) {
    tools.add(
        "environment_describe",
        Kind::Read,
        "Describe an environment: what is deployed there, what was before, and whether its service runs.",
        describe,
    );
    tools.add_effect::<Deploy, Deployed>(
        "environment_deploy",
        Kind::Change,
        "Deploy a revision by the environment's own command, then start its service from it.",
        deploy,
    );
    tools.add_effect::<Fenced, Deployed>(
        "environment_rollback",
        Kind::Change,
        "Go back to what was deployed before, by the rollback command or else by deploying it again.",
        rollback,
    );
    tools.add(
        "service_health",
        Kind::Read,
        "Wait until the service answers its health URL, and verify that the process that was started is the one that answers.",
        service_health,
    );
    tools.add_effect::<Fenced, ServiceChanged>(
        "service_restart",
        Kind::Change,
        "Stop the service and start it again from what is deployed.",
        service_restart,
    );
    tools.add_effect::<Fenced, ServiceChanged>(
        "service_stop",
        Kind::Change,
        "Stop the service with everything it started.",
        service_stop,
    );
}

/// The lock that must be held for changing an environment.
pub(super) fn resource_of(environment: &str) -> String {
    format!("deployment:{environment}")
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    /// The environment's name, as repository_describe lists it.
    environment: String,
}

#[derive(Serialize, JsonSchema)]
struct Description {
    /// Its name.
    environment: String,
    /// How much a mistake costs there.
    risk: Risk,
    /// The commit id that is deployed; null before the first deployment.
    current_revision: Option<String>,
    /// The commit id that a rollback would go to.
    previous_revision: Option<String>,
    /// When the current revision was deployed, RFC 3339.
    deployed_at: Option<String>,
    /// Its service.
    service: ServiceStatus,
    /// The lock that must be held for changing it.
    resource: String,
}

fn describe(workspace: &Workspace, input: Named) -> ToolResult<Description> {
    let (_, configuration) = workspace.configured()?;
    let environment = configuration.environment_named(&input.environment)?;
    let (_, record) = workspace.environments.look(&input.environment)?;
    Ok(Description {
        risk: environment.risk,
        current_revision: record.current.as_ref().map(|current| current.revision.clone()),
        previous_revision: record.history.last().map(|previous| previous.revision.clone()),
        deployed_at: record
            .current
            .as_ref()
            .map(|current| durable::rfc3339(current.deployed_at_ms)),
        service: record.service_status(environment.service.is_some()),
        resource: resource_of(&input.environment),
        environment: input.environment,
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Deploy {
    /// The environment's name.
    environment: String,
    /// The branch, tag or commit id to deploy.
    revision: String,
    /// The same for every attempt at this effect.
    idempotency_key: String,
    /// The fencing token of the lock that is held.
    fencing_token: u64,
    /// The resource that the lock is for: `deployment:ENVIRONMENT`.
    resource: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fenced {
    /// The environment's name.
    environment: String,
    /// The same for every attempt at this effect.
    idempotency_key: String,
    /// The fencing token of the lock that is held.
    fencing_token: u64,
    /// The resource that the lock is for: `deployment:ENVIRONMENT`.
    resource: String,
}

fn deploy(workspace: &Workspace, input: Deploy, arguments: &Value) -> ToolResult<Value> {
    let revision = input.revision;
    let fenced = Fenced {
        environment: input.environment,
        idempotency_key: input.idempotency_key,
        fencing_token: input.fencing_token,
        resource: input.resource,
    };
    under_fence(
        workspace,
        "environment_deploy",
        &fenced,
        arguments,
        |environment, held, attempt| {
            let action = Action::Deploy(workspace.git.resolve(&revision)?);
            held.deploy(&request(workspace, environment, &fenced, action), attempt)
        },
    )
}

fn rollback(workspace: &Workspace, input: Fenced, arguments: &Value) -> ToolResult<Value> {
    under_fence(
        workspace,
        "environment_rollback",
        &input,
        arguments,
        |environment, held, attempt| {
            held.deploy(
                &request(workspace, environment, &input, Action::Rollback),
                attempt,
            )
        },
    )
}

fn request<'a>(
    workspace: &'a Workspace,
    environment: &'a Environment,
    fenced: &'a Fenced,
    action: Action,
) -> DeployRequest<'a> {
    DeployRequest {
        name: &fenced.environment,
        environment,
        action,
        fencing_token: fenced.fencing_token,
        git: &workspace.git,
        stopping: &workspace.stopping,
    }
}

fn service_health(workspace: &Workspace, input: Named) -> ToolResult<Health> {
    let (_, configuration) = workspace.configured()?;
    let service = service_of(
        configuration.environment_named(&input.environment)?,
        &input.environment,
    )?;
    let (directory, record) = workspace.environments.look(&input.environment)?;
    health::check(service, &record, &directory, &workspace.stopping)
}

#[derive(Serialize, JsonSchema)]
struct ServiceChanged {
    /// The environment.
    environment: String,
    /// Whether the service runs now.
    state: ServiceState,
    /// Its process id, when it runs.
    pid: Option<u32>,
    /// Whether a process was stopped.
    stopped: bool,
    /// Why it could not be started.
    error: Option<String>,
}

fn service_restart(workspace: &Workspace, input: Fenced, arguments: &Value) -> ToolResult<Value> {
    under_fence(
        workspace,
        "service_restart",
        &input,
        arguments,
        |environment, held, attempt| {
            let service = service_of(environment, &input.environment)?;
            let current: Deployment = held.record.current.clone().ok_or_else(|| {
                ToolError::new(
                    "nothing_deployed",
                    format!("nothing is deployed to {}", input.environment),
                    "Deploy a revision first; its service is then started.",
                )
            })?;
            let stopped = held
                .record
                .service
                .as_ref()
                .is_some_and(|record| record.is_running());
            let started = held.restart_service(&input.environment, service, &current, attempt)?;
            let changed = ServiceChanged {
                environment: input.environment.clone(),
                state: if started.started {
                    ServiceState::Running
                } else {
                    ServiceState::Stopped
                },
                pid: started.pid,
                stopped,
                error: started.error,
            };
            Ok(if started.started {
                Ended::Durably(changed)
            } else {
                Ended::Openly(changed)
            })
        },
    )
}

fn service_stop(workspace: &Workspace, input: Fenced, arguments: &Value) -> ToolResult<Value> {
    under_fence(
        workspace,
        "service_stop",
        &input,
        arguments,
        |environment, held, attempt| {
            let limit = environment
                .service
                .as_ref()
                .map_or(10, |service| service.stop_timeout_s);
            let stopped = held.stop_service(Duration::from_secs(limit), attempt)?;
            Ok(Ended::Durably(ServiceChanged {
                environment: input.environment.clone(),
                state: ServiceState::Stopped,
                pid: None,
                stopped,
                error: None,
            }))
        },
    )
}

fn service_of<'a>(environment: &'a Environment, name: &str) -> ToolResult<&'a Service> {
    environment.service.as_ref().ok_or_else(|| {
        ToolError::new(
            "service_not_configured",
            format!("the environment {name} has no service"),
            format!("Add [environments.{name}.service] to guildhall.toml on the base branch."),
        )
    })
}

/// Runs an effect on an environment: alone, and only for the holder of its lock. The fence is looked at while the
/// environment is held, so that a late call cannot slip in behind a newer holder's.
fn under_fence<T: Serialize>(
    workspace: &Workspace,
    tool: &str,
    fenced: &Fenced,
    arguments: &Value,
    effect: impl FnOnce(&Environment, &mut Held, &Attempt<'_>) -> ToolResult<Ended<T>>,
) -> ToolResult<Value> {
    let (_, configuration) = workspace.configured()?;
    let environment = configuration.environment_named(&fenced.environment)?;
    let resource = resource_of(&fenced.environment);
    if fenced.resource != resource {
        return Err(ToolError::invalid(
            format!(
                "the environment {} is guarded by the lock {resource:?}, not {:?}",
                fenced.environment, fenced.resource
            ),
            format!("Acquire the lock {resource:?} and give its fencing token."),
        ));
    }
    let mut held = workspace.environments.hold(&fenced.environment)?;
    workspace.fences.admit(&Fence {
        resource,
        fencing_token: fenced.fencing_token,
    })?;
    workspace
        .effects
        .run(&fenced.idempotency_key, tool, arguments, |attempt| {
            effect(environment, &mut held, attempt)
        })
}
