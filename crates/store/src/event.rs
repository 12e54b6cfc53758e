//! Events that come in from outside, by Redis or webhook.

use crate::{
    catalogue::{EVENT_ACCEPT, EVENT_PUBLISH, EVENT_REFUSE},
    db::{Db, DbError, Param},
    row,
};
use guildhall_domain::id::RequestId;
use serde::Deserialize;
use serde_json::{Value, json};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptOutcome {
    /// It is kept, and what it asks for was done.
    Accepted,
    /// The same source sent the same id before; nothing was done again.
    Duplicate,
    /// It is not an event that Guildhall takes; `detail` says why. Nothing was kept.
    Invalid,
    /// Validate the data's input against the schema that came along, and offer the event again with its digest.
    SchemaChanged,
}

/// The answer to [`accept`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Accepted {
    /// What happened.
    pub outcome: AcceptOutcome,
    /// The request that the event made, now or when it first came.
    pub request_id: Option<RequestId>,
    /// Why it is invalid.
    pub detail: Option<String>,
    /// The schema to validate against.
    pub input_schema: Option<Value>,
    /// Its digest.
    pub schema_digest: Option<String>,
}

/// Accepts a CloudEvent once per `(source, id)`.
///
/// `event` is whatever came: its shape is checked in SQL, so that every way in refuses the same things. An event of
/// type `dev.guildhall.request.v1` submits its `data` as a request of `redis:SOURCE`.
///
/// `schema_digest` is that of the schema which the input was validated against.
pub async fn accept<D: Db>(db: &D, event: &Value, schema_digest: Option<&str>) -> Result<Accepted, DbError> {
    let options = json!({"schema_digest": schema_digest, "traceparent": event["traceparent"].as_str()});
    row::one(db, &EVENT_ACCEPT, &[Param::json(event), Param::json(&options)]).await
}

/// Tells listeners that an event from outside was refused before it was stored.
pub async fn refuse<D: Db>(db: &D, event: &Value, detail: &str) -> Result<(), DbError> {
    row::one::<String, D>(db, &EVENT_REFUSE, &[Param::json(event), Param::text(detail)])
        .await
        .map(|_| ())
}

/// What became of an event for runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishOutcome {
    /// Every run that listens for such an event was told.
    Accepted,
    /// The same source sent the same id before; nothing was done again.
    Duplicate,
    /// It is no CloudEvent, or claims to come from the hall; `detail` says why.
    Invalid,
}

/// The answer to [`publish`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Published {
    /// What happened.
    pub outcome: PublishOutcome,
    /// How many runs were told: poke the workflows component when not zero.
    pub delivered: i64,
    /// Why it is invalid.
    pub detail: Option<String>,
}

/// Delivers a CloudEvent from outside to all runs that listen for it, once per `(source, id)`.
pub async fn publish<D: Db>(db: &D, event: &Value, by: &str) -> Result<Published, DbError> {
    row::one(db, &EVENT_PUBLISH, &[Param::json(event), Param::text(by)]).await
}
