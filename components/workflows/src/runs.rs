//! `/v1/runs/…`: what became of a run, and what people say to one that goes on.

use guildhall_guest::{
    Ctx, Handled, Reply, chain, cloud_event,
    domain::{Code, Problem, id::RunId},
    http::StatusCode,
    random_32,
    store::run::{self, CancelOutcome, NoteOutcome, SignalOutcome},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(crate) async fn list(ctx: Ctx) -> Handled {
    let status = ctx.query_as(
        "status",
        "pending, running, waiting, suspended, completed, faulted, cancelled",
    )?;
    let page = run::list(&ctx.db(), status, ctx.after()?, ctx.limit()?).await?;
    Ok(Reply::json(&page))
}

pub(crate) async fn show(ctx: Ctx) -> Handled {
    let id: RunId = ctx.parsed_param("id")?;
    match run::get(&ctx.db(), id).await? {
        Some(run) => Ok(Reply::json(&run)),
        None => Err(unknown(id)),
    }
}

pub(crate) async fn journal(ctx: Ctx) -> Handled {
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

pub(crate) async fn cancel(mut ctx: Ctx) -> Handled {
    let id: RunId = ctx.parsed_param("id")?;
    let body: Cancel = ctx.json_or_default().await?;
    let reason = body.reason.unwrap_or_else(|| "no reason given".into());
    let cancelled = run::cancel(&ctx.db(), id, &ctx.principal()?.name, &reason).await?;
    match (cancelled.outcome, cancelled.run) {
        (CancelOutcome::Cancelled, Some(run)) => {
            // Those that waited for it, and those that it started, have something to do now.
            chain::poke("workflows", ctx.trace());
            Ok(Reply::json(&run))
        }
        (CancelOutcome::AlreadyEnded, _) => Err(ended(id, "cancel")),
        _ => Err(unknown(id)),
    }
}

pub(crate) async fn pause(ctx: Ctx) -> Handled {
    let id: RunId = ctx.parsed_param("id")?;
    let outcome = run::pause(&ctx.db(), id, &ctx.principal()?.name).await?;
    told(&ctx, id, outcome, "pause")
}

pub(crate) async fn resume(ctx: Ctx) -> Handled {
    let id: RunId = ctx.parsed_param("id")?;
    let outcome = run::resume(&ctx.db(), id, &ctx.principal()?.name).await?;
    told(&ctx, id, outcome, "resume")
}

/// An event for this run alone. What a CloudEvent must have besides its type is made where it is left out.
pub(crate) async fn signal(mut ctx: Ctx) -> Handled {
    let id: RunId = ctx.parsed_param("id")?;
    let by = ctx.principal()?.name.clone();
    let mut event: Map<String, Value> = ctx.json().await?;
    event.entry("specversion").or_insert_with(|| json!("1.0"));
    event
        .entry("id")
        .or_insert_with(|| json!(hex::encode(&random_32()[..16])));
    event
        .entry("source")
        .or_insert_with(|| json!(format!("/principals/{}", path_segment(&by))));
    let event = Value::Object(event);
    if let Some(wrong) = cloud_event::misfit(&event) {
        return Err(no_event(&wrong));
    }
    let signalled = run::signal(&ctx.db(), id, &event, &by).await?;
    let outcome = match signalled.outcome {
        SignalOutcome::Accepted => NoteOutcome::Accepted,
        SignalOutcome::NotFound => NoteOutcome::NotFound,
        SignalOutcome::Ended => NoteOutcome::Ended,
        SignalOutcome::Invalid => {
            let why = signalled.detail.unwrap_or_else(|| "it was refused".into());
            return Err(no_event(&why));
        }
    };
    told(&ctx, id, outcome, "signal")
}

fn no_event(why: &str) -> Problem {
    Problem::new(
        Code::InvalidBody,
        format!("The body is not a CloudEvent that can be taken: {why}."),
    )
    .hint("For example: {\"type\": \"com.example.paid\", \"data\": {\"amount\": 3}}.")
}

/// A name as a URI's path takes it.
fn path_segment(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    name.bytes().fold(String::new(), |mut text, byte| {
        if plain(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

fn told(ctx: &Ctx, id: RunId, outcome: NoteOutcome, what: &str) -> Handled {
    match outcome {
        NoteOutcome::Accepted => {
            chain::poke("workflows", ctx.trace());
            Ok(Reply::json_status(
                StatusCode::ACCEPTED,
                &json!({"run_id": id, "accepted": what}),
            ))
        }
        NoteOutcome::Ended => Err(ended(id, what)),
        NoteOutcome::NotFound => Err(unknown(id)),
    }
}

fn ended(id: RunId, what: &str) -> Problem {
    Problem::new(
        Code::Conflict,
        format!("The run {id} has ended; there is nothing to {what}."),
    )
}

fn unknown(id: RunId) -> Problem {
    Problem::new(Code::NotFound, format!("There is no run {id}.")).hint("GET /v1/runs lists those there are.")
}
