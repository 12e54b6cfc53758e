//! Runs: started once, claimed and advanced by any worker, one statement each.

use crate::{
    Idempotency,
    catalogue::{RUN_ADVANCE, RUN_CANCEL, RUN_CLAIM, RUN_GET, RUN_JOURNAL, RUN_LIST, RUN_START},
    db::{Db, DbError, Param},
    page::{MAX_PAGE, Page, rows_wanted},
    row,
};
use guildhall_domain::{
    id::RunId,
    run::{JournalEntry, Run, RunStatus},
};
use serde::Deserialize;
use serde_json::Value;

/// A run to start.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// The definition, validated by `guildhall-flow`.
    pub definition: &'a Value,
    /// One line for people.
    pub title: &'a str,
    /// Who asks for it.
    pub requester: &'a str,
    /// Makes the start repeatable.
    pub idempotency: Option<Idempotency<'a>>,
    /// The chat turn that asks for it, kept in the same statement.
    pub chat: Option<ChatTurn<'a>>,
}

/// A message and its reply.
#[derive(Clone, Copy, Debug)]
pub struct ChatTurn<'a> {
    /// The session.
    pub session_id: &'a str,
    /// What the requester said.
    pub message: &'a str,
    /// What Guildhall answers.
    pub reply: &'a str,
}

/// What became of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartOutcome {
    /// The run is accepted and due.
    Started,
    /// The same requester started it before under the same key.
    Exists,
    /// The key was used for another body; nothing was started.
    Conflict,
    /// The chat session was begun by another principal; nothing was started.
    NotYours,
}

/// The answer to [`start`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Started {
    /// What happened.
    pub outcome: StartOutcome,
    /// The run; `None` when nothing was started.
    pub run: Option<Run>,
}

/// Accepts a run: once this returns `started` it will be worked on until it ends.
pub async fn start<D: Db>(db: &D, new: NewRun<'_>) -> Result<Started, DbError> {
    let params = [
        Param::json(new.definition),
        Param::text(new.title),
        Param::text(new.requester),
        Param::opt_text(new.idempotency.map(|idempotency| idempotency.key)),
        Param::opt_text(new.idempotency.map(|idempotency| idempotency.fingerprint)),
        Param::opt_text(new.chat.map(|chat| chat.session_id)),
        Param::opt_text(new.chat.map(|chat| chat.message)),
        Param::opt_text(new.chat.map(|chat| chat.reply)),
    ];
    row::one(db, &RUN_START, &params).await
}

/// A run under the worker's lease.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClaimedRun {
    /// The run.
    pub run_id: RunId,
    /// The claim's epoch; hand it to [`advance`].
    pub epoch: i64,
    /// The journal's length; hand it to [`advance`].
    pub journal_position: i64,
    /// The definition.
    pub definition: Value,
    /// The whole journal.
    pub journal: Vec<JournalEntry>,
}

/// Claims the run that has been due longest, if any is due, for `lease_s` seconds (1 to 3,600).
pub async fn claim<D: Db>(db: &D, worker: &str, lease_s: i64) -> Result<Option<ClaimedRun>, DbError> {
    row::optional(db, &RUN_CLAIM, &[Param::text(worker), Param::Int(lease_s)]).await
}

/// What became of an advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdvanceOutcome {
    /// The commands were applied and the lease given back.
    Advanced,
    /// The claim is not the current one, has run out, or the run has ended: nothing was done.
    Stale,
    /// The journal grew since the claim: nothing was done, the lease is given back and the run is due.
    Behind,
}

/// The answer to [`advance`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Advanced {
    /// What happened.
    pub outcome: AdvanceOutcome,
    /// Requests that were queued: poke the requests component when not zero.
    pub requests_queued: i64,
    /// The run's status now; `None` when there is no such run.
    pub status: Option<RunStatus>,
}

/// Applies commands (an array of `guildhall_flow::Command`) to a claimed run; none means "wait".
pub async fn advance<D: Db>(
    db: &D,
    run_id: RunId,
    epoch: i64,
    journal_position: i64,
    commands: &Value,
) -> Result<Advanced, DbError> {
    let params = [
        Param::id(run_id),
        Param::Int(epoch),
        Param::Int(journal_position),
        Param::json(commands),
    ];
    row::one(db, &RUN_ADVANCE, &params).await
}

/// What became of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelOutcome {
    /// It is withdrawn, with everything that was open in it.
    Cancelled,
    /// It had ended before.
    AlreadyEnded,
    /// There is no such thing.
    NotFound,
}

/// The answer to [`cancel`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Cancelled {
    /// What happened.
    pub outcome: CancelOutcome,
    /// The run now; `None` when there is none.
    pub run: Option<Run>,
}

/// Withdraws a run, its open requests and its pending approvals.
pub async fn cancel<D: Db>(db: &D, run_id: RunId, by: &str, reason: &str) -> Result<Cancelled, DbError> {
    let params = [Param::id(run_id), Param::text(by), Param::text(reason)];
    row::one(db, &RUN_CANCEL, &params).await
}

/// The run with its timeline, if there is one.
pub async fn get<D: Db>(db: &D, run_id: RunId) -> Result<Option<Run>, DbError> {
    row::optional(db, &RUN_GET, &[Param::id(run_id)]).await
}

/// Runs without timelines, newest first, optionally of one status, after the run `after`.
pub async fn list<D: Db>(
    db: &D,
    status: Option<RunStatus>,
    after: Option<RunId>,
    limit: u32,
) -> Result<Page<Run>, DbError> {
    let status = status.map(|status| match status {
        RunStatus::Pending => "pending",
        RunStatus::Running => "running",
        RunStatus::Waiting => "waiting",
        RunStatus::Completed => "completed",
        RunStatus::Faulted => "faulted",
        RunStatus::Cancelled => "cancelled",
    });
    let params = [
        Param::opt_text(status),
        Param::opt_id(after),
        Param::Int(rows_wanted(limit)),
    ];
    let runs = row::all(db, &RUN_LIST, &params).await?;
    Ok(Page::cut(runs, limit, |run: &Run| run.id.to_string()))
}

/// The journal's entries behind `after_position` (0 for all), in order; none when there is no such run.
pub async fn journal<D: Db>(
    db: &D,
    run_id: RunId,
    after_position: i64,
    limit: u32,
) -> Result<Page<JournalEntry>, DbError> {
    let params = [
        Param::id(run_id),
        Param::Int(after_position),
        Param::Int(rows_wanted(limit.min(MAX_PAGE))),
    ];
    let entries = row::all(db, &RUN_JOURNAL, &params).await?;
    Ok(Page::cut(entries, limit, |entry: &JournalEntry| {
        entry.position.to_string()
    }))
}
