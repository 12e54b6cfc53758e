//! Operations: health, metrics, API tokens, the fleet's card, the ticker, and 404 for what no other component serves.

#![allow(
    clippy::result_large_err,
    reason = "a Problem is made at most once in a request, and is small on wasm32"
)]

mod card;
mod document;
mod ready;
mod relay;
mod ticker;
mod tokens;

use futures::future::join_all;
use guildhall_guest::{
    Access, Ctx, GuestResponse, Handled, Reply, Request, Router, chain,
    domain::scope::Scope,
    http::{Method, StatusCode},
    log,
    store::ops,
};
use serde::Deserialize;
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    Router::new()
        .without_ticker()
        .get("/livez", Access::Open, livez)
        .get("/readyz", Access::Open, ready::readyz)
        .get("/.well-known/agent-card.json", Access::Open, card::show)
        .get("/.well-known/ard.json", Access::Open, card::manifest)
        .get("/.well-known/ai-catalog.json", Access::Open, card::manifest)
        .get("/openapi.json", Access::Open, document::show)
        .get("/metrics", Access::Scope(Scope::MetricsRead), metrics)
        .get("/v1/tokens", Access::Scope(Scope::Admin), tokens::list)
        .post("/v1/tokens", Access::Scope(Scope::Admin), tokens::create)
        .route(
            Method::DELETE,
            "/v1/tokens/{id}",
            Access::Scope(Scope::Admin),
            tokens::revoke,
        )
        .post("/internal/tick", Access::Internal, tick)
        .post("/internal/wake", Access::Internal, wake)
        .serve(request)
        .await
}

/// Says that requests are served, without asking anybody: a restart would not mend a database that is away.
async fn livez(_: Ctx) -> Handled {
    Ok(Reply::bytes(
        StatusCode::OK,
        "application/json",
        &b"{\"status\":\"live\"}"[..],
    ))
}

async fn metrics(ctx: Ctx) -> Handled {
    let text = ops::exposition(&ops::metrics(&ctx.db()).await?);
    Ok(Reply::bytes(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        text,
    ))
}

#[derive(Default, Deserialize)]
struct Tick {
    /// The ticker that hands over, so that its lease need not run out first.
    worker: Option<String>,
}

async fn tick(mut ctx: Ctx) -> Handled {
    let body: Tick = ctx.json_or_default().await?;
    ticker::start(body.worker);
    Ok(Reply::empty(StatusCode::ACCEPTED))
}

/// The front door's bell: wakes all loops. Due work that a failed wake-up leaves lying is the ticker's.
async fn wake(ctx: Ctx) -> Handled {
    ticker::start(None);
    let woken = ["workflows", "requests", "calls"];
    let outcomes = join_all(woken.map(|component| chain::wake(component, ctx.trace()))).await;
    for (component, outcome) in woken.into_iter().zip(outcomes) {
        if let Err(why) = outcome {
            log::warn(format!("could not wake {component} (the ticker will): {why}"));
        }
    }
    Ok(Reply::empty(StatusCode::ACCEPTED))
}
