//! Events in CloudEvents 1.0 structured JSON.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A CloudEvent (CloudEvents 1.0.2, section 2, with the distributed-tracing extension).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CloudEvent {
    /// Always `1.0`.
    pub specversion: String,
    /// Unique within `source`.
    pub id: String,
    /// Who says so, a URI reference.
    pub source: String,
    /// For example `dev.guildhall.run.completed.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about, for example a run id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<DateTime<Utc>>,
    /// `application/json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<String>,
    /// W3C trace context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The payload.
    #[serde(default)]
    pub data: Value,
    /// Further attributes (CloudEvents 1.0.2, section 2, "Extension Context Attributes").
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Redis channel on which anybody may publish requests as CloudEvents.
pub const REQUESTS_CHANNEL: &str = "guildhall.requests";
/// Redis channel of doorbells: "look, there is work".
pub const DOORBELL_CHANNEL: &str = "guildhall.doorbell";
/// Outgoing events are published on this prefix plus the event's type.
pub const EVENTS_CHANNEL_PREFIX: &str = "guildhall.events.";
/// Type of an incoming request event; its `data` is a [`crate::request::NewRequest`].
pub const REQUEST_EVENT: &str = "dev.guildhall.request.v1";
/// Type of a doorbell event.
pub const DOORBELL_EVENT: &str = "dev.guildhall.doorbell.v1";
