//! Broadcasts: one question to many agents, a request for each.

use crate::{
    Idempotency,
    catalogue::{BROADCAST_GET, BROADCAST_SUBMIT},
    db::{Db, DbError, Param},
    request::Offer,
    row,
};
use guildhall_domain::request::NewBroadcast;
use serde::Deserialize;
use serde_json::{Value, json};

/// What became of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BroadcastOutcome {
    /// Every target has its request.
    Accepted,
    /// The same requester sent it before under the same key.
    Exists,
    /// The key was used for another body.
    Conflict,
    /// No live agent has the skill.
    UnknownSkill,
    /// Every live agent was excluded.
    Nobody,
    /// Validate the input against the schema that came along, and submit again with its digest.
    SchemaChanged,
    /// More is going on than can be kept.
    Overloaded,
}

/// The answer to [`submit`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Broadcasted {
    /// What happened.
    pub outcome: BroadcastOutcome,
    /// The broadcast with its answers.
    pub broadcast: Option<Value>,
    /// The schema to validate against.
    pub input_schema: Option<Value>,
    /// Its digest.
    pub schema_digest: Option<String>,
}

/// Asks many agents at once.
pub async fn submit<D: Db>(
    db: &D,
    broadcast: &NewBroadcast,
    requester: &str,
    idempotency: Option<Idempotency<'_>>,
    offer: &Offer<'_>,
) -> Result<Broadcasted, DbError> {
    let broadcast = serde_json::to_value(broadcast)
        .map_err(|error| DbError::decode(format!("new broadcast: {error}")))?;
    let options = json!({"schema_digest": offer.schema_digest, "traceparent": offer.traceparent});
    let params = [
        Param::json(&broadcast),
        Param::text(requester),
        Param::opt_text(idempotency.map(|idempotency| idempotency.key)),
        Param::opt_text(idempotency.map(|idempotency| idempotency.fingerprint)),
        Param::json(&options),
    ];
    row::one(db, &BROADCAST_SUBMIT, &params).await
}

/// The broadcast with the answers that there are, as JSON of the API.
pub async fn get<D: Db>(db: &D, id: &str) -> Result<Option<Value>, DbError> {
    row::optional(db, &BROADCAST_GET, &[Param::text(id)]).await
}
