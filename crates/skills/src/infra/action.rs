//! The action that an approval binds. Planner and executor build it here, each from its own look at the repository,
//! so that equal intentions give equal JSON and any difference voids the approval.

use guildhall_policy::{Action, EnvironmentRisk, Operation};

/// Merge `head_revision` into `base` and deploy the result to `environment`.
pub fn deploy_action(
    repository: &str,
    environment: &str,
    risk: EnvironmentRisk,
    base: &str,
    head_revision: &str,
) -> Action {
    Action {
        operation: Operation::Deploy,
        repository: repository.to_owned(),
        environment: Some(environment.to_owned()),
        environment_risk: Some(risk),
        base: Some(base.to_owned()),
        head_revision: Some(head_revision.to_owned()),
    }
}

/// Put `environment` back to what was deployed there before.
pub fn rollback_action(repository: &str, environment: &str, risk: EnvironmentRisk) -> Action {
    Action {
        operation: Operation::Rollback,
        repository: repository.to_owned(),
        environment: Some(environment.to_owned()),
        environment_risk: Some(risk),
        base: None,
        head_revision: None,
    }
}

/// The lock that every change of an environment is made under.
pub fn deployment_lock(environment: &str) -> String {
    format!("deployment:{environment}")
}
