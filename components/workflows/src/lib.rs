//! Runs over HTTP: `/v1/runs`; and the interpreter's loop behind `POST /internal/wake`.

#![allow(
    clippy::result_large_err,
    reason = "a Problem is made at most once in a request, and is small on wasm32"
)]

mod drain;

use guildhall_flow::Definition;
use guildhall_guest::{
    Access, Ctx, GuestResponse, Handled, Reply, Request, Router, chain,
    domain::{Code, Problem, id::RunId, scope::Scope},
    http::{StatusCode, header},
    store::run::{self, CancelOutcome, NewRun, StartOutcome},
};
use serde::Deserialize;
use serde_json::Value;
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let (read, write) = (Access::Scope(Scope::RunsRead), Access::Scope(Scope::RunsWrite));
    Router::new()
        .get("/v1/runs", read, list)
        .post("/v1/runs", write, start)
        .get("/v1/runs/{id}", read, show)
        .get("/v1/runs/{id}/journal", read, journal)
        .post("/v1/runs/{id}/cancel", write, cancel)
        .post("/internal/wake", Access::Internal, wake)
        .serve(request)
        .await
}

async fn wake(ctx: Ctx) -> Handled {
    let trace = ctx.trace().clone();
    chain::spawn(async move { drain::drain(&trace).await });
    Ok(Reply::empty(StatusCode::ACCEPTED))
}

async fn list(ctx: Ctx) -> Handled {
    let status = ctx.query_as(
        "status",
        "pending, running, waiting, completed, faulted, cancelled",
    )?;
    let page = run::list(&ctx.db(), status, ctx.after()?, ctx.limit()?).await?;
    Ok(Reply::json(&page))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    definition: Value,
    title: String,
}

async fn start(mut ctx: Ctx) -> Handled {
    let (body, once) = ctx.json_once::<Start>().await?;
    check_definition(&body.definition)?;
    let title = body.title.trim();
    if title.is_empty() || title.chars().count() > 200 {
        return Err(Problem::new(
            Code::InvalidBody,
            "`title` must be 1 to 200 characters.",
        ));
    }
    let new = NewRun {
        definition: &body.definition,
        title,
        requester: &ctx.principal()?.name,
        idempotency: once.as_ref().map(|once| once.as_store()),
        chat: None,
    };
    let started = run::start(&ctx.db(), new).await?;
    let status = match (started.outcome, &once) {
        (StartOutcome::Started, _) => {
            // The answer does not wait for the first step; the run is safe in the database already.
            chain::poke("workflows", ctx.trace());
            StatusCode::CREATED
        }
        (StartOutcome::Conflict, Some(once)) => return Err(once.conflict()),
        _ => StatusCode::OK,
    };
    let Some(run) = started.run else {
        return Err(Problem::new(
            Code::Internal,
            "The run was started but could not be shown.",
        ));
    };
    Ok(Reply::json_status(status, &run).header(header::LOCATION, format!("/v1/runs/{}", run.id)))
}

fn check_definition(definition: &Value) -> Result<(), Problem> {
    let refuse = |why: String| {
        Problem::new(Code::InvalidBody, format!("`definition` cannot be run: {why}."))
            .hint("docs/api.md shows a definition.")
    };
    let parsed: Definition =
        serde_json::from_value(definition.clone()).map_err(|error| refuse(error.to_string()))?;
    parsed.validate().map_err(|error| refuse(error.to_string()))
}

async fn show(ctx: Ctx) -> Handled {
    let id: RunId = ctx.parsed_param("id")?;
    match run::get(&ctx.db(), id).await? {
        Some(run) => Ok(Reply::json(&run)),
        None => Err(unknown(id)),
    }
}

async fn journal(ctx: Ctx) -> Handled {
    let id: RunId = ctx.parsed_param("id")?;
    let after = ctx.after::<u32>()?.unwrap_or(0);
    let page = run::journal(&ctx.db(), id, i64::from(after), ctx.limit()?).await?;
    // A journal begins with the run's start, so an empty first page means that there is no such run.
    if page.items.is_empty() && after == 0 {
        return Err(unknown(id));
    }
    Ok(Reply::json(&page))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    reason: Option<String>,
}

async fn cancel(mut ctx: Ctx) -> Handled {
    let id: RunId = ctx.parsed_param("id")?;
    let body: Cancel = ctx.json_or_default().await?;
    let reason = body.reason.unwrap_or_else(|| "no reason given".into());
    let cancelled = run::cancel(&ctx.db(), id, &ctx.principal()?.name, &reason).await?;
    match (cancelled.outcome, cancelled.run) {
        (CancelOutcome::Cancelled, Some(run)) => Ok(Reply::json(&run)),
        (CancelOutcome::AlreadyEnded, _) => Err(Problem::new(
            Code::Conflict,
            format!("The run {id} has ended; there is nothing to cancel."),
        )),
        _ => Err(unknown(id)),
    }
}

fn unknown(id: RunId) -> Problem {
    Problem::new(Code::NotFound, format!("There is no run {id}.")).hint("GET /v1/runs lists those there are.")
}
