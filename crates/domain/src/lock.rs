//! Locks on named resources, with fencing tokens.

use crate::id::RunId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Words of the routes below `/v1/locks`, which no resource can be called.
pub const RESERVED: &[&str] = &["contention", "graph", "history", "release", "renew", "statistics"];

/// The most resources in one call.
pub const MOST_AT_ONCE: usize = 32;

/// How a lock excludes others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    /// Nobody else has the resource, what is above it, or what is below it.
    #[default]
    Exclusive,
    /// Others may share it.
    Shared,
}

impl LockMode {
    /// As JSON and SQL spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            LockMode::Exclusive => "exclusive",
            LockMode::Shared => "shared",
        }
    }
}

/// Who of those that wait goes first; among equals, who came first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LockPriority {
    /// After everybody else.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before the usual.
    High,
    /// Before everybody else.
    Urgent,
}

impl LockPriority {
    /// As JSON and SQL spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            LockPriority::Low => "low",
            LockPriority::Normal => "normal",
            LockPriority::High => "high",
            LockPriority::Urgent => "urgent",
        }
    }
}

/// A lock as it stands: one grant of it, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lock {
    /// What is locked, for example `deployment:production`.
    pub resource: String,
    /// Who holds it, for example a run id and step path; `None` when free. Of several that share it, the first.
    pub holder: Option<String>,
    /// The grant's fencing token, or the last one granted. It only ever rises.
    pub fencing_token: i64,
    /// How it is held.
    #[serde(default)]
    pub mode: Option<LockMode>,
    /// The run it is held for.
    #[serde(default)]
    pub run_id: Option<RunId>,
    /// Why it was taken.
    pub reason: Option<String>,
    /// How often its holder has entered it under this token.
    #[serde(default)]
    pub depth: Option<i64>,
    /// When it was asked for: before `acquired_at` when its holder had to wait.
    #[serde(default)]
    pub requested_at: Option<DateTime<Utc>>,
    /// When it was taken.
    pub acquired_at: Option<DateTime<Utc>>,
    /// When it falls free unless renewed.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What became of an acquire, renew or release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LockOutcome {
    /// The lock is held by the caller under the returned token.
    Acquired,
    /// Another holder has it until `expires_at`, or waits for it in front of the caller.
    Held,
    /// The caller is in the queue, under a ticket.
    Waiting,
    /// The time to wait is up; nothing was taken.
    TimedOut,
    /// Waiting would never have ended; the caller is the one that gives way.
    Deadlock,
    /// The lease was extended.
    Renewed,
    /// The grant has ended.
    Released,
    /// One level of re-entry was left; the lock is still held.
    Left,
    /// Holder or token are not the current ones, or the lease has expired: nothing was changed.
    Stale,
    /// Grants were ended by force.
    Forced,
    /// There was no grant to end.
    Free,
}

/// Something that stands in the way of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Blocker {
    /// What it holds or waits for.
    pub resource: String,
    /// How.
    pub mode: LockMode,
    /// Who.
    pub holder: String,
    /// For which run.
    pub run_id: Option<RunId>,
    /// Whether it only waits, in front.
    pub waiting: bool,
    /// When it falls free unless renewed; `None` for one that waits.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What the waiter with a ticket is called where it is rung.
pub fn ticket_name(ticket: i64) -> String {
    format!("lock-{ticket}")
}

/// The answer to an acquire, renew or release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockReply {
    /// What happened.
    pub outcome: LockOutcome,
    /// The lock afterwards.
    pub lock: Lock,
    /// The place in the queue, when waiting.
    #[serde(default, skip_serializing)]
    pub ticket: Option<i64>,
    /// What stands in the way.
    #[serde(default, skip_serializing)]
    pub blockers: Option<Vec<Blocker>>,
    /// Who waits for whom, when that is a deadlock.
    #[serde(default, skip_serializing)]
    pub cycle: Option<Value>,
    /// The tickets of waiters whose wait has ended: to be rung.
    #[serde(default, skip_serializing)]
    pub bells: Vec<i64>,
}

