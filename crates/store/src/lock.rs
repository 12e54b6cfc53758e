//! Locks on named resources: modes, a tree of names, a fair queue, fencing tokens that only rise.

use crate::{
    catalogue::{
        LOCK_ACQUIRE, LOCK_ACQUIRE_ALL, LOCK_CHECK, LOCK_CONTENTION, LOCK_FORCE_RELEASE, LOCK_GET,
        LOCK_GRAPH, LOCK_HISTORY_LIST, LOCK_LIST, LOCK_RELEASE, LOCK_RELEASE_ALL, LOCK_RENEW, LOCK_RENEW_ALL,
        LOCK_STATISTICS, LOCK_WAIT_CANCEL, LOCK_WAIT_STATUS,
    },
    db::{Db, DbError, Param},
    page::{Page, rows_wanted},
    row,
};
use guildhall_domain::{
    id::RunId,
    lock::{
        ForceReply, Lock, LockDetails, LockKey, LockMode, LockPriority, LockRecord, LockReply, LockWish,
        LocksReply, WaitReply,
    },
};
use serde_json::{Value, json};

/// Who asks for locks, and on what terms.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Who will hold them.
    pub holder: &'a str,
    /// For which run. Holder and run together are one party: what it has does not exclude itself.
    pub run_id: Option<RunId>,
    /// For how long, 1 to 86,400 seconds from the grant on.
    pub ttl_s: i64,
    /// What for.
    pub reason: &'a str,
    /// How long to stand in the queue at most, 0 to 60 seconds; with 0 the answer is `held` instead of `waiting`.
    pub wait_s: i64,
    /// Before whom in the queue.
    pub priority: LockPriority,
    /// Whether the grant and a good end of it are told as events. What ends otherwise always is.
    pub announced: bool,
}

impl<'a> Claim<'a> {
    /// A claim that does not wait.
    pub fn now(holder: &'a str, run_id: Option<RunId>, ttl_s: i64, reason: &'a str) -> Self {
        Claim {
            holder,
            run_id,
            ttl_s,
            reason,
            wait_s: 0,
            priority: LockPriority::Normal,
            announced: false,
        }
    }
}

/// Takes a lock: `acquired`; or `held` when another has it; or `waiting` under a ticket, or `deadlock`.
///
/// A holder that has it already gets it again under a new token, which fences off its own earlier attempt. With `token`,
/// the one it holds it under, it enters once more under the same token instead, or the answer is `stale`.
pub async fn acquire<D: Db>(
    db: &D,
    resource: &str,
    mode: LockMode,
    token: Option<i64>,
    claim: &Claim<'_>,
) -> Result<LockReply, DbError> {
    let params = [
        Param::text(resource),
        Param::text(claim.holder),
        Param::opt_id(claim.run_id),
        Param::Int(claim.ttl_s),
        Param::text(claim.reason),
        Param::text(mode.as_str()),
        Param::Int(claim.wait_s),
        Param::text(claim.priority.as_str()),
        Param::OptInt(token),
        Param::Bool(claim.announced),
    ];
    row::one(db, &LOCK_ACQUIRE, &params).await
}

/// Takes several locks or none, whatever the order they are named in.
pub async fn acquire_all<D: Db>(
    db: &D,
    wishes: &[LockWish],
    claim: &Claim<'_>,
) -> Result<LocksReply, DbError> {
    let params = [
        Param::json(&json!(wishes)),
        Param::text(claim.holder),
        Param::opt_id(claim.run_id),
        Param::Int(claim.ttl_s),
        Param::text(claim.reason),
        Param::Int(claim.wait_s),
        Param::text(claim.priority.as_str()),
        Param::Bool(claim.announced),
    ];
    row::one(db, &LOCK_ACQUIRE_ALL, &params).await
}

/// How the holder's wait stands. To be asked at least every five seconds, or the waiter counts as gone.
pub async fn wait_status<D: Db>(db: &D, ticket: i64, holder: &str) -> Result<WaitReply, DbError> {
    row::one(db, &LOCK_WAIT_STATUS, &[Param::Int(ticket), Param::text(holder)]).await
}

/// Ends a wait: `timed_out`, but `acquired` when the lock had been handed over already.
pub async fn wait_cancel<D: Db>(db: &D, ticket: i64, holder: &str) -> Result<WaitReply, DbError> {
    row::one(db, &LOCK_WAIT_CANCEL, &[Param::Int(ticket), Param::text(holder)]).await
}

