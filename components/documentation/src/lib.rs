//! The documentation agent: change-log entries, references made from the code, sections of a README, each change on a
//! branch of its own.

mod changelog;
mod generate;
mod readme;

use guildhall_guest::{
    GuestResponse, Request, Router,
    agent::{self, AgentCall},
    common,
    domain::request::AgentError,
};
use guildhall_skills::cards;
use serde_json::Value;
use spin_sdk::http_service;

const NAME: &str = "documentation";

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let card = agent::card(
        NAME,
        "Writes change-log entries from what really happened, and documents code from what it declares.",
        cards::documentation(),
    );
    agent::routes(Router::new().without_ticker(), card, answer)
        .serve(request)
        .await
}

async fn answer(call: AgentCall) -> Result<Value, AgentError> {
    match call.skill.as_str() {
        "update_changelog" => changelog::update_changelog(&call).await,
        "generate_docs" => generate::generate_docs(&call).await,
        "update_readme" => readme::update_readme(&call).await,
        "explain_code" => common::explain_code(&call).await,
        "get_status" => common::get_status(&call, NAME).await,
        _ => Err(call.unknown_skill()),
    }
}
