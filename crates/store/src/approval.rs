//! Approvals: asked for by `run::advance`, decided by a person, consumed by the agent that acts.

use crate::{
    catalogue::{APPROVAL_CONSUME, APPROVAL_DECIDE, APPROVAL_GET, APPROVAL_LIST},
    db::{Db, DbError, Param},
    page::{Page, rows_wanted},
    row,
};
use guildhall_domain::{
    approval::{Approval, ApprovalState, Decision},
    id::{ApprovalId, RequestId},
    token::{Principal, PrincipalKind},
};
use serde::Deserialize;
use serde_json::Value;

/// The approval, if there is one.
pub async fn get<D: Db>(db: &D, id: ApprovalId) -> Result<Option<Approval>, DbError> {
    row::optional(db, &APPROVAL_GET, &[Param::id(id)]).await
}

/// Approvals, newest first, optionally of one state, after the approval `after`.
pub async fn list<D: Db>(
    db: &D,
    state: Option<ApprovalState>,
    after: Option<ApprovalId>,
    limit: u32,
) -> Result<Page<Approval>, DbError> {
    let state = state.map(|state| match state {
        ApprovalState::Pending => "pending",
        ApprovalState::Approved => "approved",
        ApprovalState::Rejected => "rejected",
        ApprovalState::Expired => "expired",
        ApprovalState::Cancelled => "cancelled",
    });
    let params = [
        Param::opt_text(state),
        Param::opt_id(after),
        Param::Int(rows_wanted(limit)),
    ];
    let approvals = row::all(db, &APPROVAL_LIST, &params).await?;
    Ok(Page::cut(approvals, limit, |approval: &Approval| {
        approval.id.to_string()
    }))
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecideOutcome {
    /// The decision stands; the run has been told.
    Decided,
    /// There is no such approval.
    NotFound,
    /// Somebody decided before; the earlier decision stands.
    AlreadyDecided,
    /// Its time was up before the decision.
    Expired,
    /// Its run has ended, so nothing is left to decide.
    Cancelled,
    /// The principal asked for the run, or is not a person.
    NotEligible,
}

/// The answer to a decision.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Decided {
    /// What happened.
    pub outcome: DecideOutcome,
    /// The approval now; `None` when there is none.
    pub approval: Option<Approval>,
}

/// Decides a pending approval once and for good, and wakes its run.
pub async fn decide<D: Db>(
    db: &D,
    id: ApprovalId,
    principal: &Principal,
    decision: Decision,
    reason: Option<&str>,
) -> Result<Decided, DbError> {
    let kind = match principal.kind {
        PrincipalKind::Person => "person",
        PrincipalKind::Service => "service",
    };
    let decision = match decision {
        Decision::Approve => "approve",
        Decision::Reject => "reject",
    };
    let params = [
        Param::id(id),
        Param::text(&principal.name),
        Param::text(kind),
        Param::text(decision),
        Param::opt_text(reason),
    ];
    row::one(db, &APPROVAL_DECIDE, &params).await
}

/// What became of an attempt to act under an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsumeOutcome {
    /// The request may act. The same request may ask again and gets the same answer.
    Consumed,
    /// There is no such approval, it is for another action, or it belongs to another run.
    Mismatch,
    /// It is pending, rejected or cancelled.
    NotApproved,
    /// Its time was up before it was used.
    Expired,
    /// Another request used it.
    Used,
    /// The request's lease is not the current one: somebody else may be at work.
    Stale,
}

/// The answer to [`consume`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Consumed {
    /// What happened.
    pub outcome: ConsumeOutcome,
    /// The approval now; `None` when there is none.
    pub approval: Option<Approval>,
}

/// Uses an approval for exactly `action`, on behalf of the request that is leased under `epoch`.
///
/// The hash of `action` is computed by the database and compared with the hash of what was approved.
pub async fn consume<D: Db>(
    db: &D,
    id: ApprovalId,
    action: &Value,
    request_id: RequestId,
    epoch: i64,
) -> Result<Consumed, DbError> {
    let params = [
        Param::id(id),
        Param::json(action),
        Param::id(request_id),
        Param::Int(epoch),
    ];
    row::one(db, &APPROVAL_CONSUME, &params).await
}
