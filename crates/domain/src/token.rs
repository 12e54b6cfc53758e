//! API tokens: who calls, and what they may do.

use crate::{id::TokenId, scope::Scope};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Who stands behind a token. Only a person can decide an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A human being.
    Person,
    /// A program, such as a CI job.
    Service,
}

/// The caller of a route, as its token proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Principal {
    /// The name under which actions are recorded, for example `ada`.
    pub name: String,
    /// Person or service.
    pub kind: PrincipalKind,
    /// What the token permits.
    pub scopes: Vec<Scope>,
    /// The only agent that the token may register and report for, when it is bound to one.
    #[serde(default)]
    pub agent_id: Option<String>,
}

/// A token as lists show it. The secret is shown once, at creation; only its SHA-256 is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenInfo {
    /// Id for revocation.
    pub id: TokenId,
    /// The principal's name.
    pub principal: String,
    /// Person or service.
    pub kind: PrincipalKind,
    /// What the token permits.
    pub scopes: Vec<Scope>,
    /// The agent that it is bound to, if it is.
    #[serde(default)]
    pub agent_id: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops working, if ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Every secret begins with this, so that scanners and people recognise a leaked one.
pub const TOKEN_PREFIX: &str = "guildhall_";
