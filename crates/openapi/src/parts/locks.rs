use super::{line, object, uuid};
use crate::Operation;
use guildhall_domain::{
    Code,
    lock::{ForceReply, Lock, LockDetails, LockRecord, LockReply, LocksReply, MOST_AT_ONCE},
    scope::Scope,
};
use serde_json::{Map, Value, json};

fn token() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": i64::MAX})
}

fn ttl() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 86_400, "description": "Seconds until it falls free."})
}

/// The members that every acquire has, and those of `own`.
fn acquire(required: &[&str], own: Value) -> Value {
    let mut properties: Map<String, Value> = own.as_object().cloned().unwrap_or_default();
    let common = json!({
        "holder": line(200),
        "ttl_s": ttl(),
        "reason": line(500),
        "wait_s": {"type": "integer", "minimum": 0, "maximum": 60, "default": 0},
        "priority": {"enum": ["low", "normal", "high", "urgent"], "default": "normal"},
        "run_id": {"anyOf": [uuid(), {"type": "null"}]},
        "announce": {"type": "boolean", "default": false},
    });
    properties.extend(common.as_object().cloned().unwrap_or_default());
    let required = [&["holder", "ttl_s", "reason"], required].concat();
    object(&required, Value::Object(properties))
}

fn mode() -> Value {
    json!({"enum": ["exclusive", "shared"], "default": "exclusive"})
}

fn several(required: &[&str], item: Value, own: Value) -> Value {
    let mut properties = own.as_object().cloned().unwrap_or_default();
    properties.insert("holder".into(), line(200));
    let locks = json!({"type": "array", "minItems": 1, "maxItems": MOST_AT_ONCE, "items": item});
    properties.insert("locks".into(), locks);
    object(
        &[&["holder", "locks"], required].concat(),
        Value::Object(properties),
    )
}

fn key() -> Value {
    object(
        &["resource", "fencing_token"],
        json!({"resource": line(200), "fencing_token": token()}),
    )
}

fn items_of(item: Value) -> Value {
    object(
        &["items", "next"],
        json!({"items": {"type": "array", "items": item}, "next": {"type": "null"}}),
    )
}

