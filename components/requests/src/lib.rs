//! Requests over HTTP: `/v1/requests`; and the dispatcher behind `POST /internal/wake`.

#![allow(
    clippy::result_large_err,
    reason = "a Problem is made at most once in a request, and is small on wasm32"
)]

mod broadcasts;
mod callbacks;
mod dispatch;
mod letters;
mod submit;

use guildhall_guest::{
    Access, Ctx, GuestResponse, Handled, Reply, Request, Router, chain,
    domain::{Code, Problem, id::RequestId, scope::Scope},
    http::StatusCode,
    signature,
    store::{request, run::CancelOutcome},
};
use serde::Deserialize;
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let (read, write) = (Access::Scope(Scope::RunsRead), Access::Scope(Scope::RunsWrite));
    Router::new()
        .get("/v1/requests", read, list)
        .post("/v1/requests", write, submit::submit)
        .get("/v1/requests/dead-letters", read, letters::list)
        .get("/v1/requests/callback-key", write, callback_key)
        .post("/v1/requests/broadcasts", write, broadcasts::submit)
        .get("/v1/requests/broadcasts/{id}", read, broadcasts::show)
        .get("/v1/requests/{id}", read, show)
        .post("/v1/requests/{id}/cancel", write, cancel)
        .post("/v1/requests/{id}/retry", write, letters::retry)
        .post("/v1/requests/{id}/discard", write, letters::discard)
        .post("/internal/wake", Access::Internal, wake)
        .serve(request)
        .await
}

async fn wake(ctx: Ctx) -> Handled {
    chain::spawn(dispatch::drain(ctx.trace().clone()));
    callbacks::start(ctx.trace().clone());
    Ok(Reply::empty(StatusCode::ACCEPTED))
}

async fn list(ctx: Ctx) -> Handled {
    let states = "queued, leased, succeeded, failed, rejected, timed_out, cancelled, dead";
    let (state, run_id) = (ctx.query_as("state", states)?, ctx.parsed_query("run_id")?);
    let page = request::list(&ctx.db(), state, run_id, ctx.after()?, ctx.limit()?).await?;
    Ok(Reply::json(&page))
}

async fn show(ctx: Ctx) -> Handled {
    let id: RequestId = ctx.parsed_param("id")?;
    match request::get(&ctx.db(), id).await? {
        Some(request) => Ok(Reply::json(&request)),
        None => Err(unknown(id)),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    reason: Option<String>,
}

async fn cancel(mut ctx: Ctx) -> Handled {
    let id: RequestId = ctx.parsed_param("id")?;
    let body: Cancel = ctx.json_or_default().await?;
    let reason = body.reason.unwrap_or_else(|| "no reason given".into());
    let cancelled = request::cancel(&ctx.db(), id, &ctx.principal()?.name, &reason).await?;
    match (cancelled.outcome, cancelled.request) {
        (CancelOutcome::Cancelled, Some(request)) => {
            if request.run_id.is_some() {
                chain::poke("workflows", ctx.trace());
            }
            Ok(Reply::json(&request))
        }
        (CancelOutcome::AlreadyEnded, _) => Err(Problem::new(
            Code::Conflict,
            format!("The request {id} has ended; there is nothing to cancel."),
        )),
        _ => Err(unknown(id)),
    }
}

fn unknown(id: RequestId) -> Problem {
    Problem::new(Code::NotFound, format!("There is no request {id}."))
        .hint("GET /v1/requests lists those there are.")
}

/// The key with which callbacks to the caller are signed: theirs alone.
async fn callback_key(ctx: Ctx) -> Handled {
    let secret = signature::secret().await?;
    let key = signature::key_of(&secret, &ctx.principal()?.name);
    Ok(Reply::json(&serde_json::json!({"key": key})))
}
