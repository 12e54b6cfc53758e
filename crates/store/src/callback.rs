//! Callbacks: ends of requests that are to be told to a URL.

use crate::{
    catalogue::{CALLBACK_CLAIM, CALLBACK_REPORT},
    db::{Db, DbError, Param},
    row,
};
use guildhall_domain::id::RequestId;
use serde::Deserialize;
use serde_json::Value;

/// A callback under the worker's lease.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClaimedCallback {
    /// The request whose end it tells.
    pub request_id: RequestId,
    /// The lease.
    pub epoch: i64,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    /// Where to.
    pub url: String,
    /// The CloudEvent to send.
    pub event: Value,
    /// Who asked; the signature's key is theirs.
    pub requester: String,
}

/// Claims up to `limit` (1 to 100) due callbacks for `lease_s` seconds.
pub async fn claim<D: Db>(
    db: &D,
    worker: &str,
    limit: u32,
    lease_s: i64,
) -> Result<Vec<ClaimedCallback>, DbError> {
    let params = [
        Param::text(worker),
        Param::Int(i64::from(limit)),
        Param::Int(lease_s),
    ];
    row::all(db, &CALLBACK_CLAIM, &params).await
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The URL answered 2xx.
    Delivered,
    /// It may work later.
    Retry(String),
    /// It will never work: the address may not be called.
    Refused(String),
}

/// What became of the callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportOutcome {
    /// It is done.
    Delivered,
    /// It is tried again later.
    Retry,
    /// It was given up.
    Failed,
    /// Another attempt took over.
    Stale,
}

/// Reports the attempt of `epoch`.
pub async fn report<D: Db>(
    db: &D,
    id: RequestId,
    epoch: i64,
    attempt: &Attempt,
) -> Result<ReportOutcome, DbError> {
    let (outcome, detail) = match attempt {
        Attempt::Delivered => ("delivered", None),
        Attempt::Retry(why) => ("retry", Some(why)),
        Attempt::Refused(why) => ("refused", Some(why)),
    };
    let params = [
        Param::id(id),
        Param::Int(epoch),
        Param::text(outcome),
        Param::opt_text(detail),
    ];
    row::one(db, &CALLBACK_REPORT, &params).await
}
