//! Runs: started once, claimed and advanced by any worker, one statement each.

use crate::{
    Idempotency,
    catalogue::{
        RUN_ADVANCE, RUN_CANCEL, RUN_CLAIM, RUN_GET, RUN_JOURNAL, RUN_LIST, RUN_PAUSE, RUN_RESUME,
        RUN_SIGNAL, RUN_START,
    },
    db::{Db, DbError, Param},
    page::{MAX_PAGE, Page, rows_wanted},
    row,
};
use chrono::{DateTime, Utc};
use guildhall_domain::{
    id::RunId,
    run::{JournalEntry, Run, RunStatus},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a run executes.
#[derive(Clone, Copy, Debug)]
pub enum RunOf<'a> {
    /// A document that comes with it.
    Document {
        /// The document as JSON, validated by `guildhall-flow`.
        definition: &'a Value,
        /// Its digest.
        digest: &'a str,
    },
    /// A version that was put before.
    Workflow {
        /// The namespace.
        namespace: &'a str,
        /// The name.
        name: &'a str,
        /// The version; `latest` is pinned when the run starts.
        version: &'a str,
    },
}

/// A run to start.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// What it executes.
    pub what: RunOf<'a>,
    /// Its input.
    pub input: &'a Value,
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
    /// There is no such version of a workflow; nothing was started.
    UnknownWorkflow,
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
    let mut run = json!({"title": new.title, "input": new.input});
    match new.what {
        RunOf::Document { definition, digest } => {
            run["definition"] = definition.clone();
            run["digest"] = digest.into();
        }
        RunOf::Workflow {
            namespace,
            name,
            version,
        } => run["workflow"] = json!({"namespace": namespace, "name": name, "version": version}),
    }
    let params = [
        Param::json(&run),
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
    /// The document's digest.
    pub digest: String,
    /// The document; `None` when the worker said that it knows the digest.
    pub definition: Option<Value>,
    /// The run's input.
    pub input: Value,
    /// When it started: the time of the engine's start.
    pub started_at: DateTime<Utc>,
    /// The snapshot of the last advance; `None` before the first.
    pub state: Option<Value>,
    /// What happened since the snapshot, in order: `guildhall_flow::engine::Event`, each with its `position`.
    pub events: Vec<Value>,
}

/// Claims the run that has waited longest for a worker, if any, for `lease_s` seconds (1 to 3,600). The documents of the
/// digests in `known` are not sent.
pub async fn claim<D: Db>(
    db: &D,
    worker: &str,
    lease_s: i64,
    known: &[String],
) -> Result<Option<ClaimedRun>, DbError> {
    let params = [
        Param::text(worker),
        Param::Int(lease_s),
        Param::json(&json!(known)),
    ];
    row::optional(db, &RUN_CLAIM, &params).await
}

/// What became of an advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdvanceOutcome {
    /// The snapshot is kept, the commands were applied and the lease given back.
    Advanced,
    /// The claim is not the current one, has run out, or the run has ended: nothing was done.
    Stale,
}

/// The answer to [`advance`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Advanced {
    /// What happened.
    pub outcome: AdvanceOutcome,
    /// Requests that were queued: poke the requests component when not zero.
    pub requests_queued: i64,
    /// Calls that were queued: poke the calls component when not zero.
    pub calls_queued: i64,
    /// Commands that made a run due, this one or others: claim again when not zero.
    pub runs_due: i64,
    /// The run's status now; `None` when there is no such run.
    pub status: Option<RunStatus>,
}

/// Keeps the snapshot of a claimed run (`None` only for a run that ends without one), applies the commands (an array of
/// `guildhall_flow::engine::Command`, in order), records the CloudEvents of `lifecycle` and gives the lease back.
pub async fn advance<D: Db>(
    db: &D,
    run_id: RunId,
    epoch: i64,
    journal_position: i64,
    state: Option<&Value>,
    commands: &Value,
    lifecycle: &Value,
) -> Result<Advanced, DbError> {
    let params = [
        Param::id(run_id),
        Param::Int(epoch),
        Param::Int(journal_position),
        Param::opt_json(state),
        Param::json(commands),
        Param::json(lifecycle),
    ];
    row::one(db, &RUN_ADVANCE, &params).await
}

/// What became of a wish about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteOutcome {
    /// The run is told: poke the workflows component.
    Accepted,
    /// There is no such run.
    NotFound,
    /// It has ended.
    Ended,
}

/// Suspends a run: what is under way ends, nothing begins.
pub async fn pause<D: Db>(db: &D, run_id: RunId, by: &str) -> Result<NoteOutcome, DbError> {
    row::one(db, &RUN_PAUSE, &[Param::id(run_id), Param::text(by)]).await
}

/// Lets a suspended run go on.
pub async fn resume<D: Db>(db: &D, run_id: RunId, by: &str) -> Result<NoteOutcome, DbError> {
    row::one(db, &RUN_RESUME, &[Param::id(run_id), Param::text(by)]).await
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalOutcome {
    /// The run is told: poke the workflows component.
    Accepted,
    /// There is no such run.
    NotFound,
    /// It has ended.
    Ended,
    /// It is no CloudEvent, or claims to come from the hall; `detail` says why.
    Invalid,
}

/// The answer to [`signal`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Signalled {
    /// What happened.
    pub outcome: SignalOutcome,
    /// Why it is invalid.
    pub detail: Option<String>,
}

/// Delivers a CloudEvent to one run, whatever it listens for.
pub async fn signal<D: Db>(db: &D, run_id: RunId, event: &Value, by: &str) -> Result<Signalled, DbError> {
    let params = [Param::id(run_id), Param::json(event), Param::text(by)];
    row::one(db, &RUN_SIGNAL, &params).await
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

/// Withdraws a run with everything that is open in it, the runs that it waits for included.
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
        RunStatus::Suspended => "suspended",
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
