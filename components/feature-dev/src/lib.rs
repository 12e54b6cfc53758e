//! The feature-dev agent: commits files to branches, its own model's or those it is given, and has its model write code.

mod implement;
mod write;

use guildhall_guest::{
    GuestResponse, Request, Router,
    agent::{self, AgentCall},
    common,
    domain::request::AgentError,
    repository::{self, Change},
};
use guildhall_skills::{cards, inputs};
use serde_json::Value;
use spin_sdk::http_service;

const NAME: &str = "feature-dev";

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let card = agent::card(
        NAME,
        "Writes code on branches of their own; nothing reaches the base without review, checks and approval.",
        cards::feature_dev(),
    );
    agent::routes(Router::new().without_ticker(), card, answer)
        .serve(request)
        .await
}

async fn answer(call: AgentCall) -> Result<Value, AgentError> {
    match call.skill.as_str() {
        "apply_change" => apply_change(&call).await,
        "implement_feature" => implement::implement_feature(&call).await,
        "implement_and_review" => implement::implement_and_review(&call).await,
        "generate_code" => write::generate_code(&call).await,
        "refactor_code" => write::refactor_code(&call).await,
        "get_status" => common::get_status(&call, NAME).await,
        _ => Err(call.unknown_skill()),
    }
}

async fn apply_change(call: &AgentCall) -> Result<Value, AgentError> {
    let input: inputs::ApplyChange = inputs::read(&call.skill, &call.input)?;
    let change = Change {
        branch: &input.branch,
        base: &input.base,
        files: &input.files,
        message: &input.message,
        effect: "commit",
    };
    repository::commit(call, &change).await
}
