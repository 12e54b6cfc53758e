//! Events that were committed with the change they tell of: published after by one relay, and read by position.

use crate::{
    catalogue::{EVENT_LIST, OUTBOX_CLAIM, OUTBOX_PUBLISHED},
    db::{Db, DbError, Param},
    row,
};
use guildhall_domain::event::CloudEvent;
use serde::{Deserialize, Serialize};

/// An event to publish.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct OutboxEvent {
    /// Its place in the order; hand the last one published to [`published`].
    pub position: String,
    /// The event.
    pub event: CloudEvent,
    /// The Redis channel.
    pub channel: String,
}

/// Takes or keeps the relay's lease for `lease_s` seconds and gives up to `limit` (1 to 500) events, in order. None
/// while another relay holds the lease. What is not [`published`] by then is given again.
pub async fn claim<D: Db>(
    db: &D,
    worker: &str,
    limit: u32,
    lease_s: i64,
) -> Result<Vec<OutboxEvent>, DbError> {
    let params = [
        Param::text(worker),
        Param::Int(i64::from(limit)),
        Param::Int(lease_s),
    ];
    row::all(db, &OUTBOX_CLAIM, &params).await
}

/// What became of a report of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishedOutcome {
    /// The cursor moved, and the lease was given back.
    Advanced,
    /// Another relay took over.
    Stale,
}

/// Moves the relay's cursor behind `position` and gives its lease back.
pub async fn published<D: Db>(db: &D, position: &str, worker: &str) -> Result<PublishedOutcome, DbError> {
    row::one(
        db,
        &OUTBOX_PUBLISHED,
        &[Param::text(position), Param::text(worker)],
    )
    .await
}

/// An event with its place in the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// Read on behind it.
    pub position: String,
    /// The event.
    pub event: CloudEvent,
}

/// Part of the stream of events.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Batch {
    /// Events, in order.
    pub events: Vec<Placed>,
    /// Read on behind this position, also when no event fitted.
    pub position: String,
    /// Whether there is probably more at once.
    pub more: bool,
}

/// Which events are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Types that begin with this.
    pub kind: Option<String>,
    /// About this.
    pub subject: Option<String>,
    /// That happened at this time (RFC 3339) or later.
    pub since: Option<String>,
}

/// Events behind `after` (`None`: from the oldest that is kept; `now`: only those to come).
pub async fn list<D: Db>(db: &D, after: Option<&str>, filter: &Filter, limit: u32) -> Result<Batch, DbError> {
    let params = [
        Param::opt_text(after),
        Param::opt_text(filter.kind.as_deref()),
        Param::opt_text(filter.subject.as_deref()),
        Param::opt_text(filter.since.as_deref()),
        Param::Int(i64::from(limit)),
    ];
    row::one(db, &EVENT_LIST, &params).await
}