/// Extends the lease to `ttl_s` seconds from now: `renewed`, or `stale` when holder or token are not the current ones
/// or the lease has run out.
pub async fn renew<D: Db>(
    db: &D,
    resource: &str,
    holder: &str,
    fencing_token: i64,
    ttl_s: i64,
) -> Result<LockReply, DbError> {
    let params = [
        Param::text(resource),
        Param::text(holder),
        Param::Int(fencing_token),
        Param::Int(ttl_s),
    ];
    row::one(db, &LOCK_RENEW, &params).await
}

/// Extends several leases or none; `stale` names those that are.
pub async fn renew_all<D: Db>(
    db: &D,
    keys: &[LockKey],
    holder: &str,
    ttl_s: i64,
) -> Result<LocksReply, DbError> {
    let params = [Param::json(&json!(keys)), Param::text(holder), Param::Int(ttl_s)];
    row::one(db, &LOCK_RENEW_ALL, &params).await
}

/// Ends a grant: `released`; `left` when it was entered more than once; or `stale` as for [`renew`].
pub async fn release<D: Db>(
    db: &D,
    resource: &str,
    holder: &str,
    fencing_token: i64,
) -> Result<LockReply, DbError> {
    let params = [
        Param::text(resource),
        Param::text(holder),
        Param::Int(fencing_token),
    ];
    row::one(db, &LOCK_RELEASE, &params).await
}

/// Ends those of several grants that the holder has; `stale` names the rest.
pub async fn release_all<D: Db>(db: &D, keys: &[LockKey], holder: &str) -> Result<LocksReply, DbError> {
    let params = [Param::json(&json!(keys)), Param::text(holder)];
    row::one(db, &LOCK_RELEASE_ALL, &params).await
}

/// Ends every grant of a resource, whoever has it; audited with `actor` and `reason`.
pub async fn force_release<D: Db>(
    db: &D,
    resource: &str,
    actor: &str,
    reason: &str,
) -> Result<ForceReply, DbError> {
    let params = [Param::text(resource), Param::text(actor), Param::text(reason)];
    row::one(db, &LOCK_FORCE_RELEASE, &params).await
}

/// The lock with everybody who has to do with it, if the resource was ever asked for.
pub async fn get<D: Db>(db: &D, resource: &str) -> Result<Option<LockDetails>, DbError> {
    row::optional(db, &LOCK_GET, &[Param::text(resource)]).await
}

/// Locks by resource after the resource `after`: all, or those that are `held` or `waited_for`.
pub async fn list<D: Db>(
    db: &D,
    after: Option<&str>,
    limit: u32,
    state: Option<&str>,
) -> Result<Page<Lock>, DbError> {
    let params = [
        Param::opt_text(after),
        Param::Int(rows_wanted(limit)),
        Param::opt_text(state),
    ];
    let locks = row::all(db, &LOCK_LIST, &params).await?;
    Ok(Page::cut(locks, limit, |lock: &Lock| lock.resource.clone()))
}

/// Grants and waits that are over, newest first, before the record `before`.
pub async fn history<D: Db>(
    db: &D,
    resource: Option<&str>,
    before: Option<i64>,
    limit: u32,
) -> Result<Page<LockRecord>, DbError> {
    let params = [
        Param::opt_text(resource),
        Param::OptInt(before),
        Param::Int(rows_wanted(limit)),
    ];
    let records = row::all(db, &LOCK_HISTORY_LIST, &params).await?;
    Ok(Page::cut(records, limit, |record: &LockRecord| {
        record.id.to_string()
    }))
}

/// Counts and times of the last `hours`, 1 to 720.
pub async fn statistics<D: Db>(db: &D, hours: i64) -> Result<Value, DbError> {
    row::one(db, &LOCK_STATISTICS, &[Param::Int(hours)]).await
}

/// What was waited for most in the last hour.
pub async fn contention<D: Db>(db: &D, limit: u32) -> Result<Vec<Value>, DbError> {
    row::all(db, &LOCK_CONTENTION, &[Param::Int(i64::from(limit))]).await
}

/// Who waits for whom, and the deadlocks of the last hour.
pub async fn graph<D: Db>(db: &D) -> Result<Value, DbError> {
    row::one(db, &LOCK_GRAPH, &[]).await
}

/// Whether `fencing_token` is the current one of a held, unexpired lock: ask just before a write that it guards. A
/// write in this database asks `guildhall.lock_guard` in its own statement instead.
pub async fn check<D: Db>(db: &D, resource: &str, fencing_token: i64) -> Result<bool, DbError> {
    row::one(
        db,
        &LOCK_CHECK,
        &[Param::text(resource), Param::Int(fencing_token)],
    )
    .await
}
