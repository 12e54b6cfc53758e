//! Requests: durable, leased to a dispatcher while an agent works, tried again until they end.

use crate::{
    Idempotency,
    catalogue::{
        CHECK_RESULTS, REQUEST_CANCEL, REQUEST_CLAIM, REQUEST_COMPLETE, REQUEST_DISCARD, REQUEST_FAIL,
        REQUEST_GET, REQUEST_LETTERS, REQUEST_LIST, REQUEST_RENEW, REQUEST_RETRY, REQUEST_SUBMIT,
    },
    db::{Db, DbError, Param},
    page::{Page, rows_wanted},
    row,
    run::CancelOutcome,
};
use guildhall_domain::{
    id::{RequestId, RunId},
    request::{AgentError, AgentRequest, NewRequest, Request, RequestState},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmitOutcome {
    /// It is queued and will be dealt with.
    Accepted,
    /// It is accepted, and leased to the caller at once: dispatch it.
    Leased,
    /// Nothing was accepted: validate the input against the schema that came along, and submit again.
    SchemaChanged,
    /// Too many wait for this skill; nothing was accepted.
    QueueFull,
    /// More is going on than can be kept; nothing was accepted.
    Overloaded,
    /// The same requester submitted it before under the same key.
    Exists,
    /// The key was used for another body; nothing was queued.
    Conflict,
    /// No registered agent, live or not, offers the skill (or the agent asked for does not).
    UnknownSkill,
}

/// The answer to [`submit`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Submitted {
    /// What happened.
    pub outcome: SubmitOutcome,
    /// The request; `None` when nothing was accepted.
    pub request: Option<Request>,
    /// The schema to validate against, with [`SubmitOutcome::SchemaChanged`].
    pub input_schema: Option<Value>,
    /// Its digest.
    pub schema_digest: Option<String>,
    /// What to dispatch, with [`SubmitOutcome::Leased`].
    pub claimed: Option<ClaimedRequest>,
}

/// What a submitter brings besides the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offer<'a> {
    /// The schema that the input was validated against.
    pub schema_digest: Option<&'a str>,
    /// The trace that the request belongs to.
    pub traceparent: Option<&'a str>,
    /// The worker that would dispatch it at once, and the seconds of its lease.
    pub worker: Option<(&'a str, i64)>,
    /// Where to ring when it has ended.
    pub waiter: Option<(&'a str, &'a str)>,
}

/// Submits a request that belongs to no run.
pub async fn submit<D: Db>(
    db: &D,
    request: &NewRequest,
    requester: &str,
    idempotency: Option<Idempotency<'_>>,
    offer: &Offer<'_>,
) -> Result<Submitted, DbError> {
    let request =
        serde_json::to_value(request).map_err(|error| DbError::decode(format!("new request: {error}")))?;
    let mut options = json!({"schema_digest": offer.schema_digest, "traceparent": offer.traceparent});
    if let Some((worker, lease_s)) = offer.worker {
        options["worker"] = json!(worker);
        options["lease_s"] = json!(lease_s);
    }
    if let Some((mailbox, ticket)) = offer.waiter {
        options["mailbox"] = json!(mailbox);
        options["ticket"] = json!(ticket);
    }
    let params = [
        Param::json(&request),
        Param::text(requester),
        Param::opt_text(idempotency.map(|idempotency| idempotency.key)),
        Param::opt_text(idempotency.map(|idempotency| idempotency.fingerprint)),
        Param::json(&options),
    ];
    row::one(db, &REQUEST_SUBMIT, &params).await
}

/// A request under the worker's lease.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClaimedRequest {
    /// What to send to the agent.
    pub request: AgentRequest,
    /// The live agent that was chosen.
    pub agent: String,
    /// Milliseconds until the lease runs out; renew every third of it.
    pub lease_ms: i64,
    /// Where the agent is reached.
    pub url: Option<String>,
    /// Whether it is outside the fleet, so that it is reached through the egress component.
    pub is_remote: Option<bool>,
    /// The trace that the request belongs to.
    pub traceparent: Option<String>,
}

/// Claims up to `limit` (1 to 100) due requests whose skill a live agent has, by priority, then age, for `lease_s`
/// seconds (1 to 3,600). Requests whose lease ran out are taken over; those past their deadline end.
pub async fn claim<D: Db>(
    db: &D,
    worker: &str,
    limit: u32,
    lease_s: i64,
) -> Result<Vec<ClaimedRequest>, DbError> {
    let params = [
        Param::text(worker),
        Param::Int(i64::from(limit)),
        Param::Int(lease_s),
    ];
    row::all(db, &REQUEST_CLAIM, &params).await
}

/// What became of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewOutcome {
    /// The lease holds for another `lease_s` seconds.
    Renewed,
    /// The lease has run out, was taken over, or the request has ended: stop working on it.
    Stale,
}

/// Extends the lease to `lease_s` seconds from now.
pub async fn renew<D: Db>(db: &D, id: RequestId, epoch: i64, lease_s: i64) -> Result<RenewOutcome, DbError> {
    let params = [Param::id(id), Param::Int(epoch), Param::Int(lease_s)];
    row::one(db, &REQUEST_RENEW, &params).await
}

/// What became of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompleteOutcome {
    /// The result stands (also when the same attempt reported it before), and the run was told.
    Completed,
    /// Another attempt took over, or the request has ended: the result was dropped.
    Stale,
}

