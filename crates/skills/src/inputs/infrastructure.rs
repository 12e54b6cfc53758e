//! What the skills of infrastructure take.

use super::{Input, WORDS_MAX, branch, environment, optional, own_branch, path, revision, text};
use crate::infra::{Provider, ServiceFacts};
use guildhall_domain::id::ApprovalId;
use serde::Deserialize;
use serde_json::Value;

/// Most services that are looked at in one request.
pub const SERVICES_MAX: usize = 20;

/// Input of `deploy_service`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployService {
    /// Where to.
    pub environment: String,
    /// The branch that the change is merged into.
    pub base: String,
    /// The commit with the change.
    pub head_revision: String,
    /// The approval, where one is needed.
    pub approval_id: Option<ApprovalId>,
}

impl Input for DeployService {
    fn check(&self) -> Result<(), String> {
        environment(&self.environment)?;
        branch("base", &self.base)?;
        revision("head_revision", &self.head_revision)
    }
}

/// Input of `rollback`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Where.
    pub environment: String,
    /// The approval, where one is needed.
    pub approval_id: Option<ApprovalId>,
}

impl Input for Rollback {
    fn check(&self) -> Result<(), String> {
        environment(&self.environment)
    }
}

/// Input of `check_health`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckHealth {
    /// Where.
    pub environment: String,
}

impl Input for CheckHealth {
    fn check(&self) -> Result<(), String> {
        environment(&self.environment)
    }
}

/// Input of `health_check`: `check_health` for several at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// The environments whose services are asked.
    pub services: Vec<String>,
}

impl Input for HealthCheck {
    fn check(&self) -> Result<(), String> {
        if self.services.is_empty() || self.services.len() > SERVICES_MAX {
            return Err(format!(
                "`services` has {} names; 1 to {SERVICES_MAX} are taken",
                self.services.len()
            ));
        }
        self.services.iter().try_for_each(|name| environment(name))
    }
}

/// Input of `update_config`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateConfig {
    /// The file: .toml, .json, .yaml, .yml or .env.
    pub path: String,
    /// The key, its parts joined by dots; in a .env file the variable's name.
    pub config_key: String,
    /// The new value: text, number or boolean.
    pub config_value: Value,
    /// The branch or commit that a new branch begins at; the repository's base otherwise.
    pub base: Option<String>,
    /// The branch to commit to; one named after the request otherwise.
    pub branch: Option<String>,
}

impl Input for UpdateConfig {
    fn check(&self) -> Result<(), String> {
        path("path", &self.path)?;
        text("config_key", &self.config_key, 300)?;
        match &self.config_value {
            Value::String(value) if value.len() > 10_000 => {
                return Err("`config_value` has more than 10000 bytes".into());
            }
            Value::String(value) if value.chars().any(char::is_control) => {
                return Err("`config_value` holds a control character; it must be one line".into());
            }
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {}
            _ => return Err("`config_value` must be text, a number or a boolean".into()),
        }
        own_branch(self.branch.as_ref(), self.base.as_ref())
    }
}

/// Input of `generate_infrastructure`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateInfrastructure {
    /// What kind of file.
    pub provider: Provider,
    /// The service, when rules are to write the file from exactly these facts.
    pub service: Option<ServiceFacts>,
    /// What is wanted in words, when a model is to write the file.
    pub description: Option<String>,
}

impl Input for GenerateInfrastructure {
    fn check(&self) -> Result<(), String> {
        if self.service.is_none() && self.description.is_none() {
            return Err("neither `service` nor `description` is given".into());
        }
        optional("description", self.description.as_ref(), WORDS_MAX)?;
        self.service.as_ref().map_or(Ok(()), ServiceFacts::check)
    }
}
