//! Workflows and runs over HTTP: `/v1/workflows`, `/v1/runs`; and the loop behind `POST /internal/wake` that takes due
//! runs further.

#![allow(
    clippy::result_large_err,
    reason = "a Problem is made at most once in a request, and is small on wasm32"
)]

mod document;
mod drain;
mod runs;
mod start;
mod turn;
mod workflows;

use guildhall_guest::{
    Access, Ctx, GuestResponse, Handled, Reply, Request, Router, chain,
    domain::scope::Scope,
    http::{Method, StatusCode},
};
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let (read, write) = (Access::Scope(Scope::RunsRead), Access::Scope(Scope::RunsWrite));
    Router::new()
        .get("/v1/workflows", read, workflows::list)
        .post("/v1/workflows", write, workflows::post)
        .post("/v1/workflows/validate", read, workflows::validate)
        .post("/v1/workflows/plan", read, workflows::plan)
        .get(
            "/v1/workflows/{namespace}/{name}/{version}",
            read,
            workflows::show,
        )
        .route(
            Method::PUT,
            "/v1/workflows/{namespace}/{name}/{version}",
            write,
            workflows::put,
        )
        .get("/v1/runs", read, runs::list)
        .post("/v1/runs", write, start::start)
        .get("/v1/runs/{id}", read, runs::show)
        .get("/v1/runs/{id}/journal", read, runs::journal)
        .post("/v1/runs/{id}/cancel", write, runs::cancel)
        .post("/v1/runs/{id}/pause", write, runs::pause)
        .post("/v1/runs/{id}/resume", write, runs::resume)
        .post("/v1/runs/{id}/signal", write, runs::signal)
        .post("/internal/wake", Access::Internal, wake)
        .serve(request)
        .await
}

async fn wake(ctx: Ctx) -> Handled {
    let trace = ctx.trace().clone();
    chain::spawn(async move { drain::drain(&trace).await });
    Ok(Reply::empty(StatusCode::ACCEPTED))
}
