//! The infrastructure agent: changes environments, each change assessed by the agent itself, under an approval where the
//! risk asks for one, and under the environment's lock.

mod authorise;
mod configure;
mod deploy;
mod generate;
mod health;
mod held;
mod rollback;

use guildhall_guest::{
    GuestResponse, Request, Router,
    agent::{self, AgentCall},
    common,
    domain::{Code, request::AgentError},
};
use guildhall_skills::{cards, delivery::Repository, tools};
use serde_json::{Value, json};
use spin_sdk::http_service;
use std::time::Duration;

const NAME: &str = "infrastructure";
/// The workspace ends a command at its own time limit; this only ends the wait for a workspace that hangs itself.
const COMMAND_LIMIT: Duration = Duration::from_secs(3_600);

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let card = agent::card(
        NAME,
        "Deploys, rolls back and checks services, under locks and with approvals where the risk asks for one.",
        cards::infrastructure(),
    );
    agent::routes(Router::new().without_ticker(), card, answer)
        .serve(request)
        .await
}

async fn answer(call: AgentCall) -> Result<Value, AgentError> {
    match call.skill.as_str() {
        "deploy_service" => deploy::deploy_service(&call).await,
        "rollback" => rollback::rollback(&call).await,
        "check_health" => health::check_health(&call).await,
        "health_check" => health::health_check(&call).await,
        "update_config" => configure::update_config(&call).await,
        "generate_infrastructure" => generate::generate_infrastructure(&call).await,
        "get_status" => common::get_status(&call, NAME).await,
        _ => Err(call.unknown_skill()),
    }
}

/// Calls a workspace tool.
async fn tool(call: &AgentCall, name: &str, arguments: Value) -> Result<Value, AgentError> {
    call.tools()
        .limit(COMMAND_LIMIT)
        .call(name, arguments)
        .await
        .map_err(tools::retry_what_passes)
}

/// The repository as the workspace describes it now.
async fn repository(call: &AgentCall) -> Result<Repository, AgentError> {
    let answer = tool(call, "repository_describe", json!({})).await?;
    Repository::from_tool(&answer).map_err(|reason| {
        error(
            Code::ToolFailed,
            format!("The workspace's answer cannot be used: {reason}."),
        )
        .hint("Check that the workspace server is of the same version as the fleet.")
        .into()
    })
}

/// An error under construction; final unless made retryable.
struct Failure(AgentError);

fn error(code: Code, detail: String) -> Failure {
    Failure(AgentError {
        code: code.as_str().into(),
        detail,
        hint: None,
        retryable: false,
    })
}

impl Failure {
    fn hint(mut self, hint: &str) -> Failure {
        self.0.hint = Some(hint.into());
        self
    }

    fn retryable(mut self) -> Failure {
        self.0.retryable = true;
        self
    }
}

impl From<Failure> for AgentError {
    fn from(failure: Failure) -> AgentError {
        failure.0
    }
}
