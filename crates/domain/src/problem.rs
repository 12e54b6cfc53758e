//! Errors for people: RFC 9457 problem details with a stable code. Every code has a page in docs/errors/.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = ($code:literal, $status:literal, $title:literal)),+ $(,)?) => {
        /// A stable error code. Its page is `docs/errors/CODE.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];
            /// The code as JSON spells it.
            pub fn as_str(self) -> &'static str { match self { $(Code::$variant => $code),+ } }
            /// The HTTP status it is sent with.
            pub fn status(self) -> u16 { match self { $(Code::$variant => $status),+ } }
            /// What it means, the same for every occurrence (RFC 9457 section 3.1.3).
            pub fn title(self) -> &'static str { match self { $(Code::$variant => $title),+ } }
        }
    };
}

codes! {
    /// The body is not JSON, or not the JSON that is wanted.
    InvalidBody = ("invalid_body", 400, "The request body is not what this route takes"),
    /// A path or query parameter is malformed.
    InvalidParameter = ("invalid_parameter", 400, "A parameter is malformed"),
    /// No token.
    Unauthenticated = ("unauthenticated", 401, "A valid API token is required"),
    /// The token's time is up.
    TokenExpired = ("token_expired", 401, "The API token has expired"),
    /// The token lacks a scope.
    Forbidden = ("forbidden", 403, "The API token does not permit this"),
    /// The approver is not eligible.
    NotEligible = ("not_eligible", 403, "This principal may not decide this approval"),
    /// No such route.
    UnknownRoute = ("unknown_route", 404, "There is no such route"),
    /// No such thing.
    NotFound = ("not_found", 404, "There is no such thing"),
    /// The route exists for other methods.
    MethodNotAllowed = ("method_not_allowed", 405, "The route does not take this method"),
    /// Somebody else got there first.
    Conflict = ("conflict", 409, "The state of the thing does not permit this"),
    /// The lock is held by another.
    LockHeld = ("lock_held", 409, "The lock is held by another holder"),
    /// Waiting for the lock would never end.
    Deadlock = ("deadlock", 409, "Waiting for the lock would be a deadlock"),
    /// The fencing token or holder is not the current one.
    StaleToken = ("stale_fencing_token", 409, "The fencing token is not the current one"),
    /// The approval was decided before.
    AlreadyDecided = ("already_decided", 409, "The approval was decided before"),
    /// The approval has lapsed.
    ApprovalExpired = ("approval_expired", 410, "The approval has lapsed"),
    /// The body is too large.
    BodyTooLarge = ("body_too_large", 413, "The request body is too large"),
    /// The same idempotency key came with another body.
    IdempotencyConflict = ("idempotency_conflict", 422, "The idempotency key was used for another request"),
    /// The branch is not in the repository.
    UnknownBranch = ("unknown_branch", 422, "The repository has no such branch"),
    /// The repository has no guildhall.toml.
    RepositoryNotConfigured = ("repository_not_configured", 422, "The repository has no guildhall.toml"),
    /// guildhall.toml is wrong.
    ConfigurationInvalid = ("configuration_invalid", 422, "The repository's guildhall.toml is not valid"),
    /// guildhall.toml names no such environment.
    UnknownEnvironment = ("unknown_environment", 422, "The repository has no such environment"),
    /// No agent offers the skill.
    UnknownSkill = ("unknown_skill", 422, "No agent offers this skill"),
    /// A workflow document cannot be run.
    WorkflowInvalid = ("workflow_invalid", 422, "The workflow's document cannot be run"),
    /// No such workflow was uploaded.
    UnknownWorkflow = ("unknown_workflow", 422, "There is no such workflow"),
    /// The input of a skill does not fit its schema.
    InvalidInput = ("invalid_input", 422, "The input does not fit the skill's schema"),
    /// Too many requests wait for the agents of this skill.
    QueueFull = ("queue_full", 429, "Too many requests wait for this skill"),
    /// A request had no result by its deadline.
    TimedOut = ("timed_out", 504, "There was no result by the deadline"),
    /// A risky action came without an approval.
    ApprovalRequired = ("approval_required", 403, "The action needs an approval"),
    /// The approval is for another action, or was used before.
    ApprovalMismatch = ("approval_mismatch", 403, "The approval is not for exactly this action"),
    /// The review found something that blocks.
    ReviewBlocked = ("review_blocked", 422, "The review found something that must be mended first"),
    /// A check failed.
    ChecksFailed = ("checks_failed", 422, "The repository's own checks failed"),
    /// The approver said no.
    ApprovalRejected = ("approval_rejected", 422, "The approval was refused"),
    /// The deployed service is not healthy.
    ServiceUnhealthy = ("service_unhealthy", 502, "The deployed service is not healthy"),
    /// A deploy command failed.
    DeployFailed = ("deploy_failed", 502, "The deploy command failed"),
    /// A tool refused or failed.
    ToolFailed = ("tool_failed", 502, "A tool did not do what it was asked"),
    /// A tool, service or sibling cannot be reached.
    Unreachable = ("unreachable", 502, "A collaborator cannot be reached"),
    /// A collaborator was not set up.
    NotConfigured = ("not_configured", 501, "This needs something that is not set up"),
    /// The database cannot be reached.
    DatabaseUnavailable = ("database_unavailable", 503, "The database cannot be reached"),
    /// The schema is older or newer than the components.
    SchemaMismatch = ("schema_mismatch", 503, "The database schema does not fit these components"),
    /// Too much at once.
    Overloaded = ("overloaded", 503, "Too much is going on; try again later"),
    /// A bug of ours.
    Internal = ("internal", 500, "Something went wrong inside Guildhall"),
}

impl Code {
    /// The code that JSON spells `text`.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An RFC 9457 problem, sent as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// URI of the code's page.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code's title.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was attempted and why it failed.
    pub detail: String,
    /// The stable code.
    pub code: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where the input does not fit, each by its JSON pointer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Misfit>,
    /// Extension members (RFC 9457, section 3.2), beside the others.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// One place where an input does not fit its schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Misfit {
    /// JSON pointer into the input; empty for the whole.
    pub pointer: String,
    /// What does not fit.
    pub detail: String,
}

impl Problem {
    /// A problem of the given code; `detail` says what was attempted and why it failed.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem {
            kind: format!("https://guildhall.dev/errors/{code}"),
            title: code.title().into(),
            status: code.status(),
            detail: detail.into(),
            code: code.as_str().into(),
            hint: None,
            more: serde_json::Map::new(),
            errors: Vec::new(),
        }
    }

    /// Adds what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds an extension member.
    pub fn with(mut self, name: &str, value: serde_json::Value) -> Self {
        self.more.insert(name.into(), value);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

impl std::error::Error for Problem {}
