use super::{object, text};
use crate::Operation;
use guildhall_domain::{Code, scope::Scope};
use serde_json::{Value, json};

fn session_id() -> Value {
    json!({"type": "string", "pattern": "^[!-~]{1,100}$"})
}

/// What is always answered, and with `started` what a run that was started adds.
fn answer(started: bool) -> Value {
    let mut properties = json!({
        "session_id": session_id(),
        "message": {"type": "string"},
        "intent": {"type": "string"},
        "understood": {"type": "object"},
        "planner": {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"enum": ["rules", "model"]}},
        },
        "notes": {"type": "array", "items": {"type": "string"}},
        "ignored": {"type": "array", "items": {"type": "string"}},
        "suggestions": {"type": "array", "items": {"type": "string"}},
    });
    let mut required = vec![
        "session_id",
        "message",
        "intent",
        "understood",
        "planner",
        "suggestions",
    ];
    if started {
        required.extend(["run_id", "title", "risk", "plan"]);
        properties["run_id"] = super::uuid();
        properties["title"] = json!({"type": "string"});
        properties["risk"] = json!({"type": "object"});
        properties["plan"] = json!({"type": "array", "items": {"type": "object"}});
    } else {
        properties["missing"] = json!({"type": "array"});
    }
    object(&required, properties)
}

pub(super) fn operations() -> Vec<Operation> {
    let new = |method, path, id, summary| Operation::new(method, path, "chat", id, summary, Scope::Chat);
    vec![
        new("post", "/chat", "chat", "Ask for work in plain words")
            .header(
                "Idempotency-Key",
                "The same key with the same message starts one run.",
                json!({"type": "string", "pattern": "^[!-~]{1,200}$"}),
            )
            .body(
                object(
                    &["message"],
                    json!({
                        "message": text(8000),
                        "session_id": {"anyOf": [session_id(), {"type": "null"}]},
                    }),
                ),
                json!({"message": "review, test and deploy branch good-change", "session_id": null}),
            )
            .reply(202, "A run was started.", |_| answer(true))
            .reply(200, "An answer, or a question back; nothing was started.", |_| {
                answer(false)
            })
            .problem(Code::IdempotencyConflict)
            .problem(Code::UnknownBranch)
            .problem(Code::RepositoryNotConfigured)
            .problem(Code::ConfigurationInvalid)
            .problem(Code::UnknownEnvironment)
            .problem(Code::NotConfigured)
            .problem(Code::ToolFailed)
            .problem(Code::Unreachable),
        new(
            "get",
            "/chat/{session_id}",
            "getChatSession",
            "What was said in a session of the caller's own",
        )
        .path("session_id", "The session's id.", json!({"type": "string"}))
        .query(
            "limit",
            "The newest so many messages.",
            json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
        )
        .reply(200, "The messages, oldest first.", |_| {
            object(
                &["session_id", "messages"],
                json!({
                    "session_id": {"type": "string"},
                    "messages": {"type": "array", "items": object(
                        &["role", "content", "run_id", "at"],
                        json!({
                            "role": {"enum": ["user", "assistant"]},
                            "content": {"type": "string"},
                            "run_id": {"anyOf": [super::uuid(), {"type": "null"}]},
                            "at": {"type": "string", "format": "date-time"},
                        }),
                    )},
                }),
            )
        }),
    ]
}