pub(super) fn operations() -> Vec<Operation> {
    let new = |method, path, id, summary, scope| Operation::new(method, path, "locks", id, summary, scope);
    let read = |path, id, summary| new("get", path, id, summary, Scope::LocksRead);
    let write = |path, id, summary| new("post", path, id, summary, Scope::LocksWrite);
    let one =
        |operation: Operation| operation.path("resource", "What is locked, percent-encoded.", line(200));
    let hours = json!({"type": "integer", "minimum": 1, "maximum": 720, "default": 24});
    vec![
        read("/v1/locks", "listLocks", "Locks by resource, free ones too")
            .query("state", "Only these.", json!({"enum": ["held", "waited_for"]}))
            .paged(line(300))
            .reply(200, "A page of locks.", |schemas| schemas.page::<Lock>()),
        write("/v1/locks", "acquireLocks", "Acquire several locks, all or nothing")
            .body(
                acquire(&["locks"], json!({"locks": {
                    "type": "array", "minItems": 1, "maxItems": MOST_AT_ONCE,
                    "items": object(&["resource"], json!({"resource": line(200), "mode": mode()})),
                }})),
                json!({"holder": "job-17", "ttl_s": 60, "reason": "move the service", "locks": [
                    {"resource": "deployment:staging"}, {"resource": "config:router", "mode": "shared"},
                ]}),
            )
            .reply(200, "All of them are held.", |schemas| schemas.of::<LocksReply>())
            .problem(Code::LockHeld)
            .problem(Code::Deadlock)
            .problem(Code::StaleToken),
        write("/v1/locks/renew", "renewLocks", "Extend several grants")
            .body(
                several(&["ttl_s"], key(), json!({"ttl_s": ttl()})),
                json!({"holder": "job-17", "ttl_s": 60, "locks": [{"resource": "deployment:staging", "fencing_token": 4}]}),
            )
            .reply(200, "All of them are extended.", |schemas| schemas.of::<LocksReply>())
            .problem(Code::StaleToken),
        write("/v1/locks/release", "releaseLocks", "End several grants")
            .body(
                several(&[], key(), json!({})),
                json!({"holder": "job-17", "locks": [{"resource": "deployment:staging", "fencing_token": 4}]}),
            )
            .reply(200, "All of them are free.", |schemas| schemas.of::<LocksReply>())
            .problem(Code::StaleToken),
        read("/v1/locks/graph", "getLockGraph", "Who waits for whom, and the last hour's deadlocks").reply(
            200,
            "Edges from waiters to whoever is in their way.",
            |_| {
                let list = json!({"type": "array", "items": {"type": "object"}});
                object(&["edges", "deadlocks"], json!({"edges": list.clone(), "deadlocks": list}))
            },
        ),
        read("/v1/locks/history", "listLockHistory", "Grants and vain waits that are over, newest first")
            .query("resource", "Only of this resource.", line(300))
            .paged(json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}))
            .reply(200, "A page of records.", |schemas| schemas.page::<LockRecord>()),
        read("/v1/locks/statistics", "getLockStatistics", "Counts and times of the last hours")
            .query("hours", "How far to look back.", hours)
            .reply(200, "The figures; times are in milliseconds.", |_| {
                json!({"type": "object", "additionalProperties": {"type": "integer"}, "required": ["hours", "held"]})
            }),
        read("/v1/locks/contention", "getLockContention", "What was waited for most in the last hour")
            .query(
                "limit",
                "The so many most waited for.",
                json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
            )
            .reply(200, "Resources with their waits.", |_| {
                items_of(json!({"type": "object", "required": ["resource", "waits", "wait_ms_total"]}))
            }),
        one(read("/v1/locks/{resource}", "getLock", "A lock, its holders and its queue"))
            .reply(200, "The lock.", |schemas| schemas.of::<LockDetails>()),
        one(write("/v1/locks/{resource}/acquire", "acquireLock", "Acquire a lock, now or by waiting"))
            .body(
                acquire(
                    &[],
                    json!({"mode": mode(), "fencing_token": {"anyOf": [token(), {"type": "null"}]}}),
                ),
                json!({"holder": "job-17", "ttl_s": 60, "reason": "nightly load test", "wait_s": 10}),
            )
            .reply(200, "It is held under the fencing token.", |schemas| schemas.of::<LockReply>())
            .problem(Code::LockHeld)
            .problem(Code::Deadlock)
            .problem(Code::StaleToken),
        one(write("/v1/locks/{resource}/renew", "renewLock", "Extend a grant"))
            .body(
                object(
                    &["holder", "fencing_token", "ttl_s"],
                    json!({"holder": line(200), "fencing_token": token(), "ttl_s": ttl()}),
                ),
                json!({"holder": "job-17", "fencing_token": 4, "ttl_s": 60}),
            )
            .reply(200, "It is extended.", |schemas| schemas.of::<LockReply>())
            .problem(Code::StaleToken),
        one(write("/v1/locks/{resource}/release", "releaseLock", "End a grant"))
            .body(
                object(&["holder", "fencing_token"], json!({"holder": line(200), "fencing_token": token()})),
                json!({"holder": "job-17", "fencing_token": 4}),
            )
            .reply(200, "It is free, or one level of re-entry was left.", |schemas| schemas.of::<LockReply>())
            .problem(Code::StaleToken),
        one(new(
            "post",
            "/v1/locks/{resource}/force-release",
            "forceReleaseLock",
            "End every grant of a lock; audited",
            Scope::Admin,
        ))
        .body(object(&["reason"], json!({"reason": line(500)})), json!({"reason": "its holder is gone"}))
        .reply(200, "The grants that were ended.", |schemas| schemas.of::<ForceReply>()),
    ]
}
