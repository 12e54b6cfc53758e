use super::{object, reason, text, uuid};
use crate::Operation;
use guildhall_domain::{Code, event::CloudEvent, request::Request, scope::Scope};
use serde_json::{Map, Value, json};

/// The header of answers that name what was made.
const LOCATION: &[(&str, &str)] = &[("Location", "Where it is.")];

fn name(most: u32) -> Value {
    json!({"anyOf": [text(most), {"type": "null"}]})
}

/// What a request and a broadcast have in common, and the members of `own`.
fn asked(own: Value) -> Value {
    let mut properties: Map<String, Value> = own.as_object().cloned().unwrap_or_default();
    let common = json!({
        "skill": text(100),
        "input": {"type": "object"},
        "timeout_s": {"type": "integer", "minimum": 1, "maximum": 86_400, "default": 600},
        "max_attempts": {"type": "integer", "minimum": 1, "maximum": 20, "default": 3},
        "priority": {"enum": ["low", "normal", "high", "urgent"], "default": "normal"},
    });
    properties.extend(common.as_object().cloned().unwrap_or_default());
    object(&["skill", "input"], Value::Object(properties))
}

fn states() -> Value {
    json!({"enum": ["queued", "leased", "succeeded", "failed", "rejected", "timed_out", "cancelled", "dead"]})
}

fn broadcast() -> Value {
    json!({
        "type": "object",
        "required": ["id", "skill", "to", "targets", "open", "answers"],
        "properties": {"id": uuid(), "skill": {"type": "string"}, "targets": {"type": "integer"}, "open": {"type": "integer"},
            "answers": {"type": "array"}},
    })
}

/// The problems of whatever is to be accepted for a skill.
fn accepts(operation: Operation) -> Operation {
    operation
        .repeatable()
        .problem(Code::UnknownSkill)
        .problem(Code::InvalidInput)
        .problem(Code::QueueFull)
}

