//! What was said in a chat session. A session belongs to the principal that began it.

use crate::{
    catalogue::{CHAT_HISTORY, CHAT_RECORD},
    db::{Db, DbError, Param},
    row,
};
use chrono::{DateTime, Utc};
use guildhall_domain::id::RunId;
use serde::{Deserialize, Serialize};

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatRole {
    /// The principal.
    User,
    /// Guildhall.
    Assistant,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who said it.
    pub role: ChatRole,
    /// What.
    pub content: String,
    /// The run that it started, if it did.
    pub run_id: Option<RunId>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What became of [`record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordOutcome {
    /// Message and reply are kept.
    Recorded,
    /// The session was begun by somebody else; nothing was kept.
    NotYours,
}

/// Keeps a message and its reply that started no run (`run::start` keeps those that do).
pub async fn record<D: Db>(
    db: &D,
    session_id: &str,
    requester: &str,
    message: &str,
    reply: &str,
    run_id: Option<RunId>,
) -> Result<RecordOutcome, DbError> {
    let params = [
        Param::text(session_id),
        Param::text(requester),
        Param::text(message),
        Param::text(reply),
        Param::opt_id(run_id),
    ];
    row::one(db, &CHAT_RECORD, &params).await
}

/// The last `limit` (1 to 200) messages of the principal's session, oldest first; none for another's session.
pub async fn history<D: Db>(
    db: &D,
    session_id: &str,
    requester: &str,
    limit: u32,
) -> Result<Vec<ChatMessage>, DbError> {
    let params = [
        Param::text(session_id),
        Param::text(requester),
        Param::Int(i64::from(limit.clamp(1, crate::MAX_PAGE))),
    ];
    row::all(db, &CHAT_HISTORY, &params).await
}
