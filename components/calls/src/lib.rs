//! Performs what runs ask of services outside: `call: http`, `openapi`, `a2a`, `mcp` and functions of catalogs. It has no
//! route of its own; `POST /internal/wake` lets it look for what is due.

mod drain;
mod outside;

use guildhall_guest::{Access, Ctx, GuestResponse, Handled, Reply, Request, Router, chain, http::StatusCode};
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    Router::new()
        .post("/internal/wake", Access::Internal, wake)
        .serve(request)
        .await
}

async fn wake(ctx: Ctx) -> Handled {
    chain::spawn(drain::drain(ctx.trace().clone()));
    Ok(Reply::empty(StatusCode::ACCEPTED))
}
