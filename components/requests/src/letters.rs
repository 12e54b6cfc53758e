//! Dead letters: requests of no run that ended without an answer, until somebody retries or discards them.

use crate::unknown;
use guildhall_guest::{
    Ctx, Handled, Reply, chain,
    domain::{Code, Problem, id::RequestId},
    http::{StatusCode, header},
    store::request::{self, Dealt, LetterOutcome},
};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    reason: Option<String>,
}

/// `GET /v1/requests/dead-letters`.
pub async fn list(ctx: Ctx) -> Handled {
    let page = request::letters(&ctx.db(), ctx.after()?, ctx.limit()?).await?;
    Ok(Reply::json(&page))
}

/// `POST /v1/requests/{id}/retry`.
pub async fn retry(mut ctx: Ctx) -> Handled {
    let (id, reason) = decision(&mut ctx).await?;
    let dealt = request::retry(&ctx.db(), id, &ctx.principal()?.name, &reason).await?;
    let request = settled(id, dealt)?;
    chain::poke("requests", ctx.trace());
    Ok(Reply::json_status(StatusCode::CREATED, &request)
        .header(header::LOCATION, format!("/v1/requests/{}", request.id)))
}

/// `POST /v1/requests/{id}/discard`.
pub async fn discard(mut ctx: Ctx) -> Handled {
    let (id, reason) = decision(&mut ctx).await?;
    let dealt = request::discard(&ctx.db(), id, &ctx.principal()?.name, &reason).await?;
    Ok(Reply::json(&settled(id, dealt)?))
}

async fn decision(ctx: &mut Ctx) -> Result<(RequestId, String), Problem> {
    let id = ctx.parsed_param("id")?;
    let body: Decision = ctx.json_or_default().await?;
    Ok((id, body.reason.unwrap_or_else(|| "no reason given".into())))
}

fn settled(id: RequestId, dealt: Dealt) -> Result<guildhall_guest::domain::request::Request, Problem> {
    match (dealt.outcome, dealt.request) {
        (LetterOutcome::Retried | LetterOutcome::Discarded, Some(request)) => Ok(request),
        (LetterOutcome::Exhausted, _) => Err(Problem::new(
            Code::Conflict,
            format!("The request {id} was retried as often as it may be."),
        )
        .hint("Submit a new request once the cause is mended.")),
        (LetterOutcome::NoLetter, _) => Err(Problem::new(
            Code::Conflict,
            format!("The request {id} is no dead letter that waits for a decision."),
        )
        .hint("GET /v1/requests/dead-letters lists those there are.")),
        _ => Err(unknown(id)),
    }
}