/// The answer to a report.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Reported<O> {
    /// What happened.
    pub outcome: O,
    /// The mailbox in which somebody waits for the end.
    pub mailbox: Option<String>,
    /// Their ticket.
    pub ticket: Option<String>,
    /// When the request ended, if it did.
    pub finished_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// Reports the agent's result for the attempt of `epoch`.
pub async fn complete<D: Db>(
    db: &D,
    id: RequestId,
    epoch: i64,
    result: &Value,
) -> Result<Reported<CompleteOutcome>, DbError> {
    let params = [Param::id(id), Param::Int(epoch), Param::json(result)];
    row::one(db, &REQUEST_COMPLETE, &params).await
}

/// What became of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailOutcome {
    /// It will be tried again after a pause.
    Retry,
    /// It has ended; the run was told.
    Failed,
    /// That was the last attempt; it has ended and the run was told.
    Dead,
    /// The agent would not begin; it has ended and the run was told.
    Rejected,
    /// Another attempt took over, or the request has ended: the failure was dropped.
    Stale,
}

/// Reports that the attempt of `epoch` failed.
pub async fn fail<D: Db>(
    db: &D,
    id: RequestId,
    epoch: i64,
    error: &AgentError,
) -> Result<Reported<FailOutcome>, DbError> {
    let error =
        serde_json::to_value(error).map_err(|error| DbError::decode(format!("agent error: {error}")))?;
    let params = [Param::id(id), Param::Int(epoch), Param::json(&error)];
    row::one(db, &REQUEST_FAIL, &params).await
}

/// The answer to [`cancel`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Cancelled {
    /// What happened.
    pub outcome: CancelOutcome,
    /// The request now; `None` when there is none.
    pub request: Option<Request>,
}

/// Withdraws a request. When it belongs to a run, that step fails.
pub async fn cancel<D: Db>(db: &D, id: RequestId, by: &str, reason: &str) -> Result<Cancelled, DbError> {
    let params = [Param::id(id), Param::text(by), Param::text(reason)];
    row::one(db, &REQUEST_CANCEL, &params).await
}

/// The request, if there is one.
pub async fn get<D: Db>(db: &D, id: RequestId) -> Result<Option<Request>, DbError> {
    row::optional(db, &REQUEST_GET, &[Param::id(id)]).await
}

/// Requests, newest first, optionally of one state or one run, after the request `after`.
pub async fn list<D: Db>(
    db: &D,
    state: Option<RequestState>,
    run_id: Option<RunId>,
    after: Option<RequestId>,
    limit: u32,
) -> Result<Page<Request>, DbError> {
    let state = state.map(|state| match state {
        RequestState::Queued => "queued",
        RequestState::Leased => "leased",
        RequestState::Succeeded => "succeeded",
        RequestState::Failed => "failed",
        RequestState::Rejected => "rejected",
        RequestState::TimedOut => "timed_out",
        RequestState::Cancelled => "cancelled",
        RequestState::Dead => "dead",
    });
    let params = [
        Param::opt_text(state),
        Param::opt_id(run_id),
        Param::opt_id(after),
        Param::Int(rows_wanted(limit)),
    ];
    let requests = row::all(db, &REQUEST_LIST, &params).await?;
    Ok(Page::cut(requests, limit, |request: &Request| {
        request.id.to_string()
    }))
}

/// Dead letters that wait for somebody, the latest first.
pub async fn letters<D: Db>(db: &D, after: Option<RequestId>, limit: u32) -> Result<Page<Request>, DbError> {
    let params = [Param::opt_id(after), Param::Int(rows_wanted(limit))];
    let requests = row::all(db, &REQUEST_LETTERS, &params).await?;
    Ok(Page::cut(requests, limit, |request: &Request| {
        request.id.to_string()
    }))
}

/// What became of a decision about a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterOutcome {
    /// It lives again under a new id.
    Retried,
    /// It was let go.
    Discarded,
    /// There is no such request.
    NotFound,
    /// It is no dead letter, or somebody dealt with it before.
    NoLetter,
    /// It was retried as often as it may be.
    Exhausted,
}

/// The answer to [`retry`] and [`discard`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Dealt {
    /// What happened.
    pub outcome: LetterOutcome,
    /// The new request after a retry; else the one that was named.
    pub request: Option<Request>,
}

/// Gives a dead letter a new life.
pub async fn retry<D: Db>(db: &D, id: RequestId, by: &str, reason: &str) -> Result<Dealt, DbError> {
    let params = [Param::id(id), Param::text(by), Param::text(reason)];
    row::one(db, &REQUEST_RETRY, &params).await
}

/// Lets a dead letter go.
pub async fn discard<D: Db>(db: &D, id: RequestId, by: &str, reason: &str) -> Result<Dealt, DbError> {
    let params = [Param::id(id), Param::text(by), Param::text(reason)];
    row::one(db, &REQUEST_DISCARD, &params).await
}

/// The newest recorded outcome of each check on exactly this commit: `check`, `status`, `exit_code`, `request_id` and
/// `finished_at`.
pub async fn check_results<D: Db>(db: &D, revision: &str) -> Result<Vec<Value>, DbError> {
    row::all(db, &CHECK_RESULTS, &[Param::text(revision)]).await
}
