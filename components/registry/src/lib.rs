//! The registry over HTTP: who is there, what they can do, and how they are found (docs/registry.md).

#![allow(
    clippy::result_large_err,
    reason = "a Problem is made at most once in a request, and is small on wasm32"
)]

mod ard;
mod card;
mod discover;
mod probe;
mod remote;

use guildhall_guest::{
    Access, Ctx, GuestResponse, Handled, Reply, Request, Router,
    domain::scope::Scope,
    http::{Method, StatusCode},
};
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let read = Access::Scope(Scope::AgentsRead);
    Router::new()
        .get("/v1/agents", read, discover::list)
        .get("/v1/agents/best", read, discover::best)
        .get("/v1/agents/{id}", read, discover::show)
        .get("/v1/agents/{id}/card", Access::Open, card::show)
        .get(
            "/agents/{id}/.well-known/agent-card.json",
            Access::Open,
            card::show,
        )
        // Who may do these is decided by the agent that the token is bound to, besides its scopes.
        .route(
            Method::PUT,
            "/v1/agents/{id}",
            Access::Scope(Scope::AgentsRegister),
            remote::enrol,
        )
        .post(
            "/v1/agents/{id}/heartbeat",
            Access::Scope(Scope::AgentsRegister),
            remote::heartbeat,
        )
        .route(
            Method::PUT,
            "/v1/agents/{id}/status",
            Access::Scope(Scope::AgentsRegister),
            remote::report,
        )
        .route(
            Method::DELETE,
            "/v1/agents/{id}",
            Access::Scope(Scope::AgentsRegister),
            remote::deregister,
        )
        .post("/ard/search", read, ard::search)
        .get("/ard/agents", read, ard::list)
        .post("/internal/wake", Access::Internal, wake)
        .serve(request)
        .await
}

async fn wake(_: Ctx) -> Handled {
    probe::start();
    Ok(Reply::empty(StatusCode::ACCEPTED))
}
