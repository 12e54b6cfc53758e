//! Calls over HTTP that runs make: claimed, made and finished by any worker, one statement each.

use crate::{
    catalogue::{RUN_CALL_CLAIM, RUN_CALL_FINISH, RUN_CALL_RENEW},
    db::{Db, DbError, Param},
    row,
};
use chrono::{DateTime, Utc};
use guildhall_domain::{id::RunId, request::Fence};
use serde::Deserialize;
use serde_json::Value;

/// A call under the worker's lease.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClaimedCall {
    /// The run that makes it.
    pub run_id: RunId,
    /// The number of its command.
    pub seq: i64,
    /// The claim's epoch; hand it to [`renew`] and [`finish`].
    pub epoch: i64,
    /// The step.
    pub step: String,
    /// The idempotency key, the same for every attempt.
    pub key: String,
    /// Which attempt of the `try` around it this belongs to, from 1.
    pub attempt: i32,
    /// What to do: `guildhall_flow::engine::Action`, one of `http`, `openapi`, `a2a`, `mcp` and `function`.
    pub action: Value,
    /// The locks that its run holds around the step.
    #[serde(default)]
    pub fences: Vec<Fence>,
    /// When the run asked for it.
    pub created_at: DateTime<Utc>,
}

/// Leases up to `limit` (1 to 100) due calls for `lease_s` seconds (1 to 3,600).
pub async fn claim<D: Db>(
    db: &D,
    worker: &str,
    limit: i64,
    lease_s: i64,
) -> Result<Vec<ClaimedCall>, DbError> {
    let params = [Param::text(worker), Param::Int(limit), Param::Int(lease_s)];
    row::all(db, &RUN_CALL_CLAIM, &params).await
}

/// What became of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewOutcome {
    /// The lease lasts longer.
    Renewed,
    /// The lease ran out, or the call was taken over or back: stop.
    Stale,
}

/// Extends the lease of a call.
pub async fn renew<D: Db>(
    db: &D,
    run_id: RunId,
    seq: i64,
    epoch: i64,
    lease_s: i64,
) -> Result<RenewOutcome, DbError> {
    let params = [
        Param::id(run_id),
        Param::Int(seq),
        Param::Int(epoch),
        Param::Int(lease_s),
    ];
    row::one(db, &RUN_CALL_RENEW, &params).await
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishOutcome {
    /// The run is told: poke the workflows component.
    Finished,
    /// The call was taken over or back; nothing was done.
    Stale,
}

/// Ends a call with its output, or with an error as `guildhall_flow::engine::Problem` has it.
pub async fn finish<D: Db>(
    db: &D,
    run_id: RunId,
    seq: i64,
    epoch: i64,
    result: Result<&Value, &Value>,
) -> Result<FinishOutcome, DbError> {
    let params = [
        Param::id(run_id),
        Param::Int(seq),
        Param::Int(epoch),
        Param::opt_json(result.ok()),
        Param::opt_json(result.err()),
    ];
    row::one(db, &RUN_CALL_FINISH, &params).await
}