pub(super) fn operations() -> Vec<Operation> {
    let new = |method, path, id, summary, scope| Operation::new(method, path, "requests", id, summary, scope);
    let read = |path, id, summary| new("get", path, id, summary, Scope::RunsRead);
    let write = |path, id, summary| new("post", path, id, summary, Scope::RunsWrite);
    let of_one = |operation: Operation| operation.path("id", "The request's id.", uuid());
    let made = |schemas: &mut crate::schemas::Schemas| schemas.of::<Request>();
    vec![
        read("/v1/requests", "listRequests", "Requests, newest first")
            .query("state", "Only requests in this state.", states())
            .query("run_id", "Only requests of this run.", uuid())
            .paged(uuid())
            .reply(200, "A page of requests.", |schemas| schemas.page::<Request>()),
        accepts(write("/v1/requests", "submitRequest", "Ask an agent, or whoever has the skill"))
            .header(
                "Prefer",
                "`wait=N` waits up to N seconds for the end (RFC 7240).",
                json!({"type": "string", "pattern": "^wait=([0-9]|[1-5][0-9]|60)$"}),
            )
            .body(
                asked(json!({
                    "agent": name(200),
                    "source": name(200),
                    "correlation_id": name(200),
                    "causation_id": name(200),
                    "callback_url": {"type": ["string", "null"], "format": "uri", "pattern": "^https?://[^\\u0000]+$", "maxLength": 2000},
                })),
                json!({"skill": "check_health", "input": {"environment": "production"}}),
            )
            .reply_as(201, "Accepted.", "application/json", made, LOCATION)
            .reply_as(202, "Accepted, and not ended in the time waited.", "application/json", made, LOCATION)
            .reply_as(
                200,
                "Ended in the time waited, or the request that the same key made before.",
                "application/json",
                made,
                LOCATION,
            ),
        read("/v1/requests/dead-letters", "listDeadLetters", "Requests that came to nothing, latest first")
            .paged(uuid())
            .reply(200, "A page of requests.", |schemas| schemas.page::<Request>()),
        new(
            "get",
            "/v1/requests/callback-key",
            "getCallbackKey",
            "The key that signs the caller's callbacks",
            Scope::RunsWrite,
        )
        .reply(200, "The key.", |_| json!({"type": "object", "required": ["key"]})),
        accepts(write("/v1/requests/broadcasts", "broadcast", "Ask many agents the same"))
            .body(
                asked(json!({
                    "to": {"enum": ["all", "skill"], "default": "skill"},
                    "exclude": {"type": "array", "maxItems": 1000, "items": text(200)},
                })),
                json!({"skill": "check_health", "input": {"environment": "production"}, "exclude": ["cicd"]}),
            )
            .reply_as(
                201,
                "One request for each agent that is live now.",
                "application/json",
                |_| broadcast(),
                LOCATION,
            )
            .reply(200, "The broadcast that the same key made before.", |_| broadcast())
            .problem(Code::Conflict),
        read("/v1/requests/broadcasts/{id}", "getBroadcast", "A broadcast with its answers so far")
            .path("id", "The broadcast's id.", uuid())
            .reply(200, "The broadcast.", |_| broadcast()),
        of_one(read("/v1/requests/{id}", "getRequest", "A request"))
            .reply(200, "The request.", |schemas| schemas.of::<Request>()),
        of_one(write("/v1/requests/{id}/cancel", "cancelRequest", "Withdraw a request"))
            .optional_body(reason(), json!({"reason": "no longer needed"}))
            .reply(200, "The withdrawn request.", |schemas| schemas.of::<Request>())
            .problem(Code::Conflict),
        of_one(write("/v1/requests/{id}/retry", "retryDeadLetter", "Give a dead letter a new life"))
            .optional_body(reason(), json!({"reason": "the agent is back"}))
            .reply_as(201, "The new request.", "application/json", made, LOCATION)
            .problem(Code::Conflict),
        of_one(write("/v1/requests/{id}/discard", "discardDeadLetter", "Let a dead letter go"))
            .optional_body(reason(), json!({"reason": "done by hand"}))
            .reply(200, "The discarded dead letter.", |schemas| schemas.of::<Request>())
            .problem(Code::Conflict),
        Operation::new(
            "get",
            "/v1/events",
            "events",
            "listEvents",
            "Events in order, as pages or, with Accept: text/event-stream, as a stream",
            Scope::RunsRead,
        )
        .query("type", "Only events whose type begins with this.", text(200))
        .query("subject", "Only events about this.", text(300))
        .query("since", "Only events from this time on.", json!({"type": "string", "format": "date-time"}))
        .query(
            "limit",
            "Items in the page.",
            json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
        )
        .query(
            "after",
            "The `next` of the page before, or `now`.",
            json!({"type": "string", "pattern": "^(now|[0-9]{1,18}-[0-9]{1,18})$"}),
        )
        .reply(200, "A page of events; read on at `next` even when it is empty.", |schemas| {
            let event = schemas.of::<CloudEvent>();
            object(
                &["items", "next", "more"],
                json!({
                    "items": {"type": "array", "items": object(
                        &["position", "event"],
                        json!({"position": {"type": "string"}, "event": event}),
                    )},
                    "next": {"type": "string"},
                    "more": {"type": "boolean"},
                }),
            )
        }),
        Operation::new(
            "post",
            "/v1/events",
            "events",
            "publishEvent",
            "Publish an event for every run that waits for one like it; once per source and id",
            Scope::EventsWrite,
        )
        .body(
            cloud_event(),
            json!({"specversion": "1.0", "id": "build-17", "source": "/ci/main",
                "type": "com.example.build.finished", "data": {"status": "passed"}}),
        )
        .reply(202, "The event is taken.", |_| published())
        .reply(200, "The event was taken before.", |_| published()),
    ]
}

fn cloud_event() -> Value {
    json!({
        "type": "object",
        "description": "A CloudEvent in its JSON form.",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text(200),
            "source": text(180),
            "type": text(200),
        },
    })
}

fn published() -> Value {
    object(
        &["outcome", "delivered"],
        json!({
            "outcome": {"enum": ["accepted", "duplicate"]},
            "delivered": {"type": "integer", "minimum": 0, "description": "How many runs it may interest."},
        }),
    )
}