/// The answer to a call about several locks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LocksReply {
    /// What happened.
    pub outcome: LockOutcome,
    /// The grants; those that are stale, when the outcome says so.
    pub locks: Vec<Lock>,
    /// The place in the queue, when waiting.
    #[serde(default, skip_serializing)]
    pub ticket: Option<i64>,
    /// What stands in the way.
    #[serde(default, skip_serializing)]
    pub blockers: Option<Vec<Blocker>>,
    /// Who waits for whom, when that is a deadlock.
    #[serde(default, skip_serializing)]
    pub cycle: Option<Value>,
    /// The tickets of waiters whose wait has ended: to be rung.
    #[serde(default, skip_serializing)]
    pub bells: Vec<i64>,
}

/// A resource and how it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LockWish {
    /// What.
    pub resource: String,
    /// How.
    #[serde(default)]
    pub mode: LockMode,
}

/// A grant by its name and token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LockKey {
    /// What.
    pub resource: String,
    /// The token it was granted under.
    pub fencing_token: i64,
}

/// Who waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockWaiter {
    /// Who.
    pub holder: String,
    /// For which run.
    pub run_id: Option<RunId>,
    /// How it is wanted.
    pub mode: LockMode,
    /// How urgently.
    pub priority: LockPriority,
    /// What for.
    pub reason: String,
    /// Since when.
    pub requested_at: DateTime<Utc>,
    /// Until when at most.
    pub deadline_at: DateTime<Utc>,
}

/// What is held below a name, which is an intention at the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockIntention {
    /// What is held.
    pub resource: String,
    /// By whom.
    pub holder: String,
    /// `intention_exclusive` or `intention_shared`.
    pub mode: String,
}

/// A lock with everybody who has to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockDetails {
    /// The lock.
    #[serde(flatten)]
    pub lock: Lock,
    /// Everybody who holds it.
    pub holders: Vec<Lock>,
    /// Everybody who waits for it, in order.
    pub waiters: Vec<LockWaiter>,
    /// What is held below it.
    pub intentions: Vec<LockIntention>,
}

/// A grant or a wait that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockRecord {
    /// The position in the history.
    pub id: i64,
    /// What was locked or wanted.
    pub resource: String,
    /// How.
    pub mode: LockMode,
    /// By whom.
    pub holder: String,
    /// For which run.
    pub run_id: Option<RunId>,
    /// Why.
    pub reason: String,
    /// Under which token; `None` when it was never granted.
    pub fencing_token: Option<i64>,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When it was granted.
    pub acquired_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub ended_at: DateTime<Utc>,
    /// `released`, `expired`, `reacquired`, `forced`, `abandoned`, `timed_out` or `deadlock`.
    pub ended_how: String,
    /// Who forced it.
    pub ended_by: Option<String>,
    /// How long it was waited for.
    pub wait_ms: i64,
    /// How long it was held.
    pub hold_ms: Option<i64>,
    /// The cycle, of a deadlock.
    pub cycle: Option<Value>,
}

/// The answer to a force-release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForceReply {
    /// `forced`, or `free` when nobody held the resource.
    pub outcome: LockOutcome,
    /// The grants that were ended.
    pub locks: Vec<Lock>,
    /// The tickets of waiters whose wait has ended: to be rung.
    #[serde(default, skip_serializing)]
    pub bells: Vec<i64>,
}

/// How a wait stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WaitReply {
    /// `waiting`, `acquired`, `timed_out` or `deadlock`.
    pub outcome: LockOutcome,
    /// The grants, when acquired.
    pub locks: Vec<Lock>,
    /// Who waits for whom, when that is a deadlock.
    pub cycle: Option<Value>,
    /// The tickets of waiters whose wait has ended: to be rung.
    #[serde(default, skip_serializing)]
    pub bells: Vec<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_spelled_as_json_spells_them() {
        for mode in [LockMode::Exclusive, LockMode::Shared] {
            assert_eq!(serde_json::json!(mode), mode.as_str());
        }
        for priority in [
            LockPriority::Low,
            LockPriority::Normal,
            LockPriority::High,
            LockPriority::Urgent,
        ] {
            assert_eq!(serde_json::json!(priority), priority.as_str());
        }
        assert!(RESERVED.is_sorted());
    }
}
