//! Approvals over HTTP: `/v1/approvals`. A person reads exactly what would be done and decides once.

use guildhall_guest::{
    Access, Ctx, GuestResponse, Handled, Reply, Request, Router, chain,
    domain::{
        Code, Problem,
        approval::{Approval, Decision},
        id::ApprovalId,
        scope::Scope,
    },
    store::approval::{self, DecideOutcome},
};
use serde::Deserialize;
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> GuestResponse {
    let (read, decide) = (
        Access::Scope(Scope::ApprovalsRead),
        Access::Scope(Scope::ApprovalsDecide),
    );
    Router::new()
        .get("/v1/approvals", read, list)
        .get("/v1/approvals/{id}", read, show)
        .post("/v1/approvals/{id}/approve", decide, approve)
        .post("/v1/approvals/{id}/reject", decide, reject)
        .serve(request)
        .await
}

async fn list(ctx: Ctx) -> Handled {
    let state = ctx.query_as("state", "pending, approved, rejected, expired, cancelled")?;
    let page = approval::list(&ctx.db(), state, ctx.after()?, ctx.limit()?).await?;
    Ok(Reply::json(&page))
}

async fn show(ctx: Ctx) -> Handled {
    let id: ApprovalId = ctx.parsed_param("id")?;
    match approval::get(&ctx.db(), id).await? {
        Some(approval) => Ok(Reply::json(&approval)),
        None => Err(unknown(id)),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: Option<String>,
}

async fn approve(mut ctx: Ctx) -> Handled {
    let Reason { reason } = ctx.json_or_default().await?;
    decide(ctx, Decision::Approve, reason).await
}

async fn reject(mut ctx: Ctx) -> Handled {
    let Reason { reason } = ctx.json_or_default().await?;
    if reason.as_deref().unwrap_or_default().trim().is_empty() {
        return Err(Problem::new(Code::InvalidBody, "A rejection needs a `reason`.")
            .hint("Say what must change: whoever asked for the run will read it."));
    }
    decide(ctx, Decision::Reject, reason).await
}

async fn decide(ctx: Ctx, decision: Decision, reason: Option<String>) -> Handled {
    let id: ApprovalId = ctx.parsed_param("id")?;
    let principal = ctx.principal()?;
    let decided = approval::decide(&ctx.db(), id, principal, decision, reason.as_deref()).await?;
    match (decided.outcome, decided.approval) {
        (DecideOutcome::Decided, Some(approval)) => {
            chain::poke("workflows", ctx.trace());
            Ok(Reply::json(&approval))
        }
        (outcome, approval) => Err(refusal(id, &principal.name, outcome, approval.as_ref())),
    }
}

fn refusal(id: ApprovalId, principal: &str, outcome: DecideOutcome, approval: Option<&Approval>) -> Problem {
    match outcome {
        DecideOutcome::NotFound => unknown(id),
        DecideOutcome::AlreadyDecided => {
            let by = approval
                .and_then(|a| a.decided_by.as_deref())
                .unwrap_or("somebody");
            Problem::new(
                Code::AlreadyDecided,
                format!("{by} decided approval {id} before; that decision stands."),
            )
        }
        DecideOutcome::Expired => Problem::new(
            Code::ApprovalExpired,
            format!("The time to decide approval {id} has passed."),
        )
        .hint("Ask for the work again; it will ask for a new approval."),
        DecideOutcome::Cancelled => Problem::new(
            Code::Conflict,
            format!("The run that wanted approval {id} has ended."),
        ),
        DecideOutcome::NotEligible => Problem::new(
            Code::NotEligible,
            format!(
                "`{principal}` may not decide approval {id}: it needs a person who did not ask for the run."
            ),
        )
        .hint("Let another person decide, with a token of kind `person`."),
        DecideOutcome::Decided => Problem::new(
            Code::Internal,
            format!("Approval {id} was decided but could not be shown."),
        ),
    }
}

fn unknown(id: ApprovalId) -> Problem {
    Problem::new(Code::NotFound, format!("There is no approval {id}."))
        .hint("GET /v1/approvals?state=pending lists those that wait.")
}
