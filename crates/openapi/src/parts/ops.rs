use super::object;
use crate::Operation;
use guildhall_domain::scope::Scope;
use serde_json::{Value, json};

fn readiness() -> Value {
    object(
        &["status", "checks"],
        json!({
            "status": {"enum": ["ready", "degraded", "unready"]},
            "checks": {"type": "object", "additionalProperties": {
                "type": "object",
                "required": ["status"],
                "properties": {"status": {"enum": ["ok", "failing", "unknown"]}},
            }},
        }),
    )
}

pub(super) fn operations() -> Vec<Operation> {
    let new = |path, id, summary| Operation::new("get", path, "operations", id, summary, Scope::MetricsRead);
    vec![
        new("/livez", "getLiveness", "Whether requests are served at all")
            .open()
            .without_database()
            .reply(200, "They are.", |_| {
                object(&["status"], json!({"status": {"const": "live"}}))
            }),
        new(
            "/readyz",
            "getReadiness",
            "Whether this replica can do its work, check by check",
        )
        .open()
        .without_database()
        .reply(
            200,
            "Ready, or degraded (Redis is away: events and hints wait).",
            |_| readiness(),
        )
        .reply(503, "Not ready: the database cannot be used.", |_| readiness()),
        new("/metrics", "getMetrics", "Figures from Postgres for Prometheus").reply_as(
            200,
            "The Prometheus text format.",
            "text/plain",
            |_| json!({"type": "string"}),
            &[],
        ),
        new("/openapi.json", "getOpenApi", "This document")
            .open()
            .without_database()
            .reply_as(
                200,
                "The document.",
                "application/json",
                |_| json!({"type": "object", "required": ["openapi", "paths"]}),
                &[
                    ("ETag", "Changes with the document."),
                    ("Cache-Control", "How long it may be kept."),
                ],
            ),
    ]
}
