//! Approvals: a person agrees to exactly one action, bound by its hash.

use crate::id::{ApprovalId, RunId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Nobody decided yet.
    Pending,
    /// Agreed to; may be used once, for the same action, until it expires.
    Approved,
    /// Refused, for good.
    Rejected,
    /// Nobody decided in time; counts as refused.
    Expired,
    /// The run that wanted it has ended.
    Cancelled,
}

/// A decision that a person can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Agree.
    Approve,
    /// Refuse.
    Reject,
}

/// An approval as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The run that waits for it.
    pub run_id: RunId,
    /// The run's step, a JSON pointer.
    pub step: String,
    /// Where it stands.
    pub state: ApprovalState,
    /// Exactly what would be done.
    pub action: Value,
    /// SHA-256 of the canonical action, hex.
    pub action_hash: String,
    /// The risk assessment as `guildhall-policy` made it: `{tier, score, factors: [..]}`.
    pub risk: Value,
    /// What it means, for people, in the words of the workflow.
    #[serde(default)]
    pub summary: Option<String>,
    /// Who asked for the run; may not decide.
    pub requester: String,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Why, in the decider's words.
    pub reason: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it lapses.
    pub expires_at: DateTime<Utc>,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// When the approved action was begun; it can be used once.
    pub consumed_at: Option<DateTime<Utc>>,
}
