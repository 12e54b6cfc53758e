//! The orchestrator: plain words in, a durable run out. It plans and answers questions; the agents do the work.

mod chat;
mod draft;
mod planner;
mod questions;
mod route;

use guildhall_guest::{
    Access, GuestResponse, Request, Router,
    agent::{self, AgentCall},
    common,
    domain::{request::AgentError, scope::Scope},
};
use guildhall_skills::{
    aggregate, cards,
    inputs::{self, AggregateResults, DecomposeTask, PlanTask},
};
use serde_json::Value;
use spin_sdk::http_service;

const NAME: &str = "orchestrator";

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let card = agent::card(
        NAME,
        "Turns plain words into planned, risk-assessed and durable work for the other agents.",
        cards::orchestrator(),
    );
    let router = Router::new()
        .post("/chat", Access::Scope(Scope::Chat), chat::post)
        .get("/chat/{session_id}", Access::Scope(Scope::Chat), chat::history);
    agent::routes(router, card, answer).serve(request).await
}

async fn answer(call: AgentCall) -> Result<Value, AgentError> {
    match call.skill.as_str() {
        "plan_task" => {
            let input: PlanTask = inputs::read(&call.skill, &call.input)?;
            draft::plan_task(call.trace(), &input.message).await
        }
        "decompose_task" => {
            let input: PlanTask = inputs::read::<DecomposeTask>(&call.skill, &call.input)?.into();
            draft::plan_task(call.trace(), &input.message).await
        }
        "route_request" => route::route_request(&call).await,
        "aggregate_results" => {
            let input: AggregateResults = inputs::read(&call.skill, &call.input)?;
            Ok(aggregate::aggregate(&input.results))
        }
        "get_status" => common::get_status(&call, NAME).await,
        _ => Err(call.unknown_skill()),
    }
}
