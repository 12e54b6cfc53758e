//! Locks over HTTP: `/v1/locks`. A caller's holders are its own: they are stored with its name in front, so that no
//! token can renew or release what another principal took.

#![allow(
    clippy::result_large_err,
    reason = "a Problem is made at most once in a request, and is small on wasm32"
)]

mod answer;
mod input;
mod look;
mod one;
mod several;
mod waiting;

use guildhall_guest::{Access, GuestResponse, Request, Router, domain::scope::Scope};
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let read = Access::Scope(Scope::LocksRead);
    let write = Access::Scope(Scope::LocksWrite);
    Router::new()
        .get("/v1/locks", read, look::list)
        .post("/v1/locks", write, several::acquire)
        .post("/v1/locks/renew", write, several::renew)
        .post("/v1/locks/release", write, several::release)
        .get("/v1/locks/graph", read, look::graph)
        .get("/v1/locks/history", read, look::history)
        .get("/v1/locks/statistics", read, look::statistics)
        .get("/v1/locks/contention", read, look::contention)
        .get("/v1/locks/{resource}", read, look::show)
        .post("/v1/locks/{resource}/acquire", write, one::acquire)
        .post("/v1/locks/{resource}/renew", write, one::renew)
        .post("/v1/locks/{resource}/release", write, one::release)
        .post(
            "/v1/locks/{resource}/force-release",
            Access::Scope(Scope::Admin),
            one::force_release,
        )
        .serve(request)
        .await
}
